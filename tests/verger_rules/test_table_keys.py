"""The keys of the feature table: every row of every file, and no file read twice."""

from collections.abc import Sequence
from random import Random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger_rules.delta_table import TableFile
from verger_rules.schemas import FEATURIZED, KEYS, REJECTED
from verger_rules.table_keys import TableKeys, read_keys

from tests.stored_tables import Row, table_of


class Store:
    """Files by name, which tells what was read of it."""

    def __init__(self, files: dict[TableFile, list[Row]]) -> None:
        self.tables = {file.name: table_of(rows) for file, rows in files.items()}
        self.reads: list[str] = []

    def read(self, name: str, columns: Sequence[str]) -> pa.Table:
        """Some columns of a file."""
        self.reads.append(name)
        return self.tables[name].select(list(columns))


def stored(counts: Sequence[int]) -> dict[TableFile, list[Row]]:
    """Files of so many rows, alternately of features and of rejects."""
    found = {}
    for at, count in enumerate(counts):
        outcome, value = (REJECTED, None) if at % 2 else (FEATURIZED, 1.0)
        file = TableFile(f"outcome={outcome}/{at}.parquet", outcome, count, 100 + at)
        found[file] = [Row(f"{at}-{row}", value=value) for row in range(count)]
    return found


def told(keys: TableKeys) -> list[tuple[str, str, int, bool]]:
    """Of each row its path, where it lies, and whether it has features."""
    places = zip(keys.keys["path"].to_pylist(), keys.file, keys.row, keys.is_featurized, strict=True)
    return [(path, keys.files[file].name, int(row), bool(featurized)) for path, file, row, featurized in places]


FILES = st.lists(st.integers(0, 3), max_size=6).map(stored)


@given(FILES, st.randoms(use_true_random=False))
def test_each_row_is_found_where_it_lies_files_ascending(files: dict[TableFile, list[Row]], random: Random) -> None:
    named = list(files)
    random.shuffle(named)
    keys = read_keys(named, Store(files).read)
    assert list(keys.files) == sorted(files)
    assert keys.keys.schema == KEYS
    assert told(keys) == [
        (row.path, file.name, at, file.outcome == FEATURIZED)
        for file in sorted(files)
        for at, row in enumerate(files[file])
    ]


@given(FILES, st.data())
def test_known_files_are_not_read_again_and_their_rows_are_the_same(
    files: dict[TableFile, list[Row]], data: st.DataObject
) -> None:
    """Files come and go: a chunk was committed, small files were merged."""
    before = data.draw(st.lists(st.sampled_from(sorted(files)), unique=True)) if files else []
    now = data.draw(st.lists(st.sampled_from(sorted(files)), unique=True)) if files else []
    store = Store(files)
    known = read_keys(before, store.read)
    store.reads.clear()
    keys = read_keys(now, store.read, known)
    assert sorted(store.reads) == sorted({file.name for file in now} - {file.name for file in before})
    assert told(keys) == told(read_keys(now, Store(files).read))


def test_a_file_of_a_known_name_with_other_content_is_read_again() -> None:
    (file,) = files = stored([2])
    known = read_keys([file], Store(files).read)
    other = file._replace(rows=1, size=7)
    keys = read_keys([other], Store({other: [Row("new")]}).read, known)
    assert keys.keys["path"].to_pylist() == ["new"]


def test_columns_beside_the_keys_and_narrower_types_are_no_matter() -> None:
    (file,) = files = stored([2])
    table = table_of(files[file])

    def read(name: str, columns: Sequence[str]) -> pa.Table:
        assert (name, list(columns)) == (file.name, KEYS.names)
        return table.set_column(table.schema.get_field_index("decoder"), "decoder", table["decoder"].cast(pa.int16()))

    assert read_keys([file], read).keys.equals(read_keys([file], Store(files).read).keys)


def test_a_file_that_cannot_be_read_is_an_error_and_no_table_without_it() -> None:
    files = stored([2, 1])

    store = Store(files)
    del store.tables["outcome=rejected/1.parquet"]
    with pytest.raises(KeyError, match=r"outcome=rejected/1\.parquet"):
        read_keys(list(files), store.read)
