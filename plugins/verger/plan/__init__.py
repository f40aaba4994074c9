"""Freezing the list of pictures, and subtracting what the feature table already answers."""
