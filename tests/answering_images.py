"""Which rows of small tables answer which images, as featurize finds it."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from verger_rules.answering import Answering, ReadColumns
from verger_rules.delta_table import TableFile
from verger_rules.disk_database import DiskDatabase, DiskLimits, disk_database
from verger_rules.manifest_file import ManifestFile
from verger_rules.schemas import MANIFEST


@contextmanager
def small_database() -> Iterator[DiskDatabase]:
    """A database of little memory."""
    with (
        tempfile.TemporaryDirectory() as folder,
        disk_database(DiskLimits(Path(folder), 128, "--work-folder", "--list-memory-mib")) as database,
    ):
        yield database


@contextmanager
def answering_images(
    manifest: pa.Table, files: Iterable[TableFile], read: ReadColumns, slug: str
) -> Iterator[Answering]:
    """The rows of some files, and which of them answers each image of a manifest."""
    with small_database() as database:
        path = database.folder / "manifest.parquet"
        pq.write_table(manifest, path)
        answering = Answering(database, ManifestFile(path, manifest.num_rows), slug)
        answering.read_keys(files, read)
        answering.decide()
        yield answering


def answers_now(manifest: pa.Table, files: Iterable[TableFile], read: ReadColumns, slug: str) -> pa.Table:
    """The answers of a manifest. Raises AnswersError when an image has none."""
    with answering_images(manifest, files, read, slug) as answering:
        return pa.concat_tables(answering.answers())


def images_to_do(answering: Answering, *, retry_rejects: bool = False) -> pa.Table:
    """The images that no row answers."""
    return pa.concat_tables([MANIFEST.empty_table(), *answering.unanswered(retry_rejects=retry_rejects)])
