"""What a cluster needs on S3 before it exists: the model and the code."""
