"""The usual way to do featurize's work: `binaryFile`, and Keras in an iterator pandas UDF.

The recipe is Databricks' "Featurization using a pretrained model for transfer learning", which the public notebooks
for this very job repeat: the weights are broadcast, `repartition(20)`, the model is built at the beginning of each
partition, and a whole Arrow batch of up to 1,024 pictures goes to `predict`.
`--partitions` and `--arrow-records` are for who tunes it. Runs under spark-submit in the environment `bench`.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Iterator  # noqa: TC003 - Spark reads a UDF's annotations
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from pyspark.sql import SparkSession
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, FloatType

SIZE = (224, 224)
PARTITIONS = 20
ARROW_RECORDS = 1024


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images-uri", required=True)
    parser.add_argument("--weights", type=Path, required=True, help="weights of MobileNetV2 without its top, Keras 3")
    parser.add_argument("--output-uri", required=True)
    parser.add_argument("--partitions", type=int, default=PARTITIONS)
    parser.add_argument("--arrow-records", type=int, default=ARROW_RECORDS)
    asked = parser.parse_args()
    spark = SparkSession.builder.appName("keras udf").getOrCreate()
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(asked.arrow_records))
    weights = spark.sparkContext.broadcast(asked.weights.read_bytes())

    @pandas_udf(ArrayType(FloatType()))  # type: ignore[untyped-decorator, call-overload]  # its types are lax
    def featurize(batches: Iterator[pd.Series]) -> Iterator[pd.Series]:
        import keras  # noqa: PLC0415 - in the worker, where it is used

        model = keras.applications.MobileNetV2(input_shape=(*SIZE, 3), include_top=False, pooling="avg", weights=None)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.weights.h5"
            file.write_bytes(weights.value)
            model.load_weights(file)
        for contents in batches:
            pixels = np.stack([decode(content) for content in contents])
            features = model.predict(keras.applications.mobilenet_v2.preprocess_input(pixels), verbose=0)
            yield pd.Series(list(features))

    images = spark.read.format("binaryFile").option("recursiveFileLookup", "true").load(asked.images_uri)
    rows = images.repartition(asked.partitions).select("path", featurize("content").alias("features"))
    rows.write.mode("overwrite").parquet(asked.output_uri)
    print(f"result: {spark.read.parquet(asked.output_uri).count()}")
    spark.stop()


def decode(content: bytes) -> np.ndarray:
    """A picture's bytes as float32 [224, 224, 3]."""
    picture = Image.open(io.BytesIO(content)).convert("RGB").resize(SIZE, Image.Resampling.BICUBIC)
    return np.asarray(picture, np.float32)


if __name__ == "__main__":
    main()
