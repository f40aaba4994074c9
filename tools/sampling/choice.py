"""Which pictures a sample takes: by seeded ranks, so that a larger sample holds the smaller one."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from verger.storage.file_names import one_form
from verger.storage.layout import label_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class SampleError(ValueError):
    """A sample cannot be taken; the message says what was asked for and what to do."""


@dataclass(frozen=True)
class SampleSize:
    """What to take.

    Attributes:
        per_label: pictures of each label.
        labels: how many labels; None for all.
        named: these labels instead; empty for `labels` of any.
        seed: another seed, another sample.
    """

    per_label: int
    labels: int | None = None
    named: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if self.per_label < 1:
            raise SampleError(f"--per-label is {self.per_label}: ask for at least 1 picture of each label")
        if self.labels is not None and self.labels < 1:
            raise SampleError(f"--labels is {self.labels}: ask for at least 1 label")


def by_label(names: Iterable[str]) -> dict[str, list[str]]:
    """Names (`<folders>/<file>`) by their label, the last folder; what lies in no folder has none and is left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if label := label_of(name, ""):
            found[label].append(name)
    return dict(found)


def choose(labels: Mapping[str, Sequence[str]], size: SampleSize) -> dict[str, list[str]]:
    """The names that a sample takes, by label; a label with fewer than asked for gives all it has.

    Every label and every name has a rank of its own that depends on the seed and on nothing else: asking for more adds
    to the sample, and a picture that is new in the collection moves at most one other out.

    Raises:
        SampleError: there are not so many labels, or none of that name.
    """
    chosen = {}
    for label in _labels(labels, size):
        ranked = sorted(labels[label], key=lambda name: _rank(size.seed, name))
        chosen[label] = sorted(ranked[: size.per_label])
    return chosen


def _labels(labels: Mapping[str, Sequence[str]], size: SampleSize) -> list[str]:
    if not labels:
        raise SampleError("there is no picture in a folder: pictures lie in a folder that is named as their label")
    named = {one_form(label) for label in size.named}
    if unknown := sorted(named - labels.keys()):
        there = ", ".join(sorted(labels)[:8])
        raise SampleError(f"--label {unknown[0]!r} is not there; there are {len(labels)} labels: {there} ...")
    if named:
        return sorted(named)
    if size.labels is None:
        return sorted(labels)
    if size.labels > len(labels):
        raise SampleError(f"--labels is {size.labels}, but there are only {len(labels)}: ask for as many at most")
    return sorted(sorted(labels, key=lambda label: _rank(size.seed, label))[: size.labels])


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "surrogateescape")).digest()
