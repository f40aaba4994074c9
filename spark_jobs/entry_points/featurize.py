"""Spark step 1: the images of a manifest to rows of the feature table.

spark-submit --py-files spark_jobs.zip featurize.py --manifest-uri s3://... (docs/formats.md)
"""

import sys

from spark_jobs.job_errors import run_step
from spark_jobs.place.spark_place import SparkPlace
from spark_jobs.steps.featurize_arguments import parse_args
from spark_jobs.steps.featurize_step import featurize

__all__ = ["featurize", "main", "parse_args"]


def main() -> int:
    """Run the step; the exit code of docs/formats.md."""
    return run_step(lambda: featurize(parse_args(), SparkPlace()))


if __name__ == "__main__":
    sys.exit(main())
