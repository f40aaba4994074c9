"""The drawn fruit."""

from __future__ import annotations

import dataclasses
import hashlib
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spark_jobs.worker.decode import UndecodableError, decode_image
from tools import draw_images
from tools.draw_images import Conditions, Drawing, draw, write_images
from tools.drawing import catalogue
from tools.drawing.broken import BROKEN_KINDS, encoded

if TYPE_CHECKING:
    from tools.drawing.scene import Difficulty


def _contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.mark.parametrize("label", [*catalogue.CATALOGUE, "Banana v2"])
@pytest.mark.parametrize("difficulty", ["easy", "medium", "hard"])
def test_every_label_can_be_drawn_and_its_pictures_differ(label: str, difficulty: Difficulty) -> None:
    first, second = (np.asarray(draw(label, index, difficulty=difficulty), np.int16) for index in (0, 1))
    assert first.shape == (100, 100, 3)
    assert np.abs(first - second).mean() > 2
    assert first.std() > 10


def test_the_same_picture_is_drawn_twice_and_another_for_another_seed() -> None:
    assert draw("Kaki+", 3, 7).tobytes() == draw("Kaki+", 3, 7).tobytes()
    assert draw("Kaki+", 3, 7).tobytes() != draw("Kaki+", 3, 8).tobytes()


@settings(max_examples=25)
@given(st.sampled_from(list(catalogue.CATALOGUE)), st.integers(8, 160), st.integers(8, 160), st.integers(0, 10**9))
def test_any_size_can_be_drawn(label: str, width: int, height: int, index: int) -> None:
    image = draw(label, index, size=(width, height), difficulty="hard")
    assert (image.mode, image.size) == ("RGB", (width, height))


@pytest.mark.parametrize("what", [field.name for field in dataclasses.fields(Conditions)])
def test_each_difficulty_changes_the_pictures_and_more_of_it_more(what: str) -> None:
    easy, some, much = (
        np.stack(
            [np.asarray(draw("Lemon", index, difficulty=Conditions(**{what: level})), np.int16) for index in range(8)]
        )
        for level in (0.0, 0.3, 1.0)
    )
    assert (easy == np.stack([np.asarray(draw("Lemon", index), np.int16) for index in range(8)])).all()
    assert 0 < np.abs(some - easy).mean() < np.abs(much - easy).mean()


def test_shapes_and_colours_leave_the_background_alone() -> None:
    plain, changed = (
        np.asarray(draw("Lemon", 1, difficulty=conditions), np.int16)
        for conditions in ("easy", Conditions(shapes=1, colours=1))
    )
    assert (plain[:8] == changed[:8]).all()
    assert (plain != changed).any()


@pytest.mark.parametrize("level", [-0.1, 1.1, float("nan")])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match=r"from 0 \(easy\) to 1 \(hard\)"):
        Conditions(lighting=level)


def test_a_photograph_has_a_cameras_size() -> None:
    assert draw_images.camera_size(12) == (4000, 3000)
    image = draw("Banana", 0, size=(1600, 1200))
    assert image.size == (1600, 1200)
    assert np.asarray(image).std() > 10


def test_the_first_eight_labels_hold_the_characters_that_break_naive_code() -> None:
    assert set(" %#+=ê") <= set("".join(catalogue.labels(8)))
    assert all(unicodedata.is_normalized("NFC", label) for label in catalogue.CATALOGUE)
    assert not any(set('/\\:*?"<>|') & set(label) for label in catalogue.CATALOGUE)


@given(st.integers(1, 300))
def test_any_number_of_labels_is_handed_out_each_different_and_drawable(count: int) -> None:
    found = catalogue.labels(count)
    assert len(set(found)) == count
    assert all(catalogue.kind_of(label) for label in found)


@pytest.mark.parametrize("label", ["Durian", "Banana v0", "Durian v2", ""])
def test_a_label_that_is_not_in_the_catalogue_is_refused(label: str) -> None:
    with pytest.raises(ValueError, match="cannot be drawn: the names are Apple Braeburn"):
        draw(label, 0)


def test_too_small_a_picture_and_no_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="too small"):
        draw("Banana", 0, size=7)
    with pytest.raises(ValueError, match="at least 1"):
        catalogue.labels(0)


def test_files_are_the_same_whatever_the_number_of_processes(tmp_path: Path) -> None:
    drawing = Drawing(images=410, labels=5, broken=5, size=(100, 100))
    write_images(tmp_path / "one", drawing, processes=1)
    written = write_images(tmp_path / "two", drawing, processes=2)
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")
    assert len(_contents(tmp_path / "one")) == 415
    assert sum(written.per_label.values()) == 410


def test_more_pictures_leave_the_first_ones_alone(tmp_path: Path) -> None:
    write_images(tmp_path, Drawing(images=20, labels=4))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jpg")}
    write_images(tmp_path, Drawing(images=24, labels=4))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(tmp_path.rglob("*.jpg"))) == 24


def test_a_size_range_is_kept_and_used(tmp_path: Path) -> None:
    write_images(tmp_path, Drawing(images=30, size_range=(40, 90)))
    sizes = {_size(path) for path in tmp_path.rglob("*.jpg")}
    assert len(sizes) > 10
    assert all(width == height and 40 <= width <= 90 for width, height in sizes)


def test_broken_files_are_broken_as_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_images(tmp_path, Drawing(images=8, broken=5))
    truncated, text, empty, huge, png = (file.path for file in written.broken)
    with Image.open(truncated) as image, pytest.raises(OSError, match="truncated"):
        image.load()
    assert text.read_text().startswith("<html>")
    assert empty.stat().st_size == 0
    assert huge.stat().st_size < 200_000
    # Pillow's own limit belongs to the whole process, and featurize lifts it for its own.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    with Image.open(huge) as image:
        assert image.size == (30_000, 30_000)
    with Image.open(png) as image:
        image.load()
        assert image.format == "PNG"
    assert [file.outcome.split(":")[0] for file in written.broken] == ["reject"] * 4 + ["no reject"]


def test_every_broken_file_is_what_featurize_makes_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    written = write_images(tmp_path, Drawing(images=0, labels=1, broken=len(BROKEN_KINDS)))
    for file in written.broken:
        content = file.path.read_bytes()
        if file.outcome.startswith("no reject: "):
            decode_image(content, max_pixels=100_000_000)
            continue
        with pytest.raises(UndecodableError) as caught:
            decode_image(content, max_pixels=100_000_000)
        assert file.outcome == f"reject: decode, {caught.value.reason}"


def test_a_sideways_picture_stands_upright_again() -> None:
    image = draw("Pear Williams", 1, size=(90, 120))
    sideways = next(kind for kind in BROKEN_KINDS if kind.name == "sideways.jpg")
    seen = decode_image(sideways.spoil(image), max_pixels=100_000_000)
    upright = decode_image(encoded(image), max_pixels=100_000_000)
    assert (seen.width, seen.height) == (90, 120)
    assert np.abs(seen.pixels.astype(np.int16) - upright.pixels).mean() < 3


def test_the_huge_picture_is_a_valid_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    huge = write_images(tmp_path, Drawing(images=0, broken=4)).broken[3].path
    with Image.open(huge) as image:
        assert image.size == (30_000, 30_000)
        image.verify()


def test_the_program_lists_labels_and_broken_files(tmp_path: Path) -> None:
    program = Path(str(draw_images.__file__))
    arguments = ["--output", str(tmp_path), "--images", "10", "--labels", "2", "--broken", "1", "--difficulty", "hard"]
    arguments += ["--lighting", "0.2"]
    done = subprocess.run(
        [sys.executable, program, *arguments], capture_output=True, text=True, check=True, timeout=300
    )
    assert done.stdout.splitlines() == [
        "      5  Apple Braeburn",
        "      5  Banana",
        " broken  Apple Braeburn/broken 000 truncated.jpg  (reject: decode, truncated)",
        f"10 pictures in {tmp_path}",
    ]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--labels", "0"], "0 labels"),
        (["--images", "-1"], "-1 pictures"),
        (["--size-range", "9", "8"], "upside down"),
        (["--sizes", "2"], "sizes of 2.0"),
    ],
)
def test_the_program_refuses_what_cannot_be_drawn(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    command = [sys.executable, str(draw_images.__file__), "--output", str(tmp_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert done.stderr.startswith("verger: error: ")
    assert complaint in done.stderr
