"""One Parquet file of the feature table, stored whole and looked at afterwards."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
from obstore.exceptions import BaseError
from verger_rules.addresses import S3Address

from spark_jobs.job_errors import StepFailedError
from spark_jobs.store.object_store import StoreSettings, said
from spark_jobs.store.remote_file import RemoteFile, UploadedFile

# Features hardly repeat: looking for repeated values costs time, and the files get no smaller. Labels do, and the like.
REPEATING = ["decoder", "run", "computed_at", "label", "stage", "reason"]


def write_table_file(settings: StoreSettings, address: S3Address, rows: pa.Table) -> int:
    """Write rows as one file with one row group, and check that the store holds them; the file's bytes.

    Raises:
        StepFailedError: the file does not hold the rows it should, or the store does not take it.
    """
    repeating = [name for name in REPEATING if name in rows.column_names]
    try:
        with UploadedFile(settings, address) as upload:
            pq.write_table(rows.combine_chunks(), upload, compression="zstd", use_dictionary=repeating)
        with RemoteFile(settings, address) as file:
            size = file.seek(0, io.SEEK_END)
            stored = int(pq.ParquetFile(file).metadata.num_rows)
    except (OSError, BaseError) as error:
        raise StepFailedError(f"{address.uri} cannot be written: {said(error)}") from error
    if stored != rows.num_rows:
        raise StepFailedError(f"{address.uri} holds {stored} rows instead of {rows.num_rows}: not committed")
    return size
