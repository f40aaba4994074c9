"""What becomes of each step at a million and a hundred million images, and where else the work could be done."""
