"""The innermost cause in what a failed Python or Java program wrote: the error under all that was raised because of it.

The local EMR reads such texts, too, and knows nothing of Verger: it has this file as well, and a test holds the two
equal.
"""

import re
from enum import IntEnum
from typing import NamedTuple

_TRACEBACK = "Traceback (most recent call last):"
_BECAUSE_OF = "The above exception was the direct cause of the following exception:"
_OF_PYTHON = re.compile(r"[A-Za-z_][\w.]*(?::|$)")
_OF_JAVA = re.compile(r'(?:Caused by: |: |Exception in thread "[^"]*" )(?=(?:[\w$]+\.)+[\w$]+(?::|$))')
#: What only hands on an error of the other language, whose own words follow.
_HANDED_ON = re.compile(r"(?:[\w.]+\.)?(?:Py4JJavaError|PythonException)\b")
_ABORTED = re.compile(r"org\.apache\.spark\.SparkException: Job aborted due to stage failure: ")
_ADDRESS = re.compile(r"(?:https?|s3[an]?)://[^\s'\"<>,)\]]+|\b[\w.-]+\.(?!(?:java|scala|py):)\w+:\d{2,5}\b")
_LONGEST = 1000  # characters


class _Rank(IntEnum):
    """How near an error is to the beginning of it all."""

    HANDS_ON = 0
    SUMS_UP = 1
    CAUSE = 2


class _Found(NamedTuple):
    rank: _Rank
    words: str


def innermost_cause(text: str) -> str:
    """One line: the error that began it, with an address it was about where the text has one; empty for none.

    Of Python's `raise ... from ...` it is the first error, of Java's `Caused by:` the last, and of a Python error that
    came through Java (Spark's workers) Python's own.
    """
    lines = text.splitlines()
    found = [error for number, line in enumerate(lines) if (error := _error_at(lines, number, line))]
    best = max((error.rank for error in found), default=_Rank.HANDS_ON)
    if best is _Rank.HANDS_ON:
        return ""
    cause = next(error.words for error in reversed(found) if error.rank is best)[:_LONGEST]
    address = "" if _ADDRESS.search(cause) else _last_address(found)
    return f"{cause} ({address})" if address else cause


def _error_at(lines: list[str], number: int, line: str) -> _Found | None:
    if line.rstrip().endswith(_TRACEBACK):
        words = _end_of_traceback(lines[number + 1 :])
        before = next((line.strip() for line in reversed(lines[:number]) if line.strip()), "")
        follows = before == _BECAUSE_OF or _HANDED_ON.match(words)
        return _Found(_Rank.HANDS_ON if follows else _Rank.CAUSE, words) if words else None
    java = _OF_JAVA.match(line)
    if java is None:
        return None
    words = line[java.end() :].strip()
    if aborted := _ABORTED.match(words):
        return _Found(_Rank.SUMS_UP, words[aborted.end() :])
    return _Found(_Rank.HANDS_ON if _HANDED_ON.match(words) else _Rank.CAUSE, words)


def _end_of_traceback(following: list[str]) -> str:
    """The error at the end of a traceback, of which these are the lines."""
    for line in following:
        if line.rstrip().endswith(_TRACEBACK):
            return ""
        if _OF_PYTHON.match(line):
            return line.strip()
    return ""


def _last_address(found: list[_Found]) -> str:
    addresses = [address[0] for error in reversed(found) if (address := _ADDRESS.search(error.words))]
    return addresses[0].rstrip(".:;") if addresses else ""
