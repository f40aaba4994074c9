"""Reading the frozen list of a run's images."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.manifest_file import ManifestError, ManifestFile

from spark_jobs.job_errors import RefusedError
from spark_jobs.store.object_store import StoreSettings, download


def read_manifest(settings: StoreSettings, address: S3Address, folder: Path) -> ManifestFile:
    """The manifest as a file of a folder of this machine, unique and ascending by path.

    Raises:
        RefusedError: it is not there, is not Parquet, of other columns, empty, or not unique and ascending by path.
    """
    path = folder / "manifest.parquet"
    download(settings, address, path)
    try:
        with pq.ParquetFile(path) as file:
            manifest = ManifestFile(path, file.metadata.num_rows)
    except pa.ArrowInvalid as error:
        raise RefusedError(f"{address.uri} is not a manifest: {error}") from error
    check_manifest(manifest, address.uri)
    return manifest


def check_manifest(manifest: ManifestFile, name: str) -> None:
    """Check that the rows are what a manifest's must be.

    Raises:
        RefusedError: other columns, no row, a null, or paths that are not unique and ascending.
    """
    if manifest.images == 0:
        raise RefusedError(f"{name} lists no image: there is nothing to do")
    last: pa.ChunkedArray = pa.chunked_array([], pa.string())
    for part in _parts(manifest, name):
        paths = pa.chunked_array([*last.chunks, *part["path"].chunks])
        unordered = pc.greater_equal(paths.slice(0, len(paths) - 1), paths.slice(1))
        if pc.any(unordered).as_py():
            first = paths[pc.index(unordered, value=True).as_py() + 1].as_py()
            raise RefusedError(f"{name} is not unique and ascending by path, first at {first!r}: plan the run again")
        last = paths.slice(len(paths) - 1)


def _parts(manifest: ManifestFile, name: str) -> Iterator[pa.Table]:
    try:
        yield from manifest.parts()
    except ManifestError as error:
        raise RefusedError(f"{name} is not a manifest: {error}") from error
