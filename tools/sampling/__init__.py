"""Taking a part of a collection of pictures: what `tools/sample_images.py` chooses and copies."""
