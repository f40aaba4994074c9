"""A file without some pictures keeps every other line as it was."""

import csv
import io
import json
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger_rules.excel_csv import excel_file

from tools.erasure.contents import ERASED, clean_csv, clean_excel_csv, clean_json, cleaner_of, parquet_bytes
from tools.erasure.selection import RequestError, Selection, parse_lines, parse_selection


def test_the_judged_images_are_cleaned_as_a_manifest_is() -> None:
    table = pa.table(
        {"path": ["s3://b/images/a/1.jpg", "s3://b/images/a/2.jpg"], "label": ["a", "a"], "features": [[1.0], [2.0]]}
    )
    clean = cleaner_of("runs/r/quality_images.parquet")
    assert clean is not None
    rows, left = clean(parquet_bytes(table), selection("s3://b/images/a/1.jpg"))
    assert rows == 1
    assert pq.read_table(io.BytesIO(left)).to_pylist() == [
        {"path": "s3://b/images/a/2.jpg", "label": "a", "features": [2.0]}
    ]


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def selection(*uris: str, labels: tuple[str, ...] = ()) -> Selection:
    return parse_selection(uris, labels, "b" if labels and not uris else "", "images/")


def as_csv(rows: list[tuple[str, str]]) -> bytes:
    stored = io.StringIO()
    writer = csv.writer(stored, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(("path", "label"))
    writer.writerows(rows)
    return stored.getvalue().encode()


def as_excel_csv(rows: list[tuple[str, str]]) -> bytes:
    columns = {"path": [path for path, _ in rows], "label": [label for _, label in rows]}
    schema = pa.schema([("path", pa.string()), ("label", pa.string())])
    return excel_file(pa.table(columns, schema=schema))


@pytest.mark.parametrize(("write", "clean"), [(as_csv, clean_csv), (as_excel_csv, clean_excel_csv)])
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=8), data=st.data())
def test_only_the_lines_of_selected_paths_leave_a_csv(
    write: Callable[[list[tuple[str, str]]], bytes],
    clean: Callable[[bytes, Selection], tuple[int, bytes]],
    rows: list[tuple[str, str]],
    data: st.DataObject,
) -> None:
    rows = [(f"s3://b/images/{path}/x.jpg", label) for path, label in rows]
    chosen = data.draw(st.sets(st.sampled_from([path for path, _ in rows]), max_size=3)) if rows else set()
    chosen |= {"s3://b/images/not there.jpg"}
    count, cleaned = clean(write(rows), selection(*chosen))
    assert cleaned == write([row for row in rows if row[0] not in chosen])
    assert count == sum(path in chosen for path, _ in rows)


@pytest.mark.parametrize("name", ["matrix", "rejects"])
def test_the_twin_of_each_csv_of_pictures_is_cleaned_by_its_own_rule(name: str) -> None:
    assert cleaner_of(f"results/r/{name}.csv") is clean_csv
    assert cleaner_of(f"results/r/{name}-excel.csv") is clean_excel_csv


def test_a_label_that_was_made_harmless_for_spreadsheets_is_recognized() -> None:
    content = as_csv([("s3://b/images/=cmd/1.jpg", "'=cmd"), ("s3://b/images/'=cmd/1.jpg", "''=cmd")])
    count, cleaned = clean_csv(content, selection(labels=("=cmd",)))
    assert (count, cleaned) == (1, as_csv([("s3://b/images/'=cmd/1.jpg", "''=cmd")]))


def test_a_table_without_paths_is_left_alone() -> None:
    content = b"component,kept\n1,true\n"
    assert clean_csv(content, selection("s3://b/images/1.jpg")) == (0, content)


def test_texts_that_are_the_address_leave_json() -> None:
    content = {"a": [{"example": "s3://b/images/Kiwi/é 1.jpg"}], "b": "s3://b/images/Fig/1.jpg", "c": 3}
    count, cleaned = clean_json(json.dumps(content).encode(), selection("s3://b/images/Kiwi/"))
    assert count == 1
    assert json.loads(cleaned) == {"a": [{"example": ERASED}], "b": "s3://b/images/Fig/1.jpg", "c": 3}


def test_keys_that_a_sync_deleted_leave_its_record() -> None:
    content = {"deleted_keys": ["images/Kiwi/1.jpg", "images/Fig/1.jpg", "Kiwi/1.jpg"], "source": "s3://b/images/Fig/"}
    count, cleaned = clean_json(json.dumps(content).encode(), selection("s3://b/images/Kiwi/1.jpg"))
    assert count == 1
    assert json.loads(cleaned) == {**content, "deleted_keys": [ERASED, "images/Fig/1.jpg", "Kiwi/1.jpg"]}


def test_names_of_what_was_left_out_leave_the_records_of_runs() -> None:
    names = ["Kiwi/notes.txt", "Kiwi/.git/", "Fig/notes.txt", "Kiwi"]
    content = {
        "source": "Kiwi/notes.txt",
        "left_out_files": [{"name": name, "reason": "r", "files": 1} for name in names],
        "left_out_reasons": [{"reason": "r", "files": 4, "examples": names}],
    }
    count, cleaned = clean_json(json.dumps(content).encode(), selection("s3://b/images/Kiwi/"))
    kept = [ERASED, ERASED, "Fig/notes.txt", "Kiwi"]
    assert count == 4
    assert json.loads(cleaned) == {
        "source": "Kiwi/notes.txt",
        "left_out_files": [{"name": name, "reason": "r", "files": 1} for name in kept],
        "left_out_reasons": [{"reason": "r", "files": 4, "examples": kept}],
    }


def test_a_label_means_its_folder_in_whatever_normal_form_it_was_written() -> None:
    forms = ["P\u00e2tisson", "Pa\u0302tisson"]
    for asked in forms:
        chosen = selection(labels=(asked,))
        assert all(chosen.means(f"s3://b/images/{form}/1.jpg") for form in forms)
        # Rows of earlier versions hold the label as the folder was written.
        table = pa.table(
            {"path": pa.chunked_array([["s3://b/images/1.jpg"] * 3]), "label": pa.chunked_array([[*forms, "Kiwi"]])}
        )
        assert chosen.mask(table["path"], table["label"]).to_pylist() == [True, True, False]
        count, _ = clean_csv(as_csv([("s3://b/x/1.jpg", form) for form in forms]), chosen)
        assert count == 2


def test_a_folder_means_what_lies_below_it_and_not_what_begins_alike() -> None:
    chosen = selection("s3://b/images/Kiwi/")
    assert chosen.means("s3://b/images/Kiwi/deep/1.jpg")
    assert not chosen.means("s3://b/images/Kiwi2/1.jpg")


def test_a_label_is_the_last_folder_only() -> None:
    chosen = selection(labels=("Kiwi",))
    assert chosen.means("s3://b/images/2025/Kiwi/1.jpg")
    assert not chosen.means("s3://b/images/Kiwi/2025/1.jpg")
    assert not chosen.means("s3://another/images/Kiwi/1.jpg")


@given(st.lists(st.text(min_size=1).map(lambda key: f"s3://b/images/{key}"), max_size=5))
def test_a_file_of_addresses_can_hold_every_key(uris: list[str]) -> None:
    assert parse_lines("".join(f"{json.dumps(uri)}\n" for uri in uris)) == uris


def test_plain_lines_are_taken_as_they_are() -> None:
    assert parse_lines("s3://b/images/a b+%.jpg\r\n\ns3://b/images/é#.jpg \n") == [
        "s3://b/images/a b+%.jpg",
        "s3://b/images/é#.jpg ",
    ]


@pytest.mark.parametrize(
    ("uris", "labels", "bucket", "prefix", "message"),
    [
        ([], [], "b", "images/", "nothing to erase"),
        (["images/1.jpg"], [], "", "images/", "not an S3 address"),
        (["s3://b/"], [], "", "images/", "does not lie under"),
        (["s3://b/features/"], [], "", "images/", "does not lie under"),
        (["s3://b/images/1.jpg", "s3://c/images/1.jpg"], [], "", "images/", "2 buckets"),
        ([], ["Kiwi"], "", "images/", "--bucket"),
        ([], [""], "b", "images/", "label is empty"),
        (["s3://b/images/1.jpg"], [], "", "images", "--images-prefix"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(
    uris: list[str], labels: list[str], bucket: str, prefix: str, message: str
) -> None:
    with pytest.raises(RequestError, match=message):
        parse_selection(uris, labels, bucket, prefix)
