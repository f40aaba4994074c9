"""What the step `pca` left of its judgement: the images that it judged with their features, and what it found."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError
from verger_rules.layout import JUDGED_IMAGES, JUDGEMENT

from verger.storage.json_objects import read_json
from verger.storage.layout import RunLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class JudgedImages:
    """The judged images of a run.

    Attributes:
        found: the content of `runs/<slug>/quality.json`.
        images: columns path, label, part, near_group and similarity, ascending by path.
        features: [n, 1280].
    """

    found: Mapping[str, Any]
    images: pa.Table
    features: Features

    def __len__(self) -> int:
        """How many images."""
        return len(self.features)

    @property
    def parts(self) -> npt.NDArray[np.str_]:
        """The part of each image: Training, Test, or none."""
        return np.array(self.images["part"].to_pylist(), dtype="<U8")


def read_judged(s3: "S3Client", run: RunLayout, folder: Path) -> JudgedImages | None:
    """Read what the step left; None when it is of a version of Verger that left nothing.

    Args:
        s3: of the bucket.
        run: the run.
        folder: of this machine, for a file on the way.
    """
    found = read_json(s3, run.run_file(JUDGEMENT))
    if found is None:
        return None
    address = run.run_file(JUDGED_IMAGES)
    with tempfile.TemporaryDirectory(prefix="judged-", dir=folder) as name:
        file = Path(name) / JUDGED_IMAGES
        try:
            body = s3.get_object(Bucket=address.bucket, Key=address.key)["Body"]
            with file.open("wb") as written:
                shutil.copyfileobj(body, written)
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                return None
            raise
        table = pq.read_table(file)
    column = table["features"].combine_chunks()
    features: Features = column.flatten().to_numpy(zero_copy_only=False).reshape(table.num_rows, -1)
    return JudgedImages(found, table.drop_columns(["features"]), features)
