"""Which names may become keys."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.sync.pictures import MAX_KEY_BYTES, is_plain_name, is_usable_key, reason_to_leave_out

PIECES = st.lists(
    st.one_of(st.sampled_from(["..", ".", "", "a", "C:", "a\\b", "Pêche"]), st.text(max_size=5)), min_size=1, max_size=6
)


@given(st.text())
def test_a_usable_key_is_utf8_printable_and_short_enough(key: str) -> None:
    if is_usable_key(key):
        assert len(key.encode()) <= MAX_KEY_BYTES
        assert key.isprintable()


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
    ["../../etc/passwd.jpg", "/etc/x.jpg", "a/../../x.jpg", "C:/x.jpg", "..\\x.jpg", "a//x.jpg", "./x.jpg", "a\0.jpg"],
)
def test_path_tricks_are_left_out(name: str) -> None:
    assert reason_to_leave_out(name, f"images/{name}") == "its name cannot be a key of S3"


@pytest.mark.parametrize("name", ["a..b/1.jpg", "...jpg/2.jpg", "C/:x/1.jpg", "Apple Braeburn 1/0 100.jpg"])
def test_names_that_only_look_so_are_taken(name: str) -> None:
    assert is_plain_name(name)
