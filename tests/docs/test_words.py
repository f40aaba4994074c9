"""The documents are written in plain technical English: the field's words, and one word for one thing."""

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

#: What a reader has to translate, and what is said instead.
INSTEAD = {
    r"\breckon(s|ed|ing)?\b": "calculate",
    r"\banew\b": "again",
    r"\bto be had\b": "available",
    r"\bmend(s|ed|ing)?\b": "fix, correct",
    r"\bcritical account\b": "limitations and trade-offs",
    r"\bis no (?!more\b|longer\b|way\b|room\b|picture\.)": "is not a",
    r"\bone row a (picture|image)\b": "one row per picture",
    r"\b(images|pictures) a second\b": "images per second",
}


def documents() -> list[Path]:
    found = [
        PROJECT / "README.md",
        PROJECT / "CONTRIBUTING.md",
        PROJECT / "CHANGELOG.md",
        *(PROJECT / "docs").glob("*.md"),
    ]
    return sorted(found)


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_a_document_says_it_in_plain_words(document: Path) -> None:
    lines = document.read_text("utf-8").splitlines()
    wrong = [
        f"{document.name}:{number}: {found[0]!r}: write {better!r}"
        for number, line in enumerate(lines, 1)
        for words, better in INSTEAD.items()
        if (found := re.search(words, line, re.IGNORECASE))
    ]
    assert not wrong


def test_the_list_finds_what_it_names() -> None:
    said = "We reckon it anew; it is no PUT, none is to be had, mends one row a picture at 3 images a second"
    assert sum(bool(re.search(words, said)) for words in INSTEAD) == len(INSTEAD) - 1
