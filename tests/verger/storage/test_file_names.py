"""Whose a file is, what may be a key, and what a name does where it is printed."""

import unicodedata
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from verger.storage.file_names import harmful_character, is_folder, one_form, printable, system_part
from verger_rules.addresses import is_readable_key

NAMES = st.text(st.one_of(st.characters(), st.sampled_from("\0\n\r\x1b\x85\u2028\u202e\u2066\u200d\ud800\uffff")))


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Apple/.ipynb_checkpoints/1-checkpoint.jpg", "Apple/.ipynb_checkpoints/"),
        ("@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg", "@eaDir/"),
        ("DCIM/.thumbnails/1.jpg", "DCIM/.thumbnails/"),
        (".Trash/1.jpg", ".Trash/"),
        (".Trash-1000/files/1.jpg", ".Trash-1000/"),
        ("$RECYCLE.BIN/S-1-5-21/$R1.jpg", "$RECYCLE.BIN/"),
        ("$Recycle.Bin/$R1.jpg", "$Recycle.Bin/"),
        ("RECYCLER/1.jpg", "RECYCLER/"),
        ("System Volume Information/1.jpg", "System Volume Information/"),
        ("FOUND.000/FILE0000.jpg", "FOUND.000/"),
        ("#recycle/1.jpg", "#recycle/"),
        ("@Recycle/1.jpg", "@Recycle/"),
        ("photos/.@__thumb/1.jpg", "photos/.@__thumb/"),
        ("lost+found/#123.jpg", "lost+found/"),
        ("LOST.DIR/1.jpg", "LOST.DIR/"),
        ("__MACOSX/Apple/._1.jpg", "__MACOSX/"),
        ("__macosx/Apple/1.jpg", "__macosx/"),
        ("Temporary Items/1.jpg", "Temporary Items/"),
        (".picasaoriginals/1.jpg", ".picasaoriginals/"),
        ("2024/.dtrash/files/1.jpg", "2024/.dtrash/"),
        (".git/objects/1.png", ".git/"),
        ("Apple/.trashed-1718000000-IMG_1.jpg", "Apple/.trashed-1718000000-IMG_1.jpg"),
        ("Apple/._1.jpg", "Apple/._1.jpg"),
        (".DS_Store", ".DS_Store"),
        ("Apple/Thumbs.db", "Apple/Thumbs.db"),
        ("Apple/THUMBS.DB", "Apple/THUMBS.DB"),
        ("desktop.ini", "desktop.ini"),
        ("Icon\r", "Icon\r"),
        ("Apple_$folder$", "Apple_$folder$"),
        # The outermost counts: it is named once.
        ("a/@eaDir/.thumbnails/1.jpg", "a/@eaDir/"),
    ],
)
def test_what_systems_keep_for_themselves_and_what_is_hidden_is_known(name: str, part: str) -> None:
    assert system_part(name) == part


@pytest.mark.parametrize(
    "name",
    [
        "Apple/1.jpg", "Trash/1.jpg", "thumbnails/1.jpg", "eaDir/1.jpg", "a.b/1.jpg", "Apple./1.jpg", "#1/1.jpg",
        "@home/1.jpg",
        "$5 apples/1.jpg", "recycle/1.jpg", "found.1/1.jpg", "lost and found/1.jpg", "MACOSX/1.jpg", "../1.jpg",
        "./1.jpg", "", "a/",
        "desktop.ini/1.jpg", "lost+found.jpg", "System Volume Information.jpg",
    ],
)  # fmt: skip
def test_names_that_only_look_so_are_people_s_own(name: str) -> None:
    assert system_part(name) is None


@given(st.lists(st.text(max_size=4), min_size=1).map("/".join))
def test_the_part_begins_the_name_and_is_a_folder_or_all_of_it(name: str) -> None:
    part = system_part(name)
    if part is not None:
        assert name.startswith(part)
        assert part.endswith("/") or part == name


@pytest.mark.parametrize(
    "name",
    [
        "Screenshot 2024-05-01 at 10.00.00\u202fAM.png", "a\u00a0b.jpg", "👩\u200d🌾.jpg",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645.jpg",
        "soft\u00adhyphen.jpg", "全角\u3000空白.jpg", "\ufeffbom.jpg", "tag 🏴\U000e0067\U000e0062\U000e007f.jpg",
        "\u200f\u05e2\u05d1\u05e8\u05d9\u05ea.jpg", "\u2068isolated\u2069.jpg", "private \uf022.jpg",
        "\U0001fae9 newer than the tables.jpg",
        "Pa\u0302tisson.jpg", "ﬁ.jpg", "\u2003.jpg",
    ],
)  # fmt: skip
def test_what_s3_takes_and_nobody_is_harmed_by_may_be_a_key(name: str) -> None:
    assert harmful_character(name) is None


@pytest.mark.parametrize(
    "character",
    ["\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029", "\u202d", "\u202e", "\udcff", "\ufffe"]
)  # fmt: skip
def test_what_acts_where_it_is_read_or_cannot_be_sent_is_named(character: str) -> None:
    assert harmful_character(f"a{character}b.jpg") == f"U+{ord(character):04X}"


@given(NAMES)
@example("a\u202egpj.exe")
def test_what_is_printed_is_one_line_of_utf8_that_commands_nothing_and_runs_forward(name: str) -> None:
    shown = printable(name)
    shown.encode()
    assert len((shown + "x").splitlines()) == 1
    assert not any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in shown)
    assert not any(
        unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
        for character in shown
    )
    assert printable(shown) == shown


@given(NAMES)
def test_what_may_be_a_key_can_be_sent_in_xml(name: str) -> None:
    if harmful_character(name) is None:
        assert ET.fromstring(f"<Key>{escape(name)}</Key>").text == (name or None)  # noqa: S314 -- our own


def test_a_text_has_one_form_whatever_system_wrote_it() -> None:
    assert one_form("Pa\u0302tisson") == one_form("Pâtisson") == "P\u00e2tisson"


def test_an_empty_object_whose_key_ends_in_a_slash_is_a_folder_and_one_with_bytes_is_not() -> None:
    assert is_folder("images/Apple/", 0)
    assert not is_folder("images/Apple/", 1)
    assert not is_folder("images/Apple", 0)


@pytest.mark.parametrize("key", ["a//b", "/a", "a/", "a/./b", "a/..", "..", "a\tb", "a\n", "\x7f"])
def test_a_key_that_the_nodes_cannot_read_is_known_beforehand(key: str) -> None:
    assert not is_readable_key(f"images/{key}" if key[0] not in "./" else key)


@pytest.mark.parametrize("key", ["a/b", "..a/b..", ".../a", "a%2F%2Fb", "a\\..\\b", "é \u202f\x85"])
def test_every_other_key_can_be_read(key: str) -> None:
    assert is_readable_key(f"images/{key}")
