"""What starts a run by itself: pictures that arrive, change or go, and the clock."""
