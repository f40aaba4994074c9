"""The names in a zip, whatever program wrote it."""

import logging
import zipfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.storage.layout import label_of
from verger.sync.archive import ZipSource
from verger.sync.pictures import LEADS_ELSEWHERE
from verger.sync.zip_names import read_name

from tests.verger.sync.zips import Entry, unicode_path, write_entries

FAT, UNIX, NTFS, MACINTOSH, MACOS = 0, 3, 10, 7, 19
DECOMPOSED = "Pa\u0302tisson/pe\u0302che.jpg"
COMPOSED = "P\u00e2tisson/p\u00eache.jpg"


def read(file: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Labels by key, and reasons by name; each picture's bytes are read, too."""
    with closing(ZipSource(file, "images/")) as source:
        pictures, left_out = source.pictures()
        for picture in pictures:
            assert source.content(picture).startswith("md5:")
    labels = {picture.key: label_of(picture.key, "images/") for picture in pictures}
    return labels, {entry.name: entry.reason for entry in left_out}


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        (Entry(COMPOSED.encode(), UNIX, 0x800), COMPOSED),
        (Entry(COMPOSED.encode(), UNIX), COMPOSED),
        (Entry(DECOMPOSED.encode(), UNIX), DECOMPOSED),  # the Finder
        (Entry(DECOMPOSED.encode(), MACOS), DECOMPOSED),
        (Entry(COMPOSED.encode(), FAT), COMPOSED),  # some Java
        (Entry(COMPOSED.encode("cp850"), FAT), COMPOSED),  # Windows' own
        (Entry(COMPOSED.encode("cp437"), FAT), COMPOSED),
        (Entry(COMPOSED.encode("cp850"), NTFS), COMPOSED),
        (Entry("ÁÊÎõø/Åß.jpg".encode("cp850"), FAT), "ÁÊÎõø/Åß.jpg"),  # 437 has no such letters
        (Entry("über/Öl.jpg".encode("cp437"), FAT), "über/Öl.jpg"),
        (Entry(COMPOSED.encode("cp1252"), UNIX), COMPOSED),  # Linux of old
        (Entry("œuf/é€.jpg".encode("cp1252"), UNIX), "œuf/é€.jpg"),
        (Entry(b"\x81\xe9.jpg", UNIX), "\x81é.jpg"),
        (Entry(COMPOSED.encode("mac_roman"), MACINTOSH), COMPOSED),
        (Entry(b"Pat/p.jpg", FAT, extra=unicode_path(b"Pat/p.jpg", COMPOSED)), COMPOSED),
        (Entry(b"\x83.jpg", FAT, extra=b"UT\x05\0\1aaaa" + unicode_path(b"\x83.jpg", "β.jpg")), "β.jpg"),
        # The field speaks of another name, of another version, is empty, or is not UTF-8.
        (Entry(b"new.jpg", FAT, extra=unicode_path(b"old.jpg", "old.jpg")), "new.jpg"),
        (Entry(b"a.jpg", FAT, extra=unicode_path(b"a.jpg", "b.jpg", version=2)), "a.jpg"),
        (Entry(b"a.jpg", FAT, extra=unicode_path(b"a.jpg", "")), "a.jpg"),
        (Entry(b"a.jpg", FAT, extra=unicode_path(b"a.jpg", "bb.jpg").replace(b"bb", b"\xff\xff")), "a.jpg"),
        (Entry(b"Apple\\Royal\\1.jpg", FAT), "Apple/Royal/1.jpg"),
        (Entry(b"Apple/Royal\\1.jpg", NTFS), "Apple/Royal/1.jpg"),
        (Entry("Pâtisson\\1.jpg".encode("cp850"), FAT), "Pâtisson/1.jpg"),
        (Entry("Pâtisson\\1.jpg".encode(), FAT, 0x800), "Pâtisson/1.jpg"),
        (Entry(b"Apple\\1.jpg", UNIX), "Apple/1.jpg"),  # a library that forgot where the archive was made
        (Entry(b"Apple\\1.jpg", UNIX, 0x800), "Apple/1.jpg"),
        (Entry(COMPOSED.encode("cp850"), UNIX), COMPOSED),
    ],
)  # fmt: skip
def test_a_name_is_read_as_it_was_meant(tmp_path: Path, entry: Entry, name: str) -> None:
    with zipfile.ZipFile(write_entries(tmp_path / "a.zip", entry)) as opened:
        assert read_name(opened.infolist()[0])[0] == name


def test_one_label_comes_out_of_macos_windows_and_linux_and_keys_stay_what_they_are(tmp_path: Path) -> None:
    windows = Entry(b"P\x83tisson/1.jpg", FAT)
    macos = Entry("Pa\u0302tisson/2.jpg".encode(), UNIX)
    linux = Entry("P\u00e2tisson/3.jpg".encode(), UNIX, 0x800)
    labels, _ = read(write_entries(tmp_path / "a.zip", windows, macos, linux))
    assert labels == {
        "images/P\u00e2tisson/1.jpg": "P\u00e2tisson",
        "images/Pa\u0302tisson/2.jpg": "P\u00e2tisson",
        "images/P\u00e2tisson/3.jpg": "P\u00e2tisson",
    }


def test_two_names_that_differ_in_their_normal_form_only_are_two_pictures(tmp_path: Path) -> None:
    labels, left_out = read(
        write_entries(tmp_path / "a.zip", Entry(COMPOSED.encode(), UNIX), Entry(DECOMPOSED.encode(), UNIX))
    )
    assert (set(labels), left_out) == ({f"images/{COMPOSED}", f"images/{DECOMPOSED}"}, {})


def test_of_two_entries_that_become_one_name_the_last_is_taken_and_the_other_named(tmp_path: Path) -> None:
    first, last = Entry(b"p\x88che.jpg", FAT, content=b"1"), Entry("pêche.jpg".encode(), UNIX, content=b"second")
    with closing(ZipSource(write_entries(tmp_path / "a.zip", first, first, last), "images/")) as source:
        (picture,), (replaced,) = source.pictures()
    assert (picture.name, picture.size) == ("pêche.jpg", 6)
    assert (replaced.name, replaced.files) == ("pêche.jpg", 2)
    assert replaced.reason == "another entry of the same name comes after it in the zip"


def test_backslashes_lead_out_of_a_folder_as_little_as_slashes(tmp_path: Path) -> None:
    labels, left_out = read(
        write_entries(tmp_path / "a.zip", Entry(b"..\\evil.jpg", FAT), Entry(b"C:\\x.jpg", FAT), Entry(b"a.jpg", FAT))
    )
    assert set(labels) == {"images/a.jpg"}
    assert left_out == {"../evil.jpg": LEADS_ELSEWHERE, "C:/x.jpg": LEADS_ELSEWHERE}


def test_a_folder_is_no_file_and_what_has_bytes_is_no_folder(tmp_path: Path) -> None:
    folders = [Entry(b"Apple\\", FAT, content=b""), Entry(b"Pear/", UNIX, content=b"")]
    labels, left_out = read(write_entries(tmp_path / "a.zip", *folders, Entry(b"Kiwi.jpg/", UNIX), Entry(b"a.jpg")))
    assert set(labels) == {"images/a.jpg"}
    assert set(left_out) == {"Kiwi.jpg/"}


def test_a_guess_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        read(write_entries(tmp_path / "a.zip", Entry(b"p\x88che.jpg", FAT), Entry(b"\x83.jpg", FAT)))
        read(write_entries(tmp_path / "b.zip", Entry("pêche.jpg".encode(), UNIX)))
    (record,) = caplog.records
    assert "how 2 of its names are written" in record.message
    assert "cp850, for example 'pêche.jpg'" in record.message


@given(
    st.binary(min_size=1, max_size=30), st.sampled_from([*range(20), 255]), st.binary(max_size=30), st.booleans()
)  # fmt: skip
def test_every_name_is_read_and_its_bytes_tell_it_from_others(
    tmp_path_factory: pytest.TempPathFactory, name: bytes, system: int, extra: bytes, field: bool
) -> None:
    fields = unicode_path(name, "β.jpg") if field else extra
    file = write_entries(tmp_path_factory.getbasetemp() / "any.zip", Entry(name, system, extra=fields))
    try:
        opened = zipfile.ZipFile(file)
    except zipfile.BadZipFile:  # zipfile reads the extra field as well
        assert not field
        return
    with opened:
        found, guessed = read_name(opened.infolist()[0])
    if field:
        assert (found, guessed) == ("β.jpg", "")
    elif not guessed:
        assert found.replace("/", "\\") == name.decode().replace("/", "\\")
    else:
        assert found.replace("/", "\\").encode(guessed) == name.replace(b"/", b"\\")


@pytest.mark.shared
@pytest.mark.parametrize(
    ("zip_name", "label", "left_out"),
    [
        ("macos.zip", "P\u00e2tisson", {"__MACOSX/": "in a hidden folder, or one of a system"}),
        ("windows_cp850.zip", "P\u00e2tisson", {}),
        ("backslashes.zip", "Apple", {}),
    ],
)
def test_zips_of_real_programs_give_their_labels(
    shared: Path, zip_name: str, label: str, left_out: dict[str, str]
) -> None:
    labels, others = read(shared / "cases" / "pictures" / zip_name)
    assert (list(labels.values()), others) == ([label], left_out)
