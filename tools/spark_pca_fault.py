"""The smallest table we know on which Spark ML's PCA is wrong: docs/spark-ml-pca.md.

52 rows of 28 whole numbers. Each row stands beside its opposite, so all means are zero and every sum is exact: the
result depends on no processor, no order and no number of cores. Columns 1 to 13 hold -1000, 0 or 1000, column 14 holds
-10, 0 or 10, columns 15 to 26 hold -1, 0 or 1, and the last two, which vary most, have nothing to do with the others.
"""

from typing import Any

import numpy as np
from pyspark.ml.feature import PCA
from pyspark.ml.linalg import Vectors
from pyspark.sql import SparkSession

unit = [1000] * 13 + [10] + [1] * 12
half = [[(pow(75, 26 * i + j + 2264, 65537) % 3 - 1) * unit[j] for j in range(26)] + [0, 0] for i in range(25)]
rows = [[sign * value for value in row] for row in [*half, [0] * 26 + [100_000] * 2] for sign in (1, -1)]
# As many partitions as pairs of rows.
spark = SparkSession.builder.master("local[1]").config("spark.default.parallelism", len(rows) // 2).getOrCreate()
table = spark.createDataFrame([(Vectors.dense(row),) for row in rows], ["features"])
model = PCA(k=3, inputCol="features", outputCol="scores").fit(table)
variances = np.linalg.svd(np.array(rows, float), compute_uv=False) ** 2
jvm: Any = spark._jvm  # noqa: SLF001 - pyspark has no public way to ask
lapack = jvm.dev.ludovic.netlib.lapack.LAPACK.getInstance().getClass().getSimpleName()
print("Spark", spark.version, "with", lapack, "says", model.explainedVariance.toArray().round(4).tolist())
print("it is", (variances[:3] / variances.sum()).round(4).tolist())
spark.stop()
