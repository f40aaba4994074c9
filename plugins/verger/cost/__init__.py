"""What clusters cost: before, after, and week by week."""
