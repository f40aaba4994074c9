"""Every file that is left out is counted, and what is told of many is short."""

import json

from hypothesis import given
from hypothesis import strategies as st
from verger.storage.left_out import (
    SYSTEM_FOLDER,
    LeftOut,
    LeftOutFiles,
    count_files,
    describe_reasons,
    leave_out,
    summarize_left_out,
    system_reason,
)

ENTRIES = st.lists(
    st.builds(
        lambda name, reason, files: LeftOut(name, f"reason {reason}", name, files),
        st.text(min_size=1, max_size=3), st.integers(0, 40), st.integers(1, 9),
    )
)  # fmt: skip


@given(ENTRIES)
def test_every_file_is_counted_once(entries: list[LeftOut]) -> None:
    collected = LeftOutFiles()
    for entry in entries:
        collected.add(entry)
    summary = summarize_left_out(collected.entries())
    files = sum(entry.files for entry in entries)
    assert count_files(collected.entries()) == summary["files"] == files
    assert sum(reason["files"] for reason in summary["reasons"]) == files
    assert all(reason["examples"] for reason in summary["reasons"])


def test_what_is_told_does_not_grow_with_what_was_left_out() -> None:
    many = [LeftOut("x" * 5000 + str(number), f"reason {number}", "") for number in range(5000)]
    summary = summarize_left_out(many)
    assert summary["files"] == 5000
    assert len(json.dumps(summary)) < 50_000
    assert summary["reasons"][0] == {
        "reason": "other reasons",
        "files": 4980,
        "examples": summary["reasons"][0]["examples"],
    }
    assert len(describe_reasons(summary)) == 21


def test_the_files_of_a_system_s_folder_are_one_entry() -> None:
    collected = LeftOutFiles()
    for number in range(1000):
        collected.add(leave_out(f"Apple/.git/objects/{number}", "images/", SYSTEM_FOLDER))
    assert collected.entries() == [LeftOut("Apple/.git/", SYSTEM_FOLDER, "images/Apple/.git/", 1000)]


def test_a_name_that_would_act_is_printed_harmlessly_and_its_key_stays() -> None:
    entry = leave_out("a\n\x1b[31m\u202e.jpg", "images/", "a reason")
    assert (entry.name, entry.key) == ("a\\x0a\\x1b[31m\\u202e.jpg", "images/a\n\x1b[31m\u202e.jpg")


def test_people_s_own_files_have_no_reason() -> None:
    assert system_reason("Apple/1.jpg") is None
    assert system_reason("Apple/.hidden.jpg") == "a hidden file, or one of a system"
    assert system_reason(".hidden/1.jpg") == "in a hidden folder, or one of a system"


def test_the_log_names_the_first_of_each_reason() -> None:
    summary = summarize_left_out([LeftOut(f"{number}.txt", "no picture", "") for number in range(7)])
    assert describe_reasons(summary) == ["7 left out, no picture: '0.txt', '1.txt', '2.txt', '3.txt', '4.txt' ..."]
