"""What the explorer's page reads: the right picture for each row, the right neighbours, nothing lost."""

import base64
import io
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from sklearn.neighbors import NearestNeighbors
from verger.publish.explorer import neighbours, site, thumbnails
from verger.publish.explorer.data import write_data
from verger.publish.explorer.thumbnails import CELL, COLUMNS, PER_SHEET, sheet_name, write_sheets
from verger.storage.layout import BucketLayout
from verger_rules.schemas import ANSWERS

from tests.explorer import explorer_world as world


@pytest.fixture
def pictures() -> world.Pictures:
    found = world.groups({"apple": 200, "banana": 90, "Été +100 %": 30})
    return replace(found, rejects=[("mixed/broken, really.jpg", "truncated"), ("mixed/=1+1.jpg", "empty")])


def read_points(folder: Path) -> pa.Table:
    return pq.read_table(folder / "points.parquet")


def colour_in_sheet(folder: Path, slot: int, inside: int = 20) -> tuple[int, ...]:
    """The colour so many pixels inside a slot's cell."""
    cell = slot % PER_SHEET
    with Image.open(folder / sheet_name(slot // PER_SHEET)) as sheet:
        found = sheet.getpixel((cell % COLUMNS * CELL + inside, cell // COLUMNS * CELL + inside))
    assert isinstance(found, tuple)
    return found


def test_each_row_has_its_own_thumbnail_its_scores_and_its_size(tmp_path: Path, pictures: world.Pictures) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_data(data, world.write_bucket(tmp_path, pictures))
    points = read_points(data)
    assert points["path"].to_pylist() == [world.IMAGES + name for name in pictures.names]
    assert sorted(points["slot"].to_pylist()) == list(range(320)), "every picture has a cell of its own"
    assert {path.name for path in data.glob("sheet-*")} == {sheet_name(0), sheet_name(1)}
    for row in points.slice(0, 320).to_pylist()[::37]:
        expected = world.colour_of(row["label"])
        assert np.allclose(colour_in_sheet(data, row["slot"]), expected, atol=6), row["path"]
        assert (row["width"], row["height"], row["thumbnail_width"], row["thumbnail_height"]) == (640, 480, 64, 48)
    scores = np.fromfile(data / "components.f32", "<f4").reshape(5, -1).T
    assert np.allclose(scores, pictures.scores, atol=1e-4)
    about = json.loads((data / "about.json").read_text())
    assert (about["pictures"], about["k"], about["rejects"], about["sheets"]["count"]) == (320, 5, 2, 2)
    assert [bar["kept"] for bar in about["scree"]] == [True] * 5 + [False] * 3


def test_rejects_are_told_as_they_are_and_not_as_a_spreadsheet_gets_them(tmp_path: Path) -> None:
    pictures = replace(world.groups({"apple": 2}), rejects=[('mixed/a,\n"b"', "=1+1")])
    data = tmp_path / "data"
    data.mkdir()
    write_data(data, world.write_bucket(tmp_path, pictures))
    assert pq.read_table(data / "rejects.parquet").to_pylist() == [
        {
            "path": f'{world.IMAGES}mixed/a,\n"b"',
            "label": "x",
            "stage": "decode",
            "reason": "=1+1",
            "detail": "it ended early",
        }
    ]


def test_a_run_without_rejects_has_an_empty_list_of_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_data(data, world.write_bucket(tmp_path, world.groups({"apple": 2})))
    found = pq.read_table(data / "rejects.parquet")
    assert (found.num_rows, found.column_names) == (0, ["path", "label", "stage", "reason", "detail"])


def test_a_picture_without_a_usable_thumbnail_has_none_and_the_rest_keep_theirs(tmp_path: Path) -> None:
    pictures = world.groups({"apple": 6})
    files = world.write_bucket(tmp_path, pictures)
    large = io.BytesIO()
    Image.new("RGB", (4000, 10)).save(large, format="JPEG")
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, format="PNG")
    thumbnails = [None, b"", b"no picture", large.getvalue(), png.getvalue(), world.jpeg((9, 9, 9))]
    paths = files.shown.pictures["path"].to_pylist()
    world.put_pictures(
        tmp_path, world.PICTURES_FILE, [world.Stored(*row) for row in zip(paths, thumbnails, strict=True)]
    )
    data = tmp_path / "data"
    data.mkdir()
    write_data(data, files)
    assert read_points(data)["slot"].to_pylist() == [-1, -1, -1, -1, -1, 0]


def test_a_sample_has_its_share_of_each_label_and_a_list_in_which_all_are_found(tmp_path: Path) -> None:
    pictures = replace(
        world.groups({"apple": 300, "banana": 90, "Été +100 %": 30}),
        rejects=[("banana/broken.jpg", "truncated")],
        new=frozenset(["apple/apple_00007.jpg"]),
    )
    data = tmp_path / "data"
    data.mkdir()
    write_data(data, world.write_bucket(tmp_path, pictures, most=42))
    points = read_points(data)
    assert Counter(points["label"].to_pylist()) == {"apple": 30, "banana": 9, "Été +100 %": 3}
    assert f"{world.IMAGES}apple/apple_00007.jpg" in points["path"].to_pylist(), "what is new is shown first"
    scores = np.fromfile(data / "components.f32", "<f4").reshape(5, -1).T
    expected = dict(zip(pictures.names, pictures.scores, strict=True))
    for path, row in zip(points["path"].to_pylist(), scores, strict=True):
        assert np.allclose(row, expected[path.removeprefix(world.IMAGES)], atol=1e-4)
    about = json.loads((data / "about.json").read_text())
    assert (about["pictures"], about["of_pictures"], about["rejects"], about["of_rejects"]) == (42, 420, 1, 1)
    found = pq.read_table(data / "all.parquet")
    listed = {world.IMAGES + name: None for name in pictures.names} | {f"{world.IMAGES}banana/broken.jpg": "truncated"}
    assert dict(zip(found["path"].to_pylist(), found["reason"].to_pylist(), strict=True)) == listed
    assert found["path"].to_pylist() == sorted(listed)
    statistics = pq.ParquetFile(data / "all.parquet").metadata.row_group(0).column(0).statistics
    assert (statistics.min, statistics.max) == (min(listed), max(listed))


def test_where_all_pictures_are_shown_there_is_no_second_list_of_them(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    write_data(data, world.write_bucket(tmp_path, world.groups({"apple": 5}), most=5))
    assert not (data / "all.parquet").exists()


#: Colours that a JPEG keeps apart.
COLOURS = [(red, green, blue) for red in range(20, 256, 60) for green in range(20, 256, 60) for blue in (20, 120, 220)]


@given(
    # For each row of the table, in its order: which picture it answers (none: a row of no interest), in which file.
    rows=st.permutations([*range(9), *[None] * 5]).flatmap(
        lambda order: st.tuples(st.just(order), st.lists(st.integers(0, 3), min_size=14, max_size=14))
    ),
    batch=st.integers(1, 6),
)
def test_each_picture_has_its_thumbnail_whatever_the_order_of_files_and_rows(
    tmp_path_factory: pytest.TempPathFactory, rows: tuple[list[int | None], list[int]], batch: int
) -> None:
    """Rows of a file lie in the order in which workers ended, files are merged, and others' rows lie between."""
    folder = tmp_path_factory.mktemp("run")
    files: dict[str, list[world.Stored]] = {}
    answers: dict[int, dict[str, object]] = {}
    for at, (picture, number) in enumerate(zip(*rows, strict=True)):
        name = f"outcome=featurized/{number}.parquet"
        stored = files.setdefault(name, [])
        if picture is not None:
            answers[picture] = {"path": str(picture), "label": "", "etag": "1", "file": name, "row": len(stored)}
        stored.append(world.Stored("", world.jpeg(COLOURS[at], (8 + at, 16)), 100 + at, 200 + at))
    for name, stored in files.items():
        world.put_pictures(folder, name, stored)
    table = BucketLayout(world.BUCKET).feature_table(world.MODEL)
    filesystem = pyarrow.fs.SubTreeFileSystem(str(folder), pyarrow.fs.LocalFileSystem())
    wanted = pa.Table.from_pylist([answers[picture] for picture in range(9)], schema=ANSWERS)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(thumbnails, "_BATCH", batch)
        found = write_sheets(folder, filesystem, table, wanted)
    assert (found.sheets, sorted(found.slot.tolist())) == (1, list(range(9)))
    for at, picture in enumerate(rows[0]):
        if picture is not None:
            sizes = (found.width, found.height, found.thumbnail_width, found.thumbnail_height)
            assert [int(size[picture]) for size in sizes] == [100 + at, 200 + at, 8 + at, 16]
            assert np.allclose(colour_in_sheet(folder, found.slot[picture], 4), COLOURS[at], atol=12)


def test_a_file_of_the_table_that_is_gone_is_told_by_its_name(tmp_path: Path) -> None:
    files = world.write_bucket(tmp_path, world.groups({"apple": 2}))
    data = tmp_path / "data"
    data.mkdir()
    (tmp_path / world.BUCKET / "features" / f"model={world.MODEL}" / world.PICTURES_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=world.PICTURES_FILE):
        write_data(data, files)


def test_neighbourhoods_are_those_of_an_exact_search() -> None:
    random = np.random.default_rng(3)
    scores = random.normal(size=(700, 6)).astype(np.float32)
    labels = random.integers(0, 4, 700).astype(np.int32)
    found = neighbours.find_neighbourhoods(scores, labels)
    assert found is not None
    distances, near = NearestNeighbors(n_neighbors=11, algorithm="brute").fit(scores).kneighbors(scores)
    theirs = labels[near[:, 1:]]
    assert (found.agreeing == (theirs == labels[:, None]).sum(axis=1)).all()
    assert np.allclose(found.nearest, distances[:, 1], atol=1e-3)
    for own, of_others, other, count in zip(labels, theirs, found.other, found.others, strict=True):
        counts = np.bincount(of_others[of_others != own], minlength=4)
        assert (counts[other], counts.max()) == (count, count)


def test_pictures_at_the_same_place_are_not_their_own_neighbours() -> None:
    found = neighbours.find_neighbourhoods(np.zeros((40, 3), np.float32), np.arange(40, dtype=np.int32))
    assert found is not None
    assert (found.agreeing == 0).all()


@pytest.mark.parametrize("count", [0, 1])
def test_without_others_there_is_no_neighbourhood(count: int) -> None:
    assert neighbours.find_neighbourhoods(np.zeros((count, 2), np.float32), np.zeros(count, np.int32)) is None


def test_a_page_on_a_disk_reads_the_same_bytes(tmp_path: Path) -> None:
    content = {"a.bin": bytes(range(256)) * 9000, "b.json": b"", "c.f32": b"\x00"}
    for name, body in content.items():
        (tmp_path / name).write_bytes(body)
    site.write_script(tmp_path / "all.js", [tmp_path / name for name in content])
    script = (tmp_path / "all.js").read_text(encoding="ascii")
    found = re.findall(r'vergerFiles\["([^"]+)"\] = "([^"]*)"', script)
    assert {name: base64.b64decode(encoded) for name, encoded in found} == content
