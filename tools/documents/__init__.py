"""What the documents are made with: drawn diagrams, slides."""
