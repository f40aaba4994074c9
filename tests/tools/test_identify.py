"""`tools/identify.py` as its users run it, on a classifier as publishing saves it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.tools.model_program import PROJECT
from tools.drawing.broken import encoded
from tools.drawing.catalogue import labels
from tools.drawing.scene import draw
from tools.model import agreement, pictures

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tools.model_program import Prepared

NODE_PYTHON = PROJECT / ".venv" / "node" / "bin" / "python"
NAMES = labels(3)
HOSTILE = "apple\x1b[31m"


def drawn(label: str, number: int) -> bytes:
    return encoded(draw(label, number, difficulty="easy"))


def identify(*arguments: object) -> subprocess.CompletedProcess[str]:
    if not NODE_PYTHON.exists():
        pytest.skip("the environment `node` is not there: make .venv/node/.ready")
    command = [NODE_PYTHON, PROJECT / "tools" / "identify.py", *arguments]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=120, env=kept
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory, random_model: Prepared) -> Path:
    """The results of a run of three labels; the first one's name is hostile."""
    folder = tmp_path_factory.mktemp("results")
    known = [pictures.decoded(name, drawn(name, number)) for name in NAMES for number in range(12)]
    codes = np.repeat(np.arange(3), 12)
    features = agreement.litert_features(random_model.flatbuffer, known)
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    classifier = folder / "classifier"
    classifier.mkdir()
    middles = np.stack([features[codes == code].mean(axis=0) for code in range(3)])
    apart = middles - middles.mean(axis=0)
    np.savez(
        classifier / "classifier.npz",
        coefficients=apart.astype(np.float32),
        intercept=(-(middles**2 - middles.mean(axis=0) ** 2).sum(axis=1) / 2).astype(np.float32),
    )
    named = [HOSTILE, *NAMES[1:]]
    rows = {
        "path": [f"s3://b/images/{named[code]}/{at}.jpg" for at, code in enumerate(codes)],
        "label": [named[code] for code in codes],
        "features": pa.FixedSizeListArray.from_arrays(pa.array(units.astype(np.float32).ravel()), 1280),
    }
    pq.write_table(pa.table(rows), classifier / "references.parquet")
    shutil.copy(random_model.folder / "model.tflite", classifier / "model.tflite")
    digest = hashlib.sha256((classifier / "classifier.npz").read_bytes()).hexdigest()
    description = {"format": 1, "labels": named, "unlike_distance": 0.001, "sha256": digest}
    (classifier / "classifier.json").write_text(json.dumps(description))
    return folder


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_known_picture_has_its_label_and_itself_as_the_nearest(results: Path, tmp_path: Path) -> None:
    picture = put(tmp_path, "one.jpg", drawn(NAMES[1], 5))
    done = identify("--results", results, "--json", picture)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["labels"][0][0] == NAMES[1]
    assert found["nearest"][0][0] == f"s3://b/images/{NAMES[1]}/17.jpg"
    assert found["nearest"][0][1] == pytest.approx(1, abs=1e-3)
    assert found["unlike"] is False


def test_a_picture_unlike_everything_is_said_to_be_so(results: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    done = identify("--results", results, put(tmp_path, "noise.png", pictures_of(noise)))
    assert done.returncode == 0, done.stderr
    assert "unlike everything known" in done.stdout


def pictures_of(pixels: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    from PIL import Image  # noqa: PLC0415 -- one test's

    return encoded(Image.fromarray(pixels))


def test_a_hostile_label_commands_no_terminal(results: Path, tmp_path: Path) -> None:
    done = identify("--results", results, put(tmp_path, "a\x1bb.jpg", drawn(NAMES[0], 2)))
    assert "\x1b" not in done.stdout + done.stderr
    assert r"apple\x1b[31m" in done.stdout


def test_what_is_no_picture_is_told_and_the_others_are_identified(results: Path, tmp_path: Path) -> None:
    bad = put(tmp_path, "bad.jpg", b"no picture")
    done = identify("--results", results, bad, tmp_path / "gone.jpg", put(tmp_path, "good.jpg", drawn(NAMES[2], 1)))
    assert done.returncode == 1
    assert "bad.jpg cannot be read" in done.stderr
    assert "gone.jpg cannot be read: No such file" in done.stderr
    assert f"good.jpg: {NAMES[2]}" in done.stdout


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("classifier.json", None, "name the folder of a run's results"),
        ("classifier.json", b"{}", "damaged"),
        ("classifier.json", b'{"format": 2}', "of format 2"),
        ("classifier.json", b'{"format": "\\u001b[31m"}', r"of format \x1b[31m"),
        ("classifier.npz", b"other", "is not the file that classifier.json describes"),
        ("references.parquet", b"PAR1", "damaged"),
        ("references.parquet", b"PAR1" + b"\xff" * 40 + b"\x20\0\0\0PAR1", "damaged"),
        ("model.tflite", b"no model", "damaged"),
    ],
)
def test_results_that_cannot_be_used_are_one_clear_error(
    results: Path, tmp_path: Path, file: str, content: bytes | None, words: str
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(results, broken)
    if content is None:
        (broken / "classifier" / file).unlink()
    else:
        (broken / "classifier" / file).write_bytes(content)
    done = identify("--results", broken, put(tmp_path, "one.jpg", drawn(NAMES[1], 5)))
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("change", [{"labels": ["one"]}, {"labels": None}, {"unlike_distance": None}])
def test_a_description_that_does_not_fit_is_one_clear_error(
    results: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(results, broken)
    file = broken / "classifier" / "classifier.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    done = identify("--results", broken, put(tmp_path, "one.jpg", drawn(NAMES[1], 5)))
    assert (done.returncode, done.stdout) == (2, "")
    assert "damaged" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_without_a_region_says_what_to_set(tmp_path: Path) -> None:
    done = identify("--results", "s3://fruits-data", put(tmp_path, "one.jpg", b""))
    assert done.returncode == 2
    assert "AWS_REGION" in done.stderr
