"""The two Spark jobs of Verger: images to features (`featurize.py`), features to the matrix (`pca.py`)."""
