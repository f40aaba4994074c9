"""What `make demo` is asked for is refused in one line, before anything starts."""

from pathlib import Path

import pytest
from PIL import Image

from tools.local_run.demo_inputs import DemoInputs, InputError, parse_inputs


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder to call `make demo` in, with pictures and a weights file."""
    label = tmp_path / "my pictures" / "Pêche"
    label.mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(label / "a b.JPG", "JPEG")
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF\r\n\x1a\n and more")
    (tmp_path / "empty" / "label").mkdir(parents=True)
    (tmp_path / "empty" / "label" / "notes.txt").write_text("no picture")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.doc").write_text("years of work")
    return tmp_path


def test_nothing_given_means_drawn_pictures_ten_components_and_demo_output(folder: Path) -> None:
    assert parse_inputs({"K": ""}, folder) == DemoInputs(None, None, 10, folder / "demo-output", "", on_yarn=False)


def test_paths_are_those_of_the_folder_that_make_runs_in(folder: Path) -> None:
    words = {"IMAGES": "my pictures", "WEIGHTS": "./weights.h5", "K": "3", "OUT": "new/out", "CLUSTER": "yarn"}
    expected = DemoInputs(
        folder / "my pictures", folder / "weights.h5", 3, folder / "new" / "out", "cluster", on_yarn=True
    )
    assert parse_inputs(words, folder) == expected


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"COMPUTE": "there"}, r"COMPUTE=there: give one of auto, cluster, here"),
        ({"IMAGES": "nowhere"}, r"IMAGES=.*nowhere: there is no such folder"),
        ({"IMAGES": "weights.h5"}, r"IMAGES=.*weights\.h5 is a file"),
        ({"IMAGES": "empty"}, r"IMAGES=.*empty holds no picture"),
        ({"WEIGHTS": "nowhere.h5"}, r"WEIGHTS=.*nowhere\.h5 does not exist"),
        ({"WEIGHTS": "empty"}, r"WEIGHTS=.*empty is a folder"),
        ({"WEIGHTS": "empty/label/notes.txt"}, r"WEIGHTS=.*notes\.txt is no HDF5 file"),
        ({"CLUSTER": "emr"}, r"CLUSTER=emr: give local .* or yarn"),
        ({"K": "many"}, r"K=many: give a whole number from 1 to 1,280"),
        ({"K": "0"}, r"K=0: give a whole number"),
        ({"K": "1281"}, r"K=1281: give a whole number"),
        ({"K": "2.5"}, r"K=2\.5: give a whole number"),
        ({"K": "²"}, r"K=²: give a whole number"),
        ({"OUT": "weights.h5"}, r"OUT=.*weights\.h5 is a file"),
        ({"OUT": "mine"}, r"OUT=.*mine holds 'thesis\.doc', which is no result of Verger"),
        ({"OUT": "my pictures/out", "IMAGES": "my pictures"}, r"OUT=.* lies in IMAGES"),
        ({"OUT": "."}, r"OUT=.* holds Verger itself"),
        ({"OUT": "/"}, r"OUT=/ holds Verger itself"),
    ],
)
def test_what_cannot_be_done_is_one_line_with_the_value_and_what_to_do(
    folder: Path, words: dict[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        parse_inputs(words, folder)
    assert "\n" not in str(error.value)


def test_a_name_that_the_local_s3_server_cannot_take_is_named(folder: Path) -> None:
    long = folder / "my pictures" / "Pêche" / f"{'é' * 108}.jpg"
    long.write_bytes(b"218 is the most: this has 220 bytes")
    with pytest.raises(InputError, match=r"é\.jpg: the local S3 server takes names of at most 218 bytes"):
        parse_inputs({"IMAGES": "my pictures"}, folder)


def test_out_may_hold_the_results_of_an_earlier_demo(folder: Path) -> None:
    out = folder / "out"
    out.mkdir()
    (out / "matrix.csv").touch()
    assert parse_inputs({"OUT": "out"}, folder).out == out
