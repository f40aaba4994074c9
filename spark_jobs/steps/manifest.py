"""Reading the frozen list of a run's images."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.schemas import MANIFEST

from spark_jobs.job_errors import RefusedError
from spark_jobs.store.object_store import StoreSettings, read_bytes


def read_manifest(settings: StoreSettings, address: S3Address) -> pa.Table:
    """The manifest as a table of schema MANIFEST, unique and ascending by path.

    It stays in the driver's memory: about 150 MB a million images.

    Raises:
        RefusedError: it is not there, no Parquet, of other columns, empty, or not unique and ascending by path.
    """
    content = read_bytes(settings, address)
    try:
        table = pq.read_table(pa.BufferReader(content), columns=MANIFEST.names).cast(MANIFEST)
    except (pa.ArrowInvalid, pa.ArrowKeyError, pa.ArrowNotImplementedError) as error:
        raise RefusedError(f"{address.uri} is no manifest (columns {', '.join(MANIFEST.names)}): {error}") from error
    return check_manifest(table.combine_chunks(), address.uri)


def check_manifest(table: pa.Table, name: str) -> pa.Table:
    """The same table when its rows are what a manifest's must be.

    Raises:
        RefusedError: no row, a null, or paths that are not unique and ascending.
    """
    if table.num_rows == 0:
        raise RefusedError(f"{name} lists no image: there is nothing to do")
    if any(column.null_count for column in table.columns):
        raise RefusedError(f"{name} holds an empty cell: every image needs path, etag, label and size")
    paths = table.column("path")
    unordered = pc.greater_equal(paths.slice(0, table.num_rows - 1), paths.slice(1))
    if pc.any(unordered).as_py():
        first = paths[pc.index(unordered, value=True).as_py() + 1].as_py()
        raise RefusedError(f"{name} is not unique and ascending by path, first at {first!r}: plan the run again")
    return table
