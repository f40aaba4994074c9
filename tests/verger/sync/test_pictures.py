"""Which names may become keys."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.storage.file_names import harmful_character
from verger.sync.pictures import (
    LEADS_ELSEWHERE,
    MAX_KEY_BYTES,
    NOT_UTF8,
    TOO_LONG,
    is_plain_name,
    reason_not_to_be_a_key,
    reason_to_leave_out,
)

PIECES = st.lists(
    st.one_of(st.sampled_from(["..", ".", "", "a", "C:", "a\\b", "Pêche"]), st.text(max_size=5)), min_size=1, max_size=6
)


@given(st.text(st.characters()))
def test_what_may_be_a_key_is_utf8_harmless_and_short_enough(key: str) -> None:
    if reason_not_to_be_a_key(key, key) is None:
        assert len(key.encode()) <= MAX_KEY_BYTES
        assert harmful_character(key) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("\udcff.jpg", NOT_UTF8),
        ("a\nb.jpg", "its name holds U+000A, which would act on a terminal or in a page"),
        ("\u202egpj.exe.jpg", "its name holds U+202E, which would act on a terminal or in a page"),
        ("é" * 507 + "1.jpg", TOO_LONG),
        ("é" * 506 + ".jpg", None),
        ("a\u202fb\u00a0c\u200d\u200c\u00ad\u3000.jpg", None),
    ],
)
def test_what_s3_takes_is_taken_and_else_the_reason_is_the_true_one(name: str, reason: str | None) -> None:
    assert reason_to_leave_out(name, f"images/{name}") == reason


@given(PIECES)
def test_a_name_that_is_taken_stays_below_where_it_is_put(pieces: list[str]) -> None:
    name = "/".join([*pieces, "1.jpg"])
    if reason_to_leave_out(name, f"images/{name}") is None:
        resolved: list[str] = []
        for part in PurePosixPath(f"images/{name}").parts:
            if part == "..":
                resolved.pop()
            else:
                resolved.append(part)
        assert resolved[0] == "images"
        assert "/".join(resolved) == f"images/{name}"


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd.jpg", "/etc/x.jpg", "a/../../x.jpg", "C:/x.jpg", "a\\..\\x.jpg", "a//x.jpg", "./x.jpg"],
)
def test_path_tricks_are_left_out(name: str) -> None:
    assert reason_to_leave_out(name, f"images/{name}") == LEADS_ELSEWHERE


@pytest.mark.parametrize("name", ["a..b/1.jpg", "...jpg/2.jpg", "C/:x/1.jpg", "Apple Braeburn 1/0 100.jpg"])
def test_names_that_only_look_so_are_taken(name: str) -> None:
    assert is_plain_name(name)
