"""Spark's own PCA on a feature table: the fit alone, with the rows in memory before the clock starts.

Runs under spark-submit in the environment `spark`. Prints `result: ` and one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time

from pyspark.ml.feature import PCA
from pyspark.ml.functions import array_to_vector
from pyspark.sql import SparkSession
from pyspark.sql import functions as sf


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features-uri", required=True)
    parser.add_argument("--k", type=int, required=True)
    asked = parser.parse_args()
    spark = SparkSession.builder.appName("spark ml pca").getOrCreate()
    table = spark.read.option("recursiveFileLookup", "true").parquet(asked.features_uri)
    rows = table.select(array_to_vector(sf.col("features")).alias("features")).cache()
    count = rows.count()
    started = time.perf_counter()
    model = PCA(k=asked.k, inputCol="features", outputCol="scores").fit(rows)
    seconds = time.perf_counter() - started
    shares = [float(share) for share in model.explainedVariance.toArray()]
    spark.stop()
    told = {"rows": count, "fit_seconds": seconds, "explained_variance_ratio": shares}
    print(f"result: {json.dumps(told)}", flush=True)


if __name__ == "__main__":
    main()
