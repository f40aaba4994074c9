"""What goes into MobileNetV2 without its top, and what comes out."""

# Pixels of a side of the square picture it takes.
INPUT_SIZE = 224
# Features it gives: the channels of its last layer, averaged over the picture.
FEATURES = 1280
