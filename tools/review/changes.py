"""What the marks of a review mean for the bucket: decided for the whole file, before anything is touched."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from verger.storage.file_names import one_form, printable
from verger.storage.layout import label_of
from verger.storage.left_out import system_reason
from verger.sync.pictures import reason_not_to_be_a_key
from verger_rules.addresses import AddressError, parse_object_uri

from tools.review.marks import LOOK_AGAIN, REMOVE, ReviewError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from verger.storage.layout import BucketLayout

    from tools.review.marks import Mark


class RowError(ValueError):
    """A row cannot be applied."""


@dataclass(frozen=True)
class Change:
    """What a row asks for.

    Attributes:
        line: the row's line in the file.
        key: the picture.
        target: the key that it is to have; empty when it is not moved.
        delete: whether it is to be deleted.
        why_nothing: why nothing is to be done; empty when something is.
        etag: the ETag that it had when it was reviewed; empty when nobody knows.
    """

    line: int
    key: str
    target: str = ""
    delete: bool = False
    why_nothing: str = ""
    etag: str = ""


def plan_changes(marks: Iterable[Mark], layout: BucketLayout, *, old_label_in_name: bool = False) -> list[Change]:
    """The changes, one a picture, in the file's order.

    `old_label_in_name`: put the old label before the name of each picture that is moved, for folders whose files have
    the same names.

    Raises ReviewError when any row cannot be applied, or two contradict each other.
    """
    wrong: list[str] = []
    changes: list[Change] = []
    for mark in marks:
        try:
            changes.append(_change_of(mark, layout, old_label_in_name=old_label_in_name))
        except RowError as error:
            wrong.append(f"line {mark.line}: {error}")
    once, contradictions = _one_a_picture(changes)
    wrong += contradictions or _shared_places(once)
    if wrong:
        raise ReviewError(wrong)
    return once


def _change_of(mark: Mark, layout: BucketLayout, *, old_label_in_name: bool) -> Change:
    change = Change(mark.line, _key_of(mark.path, layout), etag=mark.etag)
    label = label_of(change.key, layout.images_prefix)
    if mark.label and one_form(mark.label) != label:
        raise RowError(
            f"the label is {mark.label!r}, and the picture lies in a folder {label!r}: a spreadsheet changed one of "
            "them, or columns were sorted apart; put it right"
        )
    if mark.mark == REMOVE:
        return replace(change, delete=True)
    if mark.mark == LOOK_AGAIN:
        return replace(change, why_nothing=LOOK_AGAIN)
    if not mark.new_label:
        return replace(change, why_nothing="no new label is given")
    if one_form(mark.new_label) == label:
        return replace(change, why_nothing="it has that label")
    return replace(
        change, target=target_of(change.key, mark.new_label, layout.images_prefix, old_label_in_name=old_label_in_name)
    )


def _key_of(path: str, layout: BucketLayout) -> str:
    try:
        address = parse_object_uri(path)
    except AddressError as error:
        raise RowError(str(error)) from error
    images = f"s3://{layout.bucket}/{layout.images_prefix}"
    if not path.startswith(images) or path.endswith("/"):
        raise RowError(f"{path!r} is not a picture below {images}")
    # S3 takes these for names as any other, a server that keeps objects as files takes them for other folders.
    if any(part in {"", ".", ".."} for part in address.key.split("/")):
        raise RowError(f"{path!r} has an empty part, . or ..: such a picture is not touched")
    return address.key


def target_of(key: str, new_label: str, images_prefix: str, *, old_label_in_name: bool = False) -> str:
    """The key of a picture with another label: the last folder is another one, all else stays.

    Raises RowError for a label that cannot be a folder there.
    """
    *above, file = key.removeprefix(images_prefix).split("/")
    label = one_form(new_label)
    if "/" in label or label != label.strip():
        raise RowError(f"the new label is {new_label!r}: a label is one folder, without / and spaces around it")
    if old_label_in_name and above:
        file = f"{one_form(above[-1])} {file}"
    name = "/".join([*above[:-1], label, file])
    if reason := system_reason(name) or reason_not_to_be_a_key(name, images_prefix + name):
        raise RowError(f"the new label is {new_label!r}, and the picture cannot lie there: {reason}")
    return images_prefix + name


def _one_a_picture(changes: Iterable[Change]) -> tuple[list[Change], list[str]]:
    """The changes without repetitions, and what is said of rows that want different things of one picture."""
    found: dict[str, Change] = {}
    wrong = []
    for change in changes:
        first = found.setdefault(change.key, change)
        if replace(change, line=first.line) != first:
            wrong.append(
                f"lines {first.line} and {change.line} want different things of {printable(change.key)!r}: keep one"
            )
    return list(found.values()), wrong


def _shared_places(changes: Sequence[Change]) -> list[str]:
    """What is said of pictures that are moved to one place, or to a place that another one leaves.

    When a killed program is run again, the second kind could not be told from the one that was there before.
    """
    leaving = {change.key: change for change in changes if not change.why_nothing}
    moved = defaultdict(list)
    for change in changes:
        if change.target:
            moved[change.target].append(change.line)
    shared = [
        f"lines {', '.join(map(str, lines))} move pictures to one place, {printable(target)!r}: use --old-label-in-name"
        for target, lines in moved.items()
        if len(lines) > 1
    ]
    taken = [
        f"line {lines[0]} moves a picture to {printable(target)!r}, and line {leaving[target].line} takes away the one "
        "that lies there: apply that line alone first, or use --old-label-in-name"
        for target, lines in moved.items()
        if target in leaving
    ]
    return [*shared, *taken]
