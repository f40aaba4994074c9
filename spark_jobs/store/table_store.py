"""The feature table as the jobs reach it: where it lies, and its files' columns by obstore."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.answering import ReadColumns
from verger_rules.delta_table import TablePlace, store_options

from spark_jobs.job_errors import StepFailedError
from spark_jobs.store.object_store import StoreSettings
from spark_jobs.store.remote_file import RemoteFile


def table_place(settings: StoreSettings, folder: S3Address) -> TablePlace:
    """A table in the jobs' store, with the process's own credentials."""
    return TablePlace(folder, store_options(settings.region, settings.endpoint))


def column_reader(settings: StoreSettings, folder: S3Address) -> ReadColumns:
    """Reads columns of a table's files."""

    def read(name: str, columns: Sequence[str]) -> pa.Table:
        return read_columns(settings, folder.child(name), columns)

    return read


def read_columns(settings: StoreSettings, address: S3Address, columns: Sequence[str]) -> pa.Table:
    """Some columns of one Parquet file; only they leave the store.

    Raises:
        StepFailedError: it is not there, does not hold them, or the store does not give it.
    """
    try:
        return pq.ParquetFile(RemoteFile(settings, address), pre_buffer=True).read(columns=list(columns))
    except FileNotFoundError as error:
        raise StepFailedError(
            f"{address.uri} is not there: an erasure or a clean-up was faster. Run featurize again"
        ) from error
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        raise StepFailedError(f"{address.uri} is not a file with {', '.join(columns)}: {error}") from error
    except OSError as error:
        raise StepFailedError(f"{address.uri} cannot be read: {error}") from error
