"""The documents as a Markdown parser sees them: fenced blocks, code within the text, links."""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

PROJECT = Path(__file__).resolve().parents[2]
_RUN_BY = re.compile(r"<!-- run by ([\w./-]+) -->")
_PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Place:
    """Where something stands, as editors take it."""

    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file.relative_to(PROJECT)}:{self.line}"


@dataclass(frozen=True)
class Block:
    """A fenced block; `run_by` is the file named by a comment just above it: `<!-- run by tests/... -->`."""

    place: Place
    language: str
    content: str
    run_by: str


@dataclass(frozen=True)
class Span:
    """A piece of code within the text, or the target of a link or picture."""

    place: Place
    content: str


def documents() -> list[Path]:
    """Every document that speaks to people."""
    return sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")])


def blocks(file: Path) -> Iterator[Block]:
    """The fenced blocks of a document."""
    before: Token | None = None
    for token in _tokens(file):
        if token.type == "fence":
            comment = _RUN_BY.search(before.content) if before and before.type == "html_block" else None
            run_by = comment.group(1) if comment else ""
            yield Block(_place(file, token), token.info.strip(), token.content, run_by)
        before = token


def code_spans(file: Path) -> Iterator[Span]:
    """What stands between backticks."""
    for token, child in _children(file):
        if child.type == "code_inline":
            yield Span(_place(file, token), child.content)


def targets(file: Path) -> Iterator[Span]:
    """Where links lead, and what pictures show."""
    for token, child in _children(file):
        target = child.attrs.get("href" if child.type == "link_open" else "src")
        if isinstance(target, str):
            yield Span(_place(file, token), target)


def anchors(file: Path) -> set[str]:
    """The anchors that a forge gives to the headings of a document."""
    tokens = _tokens(file)
    headings = [content.content for opening, content in itertools.pairwise(tokens)
                if opening.type == "heading_open"]  # fmt: skip
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _tokens(file: Path) -> list[Token]:
    return _PARSER.parse(file.read_text(encoding="utf-8"))


def _children(file: Path) -> Iterator[tuple[Token, Token]]:
    for token in _tokens(file):
        for child in token.children or ():
            yield token, child


def _place(file: Path, token: Token) -> Place:
    return Place(file, (token.map or [0])[0] + 1)
