"""Applying a review of pictures: what a person marked in the explorer is done in the bucket."""
