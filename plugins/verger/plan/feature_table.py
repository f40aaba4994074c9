"""Which images the feature table holds, as the plan counts them; the rules are those of both sides (`verger_rules`)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from verger_rules.answering import made_by_this_decoder
from verger_rules.delta_table import TablePlace, live_files, open_table
from verger_rules.table_keys import Flags, TableKeys, read_keys


@dataclass(frozen=True)
class DoneImages:
    """The (path, etag) pairs that rows have; the etag is the one that the picture was read under.

    Attributes:
        features, rejects: of rows that this version of the decoder made.
        otherwise: of features and rejects that another version made, which answer nothing.
    """

    features: frozenset[tuple[str, str]]
    rejects: frozenset[tuple[str, str]]
    otherwise: frozenset[tuple[str, str]] = frozenset()

    @property
    def paths(self) -> frozenset[str]:
        """The paths of all rows."""
        return frozenset(path for pairs in (self.features, self.rejects, self.otherwise) for path, _ in pairs)

    def answered(self, *, retry_rejects: bool) -> frozenset[tuple[str, str]]:
        """What needs no work; rejects that are to be tried again are not in it."""
        return self.features if retry_rejects else self.features | self.rejects


def read_done_images(filesystem: pyarrow.fs.FileSystem, place: TablePlace) -> DoneImages:
    """Read the keys of a model's table, and nothing else of its files. Raises TableError, OSError."""
    folder = f"{place.folder.bucket}/{place.folder.key}"

    def read(name: str, columns: Sequence[str]) -> pa.Table:
        with filesystem.open_input_file(f"{folder}/{name}") as stream:
            return pq.ParquetFile(stream, pre_buffer=True).read(columns=list(columns))

    return done_images(read_keys(live_files(open_table(place)), read))


def done_images(table: TableKeys) -> DoneImages:
    """The pairs of a table, by what made them."""
    made_now, featurized = made_by_this_decoder(table), table.is_featurized
    return DoneImages(
        features=_pairs(table, made_now & featurized),
        rejects=_pairs(table, made_now & ~featurized),
        otherwise=_pairs(table, ~made_now),
    )


def _pairs(table: TableKeys, wanted: Flags) -> frozenset[tuple[str, str]]:
    keys = table.keys.filter(pa.array(wanted))
    columns: Iterable[list[str]] = (keys[name].to_pylist() for name in ("path", "read_etag"))
    return frozenset(zip(*columns, strict=True))
