"""What spark-submit runs: one file a step, each alone beside the zip of the packages."""
