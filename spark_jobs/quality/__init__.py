"""Whether the matrix is good enough: how often the nearest image has the same label, for each number of components."""
