"""From features to the matrix: blocks, sums, components, files."""
