"""What the step `pca` leaves of its judgement for publishing, beside `pca.json`."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.layout import JUDGED_IMAGES, JUDGEMENT

from spark_jobs.store.object_store import StoreSettings, write_json
from spark_jobs.store.remote_file import UploadedFile


def write_judgement(settings: StoreSettings, folder: S3Address, report: Mapping[str, Any], images: pa.Table) -> None:
    """Write the judged images, then what was found about them; a second try writes over the first."""
    with (
        UploadedFile(settings, folder.child(JUDGED_IMAGES)) as upload,
        pq.ParquetWriter(upload, images.schema, compression="zstd") as writer,
    ):
        writer.write_table(images)
    write_json(settings, folder.child(JUDGEMENT), report)
