"""The steps, from their arguments to their metrics: what the driver does."""
