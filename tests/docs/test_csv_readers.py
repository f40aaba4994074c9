"""What docs/csv.md says how to read the matrix with: run as it stands, and no label becomes something else."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from verger_rules.excel_csv import excel_file

from spark_jobs.pca.results_writer import matrix_schema, to_csv
from tests.docs.documents import Block, blocks

PAGE = Path(__file__).resolve().parents[2] / "docs" / "csv.md"
#: Names of folders that readers take for missing values, booleans, numbers, dates, or the end of a cell.
LABELS = [
    "NA", "N/A", "n/a", "null", "NULL", "nan", "NaN", "None", "<NA>", "#N/A", "", " ", "True", "false", "007", "1e5",
    "1,5", "2024-01-02", "12:30", "inf", "0x1F", "1_000", 'say "a"', "a,b;c|d", "two\nlines", "Pêche",
    "日本", "\ufeffmark",
]  # fmt: skip
SCORES = [0.5, -1e-05, 123456.75, 1e300, -0.0, 3.0]


def readers() -> list[Block]:
    return [block for block in blocks(PAGE) if block.run_by == f"tests/docs/{Path(__file__).name}"]


def written(folder: Path) -> pa.Table:
    """A small matrix as the two CSV files of a result."""
    rows = [
        {"path": f"s3://b/images/{label}/{n}.jpg", "label": label, "pc_1": SCORES[n % len(SCORES)], "pc_2": float(n)}
        for n, label in enumerate(LABELS)
    ]
    table = pa.Table.from_pylist(rows, schema=matrix_schema(2))
    (folder / "matrix.csv").write_bytes(b"path,label,pc_1,pc_2\n" + to_csv(table))
    (folder / "matrix-excel.csv").write_bytes(excel_file(table))
    return table


def rows_of(matrix: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = matrix if isinstance(matrix, list) else matrix.to_dict("records")
    return found


@pytest.mark.parametrize("reader", readers(), ids=lambda block: f"line {block.place.line}")
def test_no_label_becomes_something_else(reader: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = written(tmp_path)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(reader.content, str(reader.place), "exec"), names)  # noqa: S102 -- our own page, that is the test
    rows = rows_of(names["matrix"])
    assert [row["label"] for row in rows] == expected["label"].to_pylist()
    assert [row["path"] for row in rows] == expected["path"].to_pylist()
    for name in ("pc_1", "pc_2"):
        assert [float(row[name]) for row in rows] == expected[name].to_pylist()


def test_every_reader_in_python_is_tried() -> None:
    in_python = [block for block in blocks(PAGE) if block.language == "python"]
    assert readers() == in_python
    assert len(in_python) == 5


def test_left_to_itself_a_reader_takes_labels_for_missing_values(tmp_path: Path) -> None:
    """Why the page is there: should pandas read them rightly by itself one day, the page can be shorter."""
    import pandas as pd  # noqa: PLC0415 -- takes a second

    written(tmp_path)
    read = pd.read_csv(tmp_path / "matrix.csv")
    assert read["label"].isna().any()
