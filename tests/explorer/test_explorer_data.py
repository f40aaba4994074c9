"""What the explorer's page reads: the right picture for each row, the right neighbours, nothing lost."""

import base64
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.neighbors import NearestNeighbors
from verger.plan.feature_table import DECODER_VERSION, Commit
from verger.publish.explorer import neighbours, site
from verger.publish.explorer.change_flags import CHANGED, NEW, SAME, change_of_each
from verger.publish.explorer.data import write_data
from verger.publish.explorer.thumbnails import CELL, COLUMNS, PER_SHEET, sheet_name

from tests.explorer import explorer_world as world


@pytest.fixture
def pictures() -> world.Pictures:
    found = world.groups({"apple": 200, "banana": 90, "Été +100 %": 30})
    return replace(found, rejects=[("mixed/broken, really.jpg", "truncated"), ("mixed/=1+1.jpg", "empty")])


def read_points(folder: Path) -> pa.Table:
    return pq.read_table(folder / "points.parquet")


def colour_in_sheet(folder: Path, slot: int) -> tuple[int, ...]:
    """The colour in the middle of a slot's cell."""
    cell = slot % PER_SHEET
    with Image.open(folder / sheet_name(slot // PER_SHEET)) as sheet:
        found = sheet.getpixel((cell % COLUMNS * CELL + 20, cell // COLUMNS * CELL + 20))
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


def test_rejects_are_read_as_they_were_before_they_were_made_harmless(tmp_path: Path, pictures: world.Pictures) -> None:
    data = tmp_path / "data"
    data.mkdir()
    files = world.write_bucket(tmp_path, pictures)
    csv = tmp_path / world.BUCKET / files.run.result_file("rejects.csv").key
    csv.write_text('path,label,stage,reason,detail\n"a,\n""b""",\'=1+1,decode,corrupt,\n', encoding="utf-8")
    write_data(data, files)
    assert pq.read_table(data / "rejects.parquet").to_pylist() == [
        {"path": 'a,\n"b"', "label": "=1+1", "stage": "decode", "reason": "corrupt", "detail": ""}
    ]


def test_a_picture_without_a_usable_thumbnail_has_none_and_the_rest_keep_theirs(tmp_path: Path) -> None:
    pictures = world.groups({"apple": 6})
    files = world.write_bucket(tmp_path, pictures)
    path = tmp_path / world.BUCKET / "features/model=m/part.parquet"
    rows = pq.read_table(path).to_pylist()
    large = io.BytesIO()
    Image.new("RGB", (4000, 10)).save(large, format="JPEG")
    png = io.BytesIO()
    Image.new("RGB", (8, 8)).save(png, format="PNG")
    for row, thumbnail in zip(rows, [None, b"", b"no picture", large.getvalue(), png.getvalue()], strict=False):
        row["thumbnail"] = thumbnail
    pq.write_table(pa.Table.from_pylist(rows, schema=world.FEATURE_SCHEMA), path)
    data = tmp_path / "data"
    data.mkdir()
    write_data(data, files)
    assert read_points(data)["slot"].to_pylist() == [-1, -1, -1, -1, -1, 0]


def test_the_thumbnail_is_of_the_picture_as_it_is_now(tmp_path: Path) -> None:
    """Of several rows of a picture the one with its etag counts, then one of this very run, and no other."""
    pictures = world.groups({"apple": 3})
    files = world.write_bucket(tmp_path, pictures)
    etags = files.manifest["etag"].to_pylist()
    paths = files.manifest["path"].to_pylist()
    red, green, blue = (250, 0, 0), (0, 250, 0), (0, 0, 250)

    def put(name: str, rows: list[tuple[str, str, tuple[int, int, int]]]) -> str:
        columns = [
            {"path": path, "etag": etag, "label": "", "width": 1, "height": 1, "thumbnail": world.jpeg(colour)}
            for path, etag, colour in rows
        ]
        key = f"features/model=m/{name}.parquet"
        pq.write_table(pa.Table.from_pylist(columns, schema=world.FEATURE_SCHEMA), tmp_path / world.BUCKET / key)
        return key

    old = put("old", [(paths[0], "another", red), (paths[1], "another", red), (paths[2], "another", red)])
    own = put("own", [(paths[1], "replaced meanwhile", blue), (paths[0], etags[0], green)])
    commits = [Commit(f"{files.run.slug}.00000", (own,), (), ()), Commit("earlier.00000", (old,), (), ())]
    data = tmp_path / "data"
    data.mkdir()
    write_data(data, replace(files, commits=commits))
    slots = read_points(data)["slot"].to_pylist()
    assert slots[2] == -1
    assert np.allclose(colour_in_sheet(data, slots[0]), green, atol=6)
    assert np.allclose(colour_in_sheet(data, slots[1]), blue, atol=6)


@pytest.mark.parametrize("old_first", [True, False], ids=["in an earlier file", "in a later file"])
def test_the_thumbnail_is_of_the_pixels_that_the_features_are_of(tmp_path: Path, *, old_first: bool) -> None:
    """A picture that was decoded again has a row of before with the same etag, in a file that tells no decoder."""
    pictures = world.groups({"apple": 2})
    files = world.write_bucket(tmp_path, pictures)
    pairs = list(zip(files.manifest["path"].to_pylist(), files.manifest["etag"].to_pylist(), strict=True))

    def put(name: str, colour: tuple[int, int, int], **more: object) -> str:
        rows = [
            {"path": path, "etag": etag, "width": 1, "height": 1, "thumbnail": world.jpeg(colour), **more}
            for path, etag in pairs
        ]
        key = f"features/model=m/{name}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / world.BUCKET / key)
        return key

    keys = [put("old", (250, 0, 0)), put("new", (0, 250, 0), decoder=DECODER_VERSION)]
    found = keys if old_first else keys[::-1]
    data = tmp_path / "data"
    data.mkdir()
    write_data(data, replace(files, commits=[Commit(f"r.{n:05d}", (key,), (), ()) for n, key in enumerate(found)]))
    for slot in read_points(data)["slot"].to_pylist():
        assert np.allclose(colour_in_sheet(data, slot), (0, 250, 0), atol=6)


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


def test_a_picture_is_new_changed_or_the_same() -> None:
    before = pa.table({"path": ["a", "b"], "etag": ["1", "1"]})
    now = pa.table({"path": ["a", "b", "c"], "etag": ["1", "2", "1"]})
    assert change_of_each(now, before).tolist() == [SAME, CHANGED, NEW]
    assert change_of_each(now, None).tolist() == [SAME] * 3


def test_a_page_on_a_disk_reads_the_same_bytes(tmp_path: Path) -> None:
    content = {"a.bin": bytes(range(256)) * 9000, "b.json": b"", "c.f32": b"\x00"}
    for name, body in content.items():
        (tmp_path / name).write_bytes(body)
    site.write_script(tmp_path / "all.js", [tmp_path / name for name in content])
    script = (tmp_path / "all.js").read_text(encoding="ascii")
    found = re.findall(r'vergerFiles\["([^"]+)"\] = "([^"]*)"', script)
    assert {name: base64.b64decode(encoded) for name, encoded in found} == content
