"""The variants of Fruits-360, drawn as GitHub and Kaggle pack them, become folders with one folder a label."""

from __future__ import annotations

import io
import json
import sys
import zipfile
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from verger.storage.layout import label_of
from verger.sync.zip_file import ArchiveError

from tools import fetch_fruits360
from tools.fetching.layouts import SEVERAL, VARIANTS
from tools.fetching.readme import Said, read_said
from tools.fetching.unpacking import place_of, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

COMMIT = "0a1b2c3d4e5f60718293a4b5c6d7e8f901234567"
README = """# Fruits-360: A dataset of images #

## Version: 2025.03.09.0 ##

## Dataset properties ##

Total number of images: {total}.

{parts}

Number of classes: {labels} (fruits, vegetables, nuts and seeds).
"""
#: What lies in the repository of each variant, and what is made of it.
REPOSITORIES = {
    "100x100": {
        "Training/Apple 10/r0_0_100.jpg": "Training/Apple 10/r0_0_100.jpg",
        "Training/Kiwi 1/0_100.jpg": "Training/Kiwi 1/0_100.jpg",
        "Test/Kiwi 1/r0_3_100.jpg": "Test/Kiwi 1/r0_3_100.jpg",
    },
    "original-size": {
        "Training/Almonds 1/r0_0.jpg": "Training/Almonds 1/r0_0.jpg",
        "Validation/Almonds 1/r0_1.jpg": "Validation/Almonds 1/r0_1.jpg",
        "Test/Almonds 1/r0_3.jpg": "Test/Almonds 1/r0_3.jpg",
    },
    "3-body-problem": {
        "Training/Apple/Apple Red 2/0_100.jpg": "Training/Apple/Apple Red 2 0_100.jpg",
        "Training/Apple/Apple Golden 1/0_100.jpg": "Training/Apple/Apple Golden 1 0_100.jpg",
        "Training/Cherry/Cherry Rainier 1/0_100.jpg": "Training/Cherry/Cherry Rainier 1 0_100.jpg",
        "Test/Apple/Apple 6/r0_100.jpg": "Test/Apple/Apple 6 r0_100.jpg",
        "Test/Tomatoe/7_100.jpg": "Test/Tomatoe/7_100.jpg",
    },
    "multi": {
        "test-multiple_fruits/ananas_lemon_2.jpg": "test-multiple_fruits/ananas_lemon/ananas_lemon_2.jpg",
        "test-multiple_fruits/apple_100.JPG": "test-multiple_fruits/apple/apple_100.JPG",
        "test-multiple_fruits/apple_11.jpg": "test-multiple_fruits/apple/apple_11.jpg",
        "test-multiple_fruits/cherries_wax1.jpg": "test-multiple_fruits/cherries_wax/cherries_wax1.jpg",
        "test-multiple_fruits/17.jpg": "test-multiple_fruits/unnamed/17.jpg",
        "test-multiple_fruits/mango/17.jpg": "test-multiple_fruits/mango/17.jpg",
    },
}
every_variant = pytest.mark.parametrize("variant", list(REPOSITORIES))


def picture(shade: int) -> bytes:
    stored = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 90, 30)).save(stored, "JPEG")
    return stored.getvalue()


def zip_of(path: Path, files: Mapping[str, bytes], comment: str = "") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for folder in sorted({name.rpartition("/")[0] for name in files if "/" in name}):
            archive.writestr(f"{folder}/", b"")
        for name, content in files.items():
            archive.writestr(name, content)
        archive.comment = comment.encode()
    return path


def repository(variant: str, readme: str = "") -> dict[str, bytes]:
    """The files of a variant's repository."""
    pictures = {name: picture(shade) for shade, name in enumerate(REPOSITORIES[variant])}
    return {"LICENSE": b"CC BY-SA 4.0", "README.md": readme.encode(), **pictures}


def from_github(path: Path, variant: str, readme: str = "", branch: str = "main") -> Path:
    """An archive as GitHub makes it: below a folder of the repository and its branch, the commit in the comment."""
    top = f"fruits-360-{variant}-{branch}"
    return zip_of(path, {f"{top}/{name}": content for name, content in repository(variant, readme).items()}, COMMIT)


def from_kaggle(path: Path) -> Path:
    """An archive as Kaggle makes it, with all variants in it."""
    inner = {"100x100": "fruits-360"}
    return zip_of(
        path,
        {
            f"fruits-360_{variant}/{inner.get(variant, f'fruits-360-{variant}')}/{name}": content
            for variant in REPOSITORIES
            for name, content in repository(variant).items()
        }
        | {"fruits-360-meta/papers/2018.jpg": picture(1)},
    )


def pictures_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def expected(variant: str) -> dict[str, bytes]:
    return {
        f"fruits-360-{variant}/{place}": picture(shade) for shade, place in enumerate(REPOSITORIES[variant].values())
    }


@every_variant
@pytest.mark.parametrize("branch", ["main", COMMIT, "2025.03.09-rc"])
def test_a_variant_from_github_has_one_folder_a_label(tmp_path: Path, variant: str, branch: str) -> None:
    archive = from_github(tmp_path / "a.zip", variant, branch=branch)
    unpacked = unpack(archive, tmp_path / "out", VARIANTS[variant].parts, VARIANTS[variant])
    found = pictures_in(tmp_path / "out")
    assert found == expected(variant)
    assert unpacked.labels == len({label_of(name, "") for name in found})
    assert (unpacked.commit, unpacked.left_out) == (COMMIT, 2)
    assert set(unpacked.labels_of) == set(unpacked.pictures)


@every_variant
def test_a_variant_is_found_among_all_of_kaggle_s(tmp_path: Path, variant: str) -> None:
    unpacked = unpack(from_kaggle(tmp_path / "a.zip"), tmp_path / "out", VARIANTS[variant].parts, VARIANTS[variant])
    assert (pictures_in(tmp_path / "out"), unpacked.commit) == (expected(variant), "")


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[int, list[str], list[str]]:
    """The program, run here: its exit code, what it said, and its complaints."""
    monkeypatch.setattr(sys, "argv", ["fetch_fruits360.py", *words])
    code = fetch_fruits360.main()
    out, err = capsys.readouterr()
    return code, out.splitlines(), err.splitlines()


def test_version_and_counts_are_told_and_kept_beside_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = "Training set size: 3 images (one fruit per image).\n\nTest set size: 1 images."
    # As if it were downloaded already: tests/tools/test_fetch_fruits360.py downloads.
    from_github(tmp_path / "f.zip", "100x100", README.format(total="1,003", parts=parts, labels=2))
    code, said, _ = run(monkeypatch, capsys, str(tmp_path / "f"), "--variant", "100x100")
    assert code == 0
    assert f"       1  {tmp_path}/f/fruits-360-100x100/Test (1 labels)" in said
    assert said[-3:] == [
        f"variant 100x100, version 2025.03.09.0, commit {COMMIT}",
        "its readme counts Training: 3 pictures, and 2 came",
        "its readme counts 1,003 pictures in all, and 3 came",
    ]
    source = json.loads((tmp_path / "f" / "SOURCE.json").read_text("utf-8"))
    assert source["readme"] == {
        "version": "2025.03.09.0", "pictures": 1003, "labels": 2, "parts": {"Training": 3, "Test": 1},
    }  # fmt: skip
    assert (source["variant"], source["commit"], source["url"]) == ("100x100", COMMIT, VARIANTS["100x100"].url)
    assert source["labels_of"] == {"fruits-360-100x100/Test": 1, "fruits-360-100x100/Training": 2}
    assert run(monkeypatch, capsys, str(tmp_path / "f"), "--variant", "100x100")[0] == 0
    code, _, complaints = run(monkeypatch, capsys, str(tmp_path / "f"), "--variant", "multi")
    assert (code, len(complaints)) == (1, 1)
    assert "holds another variant (100x100)" in complaints[0]


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff"])
def test_a_folder_whose_source_file_is_damaged_is_left_alone(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "SOURCE.json").write_bytes(content)
    code, _, complaints = run(monkeypatch, capsys, str(tmp_path))
    assert (code, len(complaints)) == (1, 1)
    assert "is not what an earlier call wrote" in complaints[0]


def test_a_part_alone_is_compared_with_its_own_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = README.format(total=3, parts="Training set size: 2 images\n\nTest set size: 1 images.", labels=2)
    from_github(tmp_path / "f.zip", "100x100", readme)
    words = ("--variant", "100x100", "--part", "Test", "--part", "Test")
    code, said, _ = run(monkeypatch, capsys, str(tmp_path / "f"), *words)
    assert (code, said[-1].partition(",")[0]) == (0, "variant 100x100")
    assert set(pictures_in(tmp_path / "f")) == {"SOURCE.json", "fruits-360-100x100/Test/Kiwi 1/r0_3_100.jpg"}


@pytest.mark.parametrize(("variant", "part"), [("multi", "Training"), ("100x100", "Validation"), ("100x100", SEVERAL)])
def test_a_part_that_a_variant_does_not_have_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variant: str, part: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(monkeypatch, capsys, str(tmp_path / "f"), "--variant", variant, "--part", part)
    assert f"--part {part}: the variant has {', '.join(VARIANTS[variant].parts)}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variant", "packed", "complaint"),
    [
        ("100x100", "3-body-problem", "as the variant 100x100, where pictures are <part>/<label>/<picture>"),
        ("original-size", "100x100", "holds no Training and no Validation and no Test"),
        ("multi", "100x100", "pictures in fruits-360-100x100-main/Test/Kiwi 1/ (1), "),
        (
            "100x100",
            "multi",
            "at its top: fruits-360-multi-main; pictures in fruits-360-multi-main/test-multiple_fruits/",
        ),
    ],
)
def test_another_layout_is_refused_and_says_what_is_there(
    tmp_path: Path, variant: str, packed: str, complaint: str
) -> None:
    with pytest.raises(ArchiveError) as raised:
        unpack(from_github(tmp_path / "a.zip", packed), tmp_path / "out", VARIANTS[variant].parts, VARIANTS[variant])
    assert complaint in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_variant_without_one_of_its_parts_is_refused(tmp_path: Path) -> None:
    files = {f"data-main/Training/Kiwi {number}/1.jpg": picture(number) for number in range(8)}
    with pytest.raises(ArchiveError, match=r"it holds no Test; at its top: data-main; .* and 3 more folders"):
        unpack(zip_of(tmp_path / "a.zip", files), tmp_path / "out", ("Training", "Test"), VARIANTS["100x100"])


@every_variant
def test_pointers_of_git_lfs_are_not_taken_for_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variant: str
) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n"
    zip_of(tmp_path / "f.zip", {f"top-main/{name}": pointer for name in REPOSITORIES[variant]})
    code, _, complaints = run(monkeypatch, capsys, str(tmp_path / "f"), "--variant", variant)
    assert (code, len(complaints), (tmp_path / "f").exists()) == (1, 1, False)
    assert "is a pointer of Git LFS and not the picture itself" in complaints[0]


@every_variant
def test_each_variant_has_its_own_address_on_github(variant: str) -> None:
    address = urlsplit(VARIANTS[variant].url)
    assert (address.scheme, address.hostname) == ("https", "codeload.github.com")
    assert address.path == f"/fruits-360/fruits-360-{variant}/zip/refs/heads/main"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", Said()),
        ("# fruits-360-3-body-problem\n3 Body Problem\n", Said()),
        ("## Version: 2025.06.18.2 ##\n\nTotal number of images: 48236.", Said("2025.06.18.2", 48236)),
        ("## version: 2026.09.20.0\r\nTotal number of images: 919", Said("2026.09.20.0", 919)),
        ("Version: 1\nTest set size: 11,365 images.\nNumber of classes: 69", Said("1", None, 69, {"Test": 11365})),
    ],
)
def test_a_readme_is_read_as_far_as_it_says_something(text: str, said: Said) -> None:
    assert read_said({"top/LICENSE": "Version: none", "top/README.md": text}) == said


@given(st.sampled_from(list(REPOSITORIES)), st.lists(st.text(max_size=12), min_size=1, max_size=5), st.data())
def test_no_name_leaves_the_folder_of_its_variant(variant: str, words: list[str], data: st.DataObject) -> None:
    parts = st.sampled_from([*VARIANTS[variant].parts, "fruits-360-multi-main", "Kiwi"])
    name = "/".join([*(data.draw(st.one_of(st.just(word), parts)) for word in words), "1.jpg"])
    try:
        place = place_of(name, VARIANTS[variant])
    except ArchiveError:
        return
    if place is not None:
        assert (len(place.parts), place.parts[0]) == (4, f"fruits-360-{variant}")
        assert place.parts[1] in VARIANTS[variant].parts
        assert ".." not in place.parts
        assert place.name.endswith("1.jpg")
