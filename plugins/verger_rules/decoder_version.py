"""The version of the rules by which a picture's bytes become the pixels that the model sees.

Part of what identifies a row of the feature table. Count it up with every change after which the same bytes give other
pixels, another thumbnail, or features where there was a reject (or the other way round): all pictures are then computed
again, once.
"""

DECODER_VERSION = 2
