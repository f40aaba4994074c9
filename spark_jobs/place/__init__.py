"""Where a step's partitions run: Spark, and what YARN gives it."""
