"""What `make bench` measures, and what it measures against."""
