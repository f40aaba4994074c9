"""What a person reads of a review: a line a picture, then the counts and what to know besides."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verger.storage.file_names import printable

from tools.review.outcomes import State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.review.outcomes import Outcome

#: What is said of a state before anything is done.
_TO_DO = {State.MOVED: "move", State.DELETED: "delete", State.UNCHANGED: "nothing"}


_AGAIN = (
    "A later run with that source copies them again to where they were, and with delete_missing deletes them where "
    "they were moved to: change them in the source, too"
)


@dataclass(frozen=True)
class About:
    """What is known of the bucket before anything is done.

    Attributes:
        source: the folder, bucket or zip that this installation copies pictures from; empty for none.
        versioned: whether the bucket keeps what is deleted.
        new_folders: the folders that pictures are moved to and that hold none yet.
    """

    source: str
    versioned: bool
    new_folders: Sequence[str]


def line_of(outcome: Outcome, *, applied: bool) -> str:
    """A picture's line of the table; names cannot act on a terminal."""
    change = outcome.change
    word = outcome.state if applied else _TO_DO.get(outcome.state, outcome.state)
    places = " -> ".join(printable(key) for key in (change.key, change.target) if key)
    return f"{word:9}  {places}{f'  ({outcome.note})' if outcome.note else ''}"


def counts(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """How many pictures of each state."""
    found = Counter(outcome.state for outcome in outcomes)
    return {state.value: found[state] for state in State}


def summary(found: Mapping[str, int], *, applied: bool) -> str:
    """The counts as a sentence."""
    told = ", ".join(f"{count:,} {state}" for state, count in found.items())
    return f"done: {told}" if applied else f"would be: {told}; nothing was done yet, --apply does it"


def notes(outcomes: Sequence[Outcome], about: About, *, applied: bool) -> Iterator[str]:
    """What a person should know besides."""
    changed = [outcome for outcome in outcomes if outcome.state in {State.MOVED, State.DELETED}]
    if about.new_folders:
        named = ", ".join(map(printable, about.new_folders))
        yield f"no picture lay in these folders yet, are the labels written as they are meant? {named}"
    copied = sum(outcome.from_source for outcome in changed)
    if copied:
        yield f"{copied:,} of them were copied here from a source. {_AGAIN}"
    elif about.source and changed:
        yield f"VERGER_SOURCE is {printable(about.source)}. Of pictures that lie there: {_AGAIN}"
    if about.versioned and changed:
        yield "the bucket keeps versions: what was deleted or moved can still be read there as an older version"
    if applied and changed:
        yield "the next run takes the pictures as they lie now"
    if any(outcome.state is State.REFUSED for outcome in outcomes):
        yield "refused pictures were left as they are"
