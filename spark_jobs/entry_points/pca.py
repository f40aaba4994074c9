"""Spark step 2: the features of a manifest's images to a matrix of k principal components.

spark-submit --py-files spark_jobs.zip pca.py --manifest-uri s3://... (docs/formats.md)
"""

import os
import sys

# The driver's eigenvectors on one thread, and before numpy is imported: the same bits on any number of cores.
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from spark_jobs.job_errors import run_step
from spark_jobs.pca.spark_passes import spark_passes
from spark_jobs.place.spark_place import SparkPlace
from spark_jobs.steps.pca_arguments import parse_args
from spark_jobs.steps.pca_step import pca

__all__ = ["main", "parse_args", "pca"]


def main() -> int:
    """Run the step; the exit code of docs/formats.md."""
    return run_step(lambda: pca(parse_args(), SparkPlace(), spark_passes))


if __name__ == "__main__":
    sys.exit(main())
