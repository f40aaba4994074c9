"""The keys of the feature table as a plan reads them: a part at a time, into its database."""

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile, TablePlace, live_files, open_table
from verger_rules.schemas import FEATURIZED, KEYS

from verger.plan.plan_space import PlanSpace

_FILES_AHEAD = 8


def read_done(filesystem: pyarrow.fs.FileSystem, place: TablePlace, space: PlanSpace) -> None:
    """Write the keys of a model's table into the table `done`. Raises TableError, OSError."""
    files = live_files(open_table(place))
    for featurized in (True, False):
        keys = scan_keys(filesystem, place, [file for file in files if (file.outcome == FEATURIZED) == featurized])
        with space.shown("keys", keys):
            space.execute(
                "INSERT INTO done SELECT path, read_etag, ?, decoder = ? FROM keys", [featurized, DECODER_VERSION]
            )


def scan_keys(filesystem: pyarrow.fs.FileSystem, place: TablePlace, files: Iterable[TableFile]) -> pa.RecordBatchReader:
    """Path, etag and decoder of each row of some files, in no order; some files ahead are in memory."""
    folder = f"{place.folder.bucket}/{place.folder.key}"
    paths = [f"{folder}/{file.name}" for file in files]
    schema = pa.schema([KEYS.field(name) for name in ("path", "read_etag", "decoder")])
    dataset = ds.FileSystemDataset.from_paths(
        paths, schema=schema, format=ds.ParquetFileFormat(), filesystem=filesystem
    )
    return dataset.scanner(columns=schema.names, fragment_readahead=_FILES_AHEAD).to_reader()
