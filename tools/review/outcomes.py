"""What becomes of each change: looked at first, then done or only told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tools.review.pictures import CopyError

if TYPE_CHECKING:
    from datetime import datetime

    from tools.review.changes import Change
    from tools.review.pictures import Picture, Pictures

OCCUPIED = "another picture has that name there: use --old-label-in-name, or give one of them another name"
CHANGED = "it changed since it was reviewed"
NEWER = (
    "it was stored after the review was saved, so it may be another picture: look at it again (save the review "
    "again if it is right)"
)
CHANGED_MEANWHILE = "it changed while the review was applied"
OVERTAKEN = "another write for its new place was under way: apply the review again"


class State(StrEnum):
    """What became of a picture, or would."""

    MOVED = "moved"
    DELETED = "deleted"
    UNCHANGED = "unchanged"
    GONE = "gone"
    REFUSED = "refused"


@dataclass(frozen=True)
class Outcome:
    """What became of a change, or would.

    Attributes:
        note: why; empty where there is nothing to say.
        from_source: whether the picture was copied here by a sync, which will copy it again.
    """

    change: Change
    state: State
    note: str = ""
    from_source: bool = False


@dataclass(frozen=True)
class Work:
    """How the changes of one review are done.

    Attributes:
        saved_at: when the review was saved: a picture that was stored later was not reviewed.
        apply: whether anything is done; otherwise it is only told.
    """

    pictures: Pictures
    saved_at: datetime
    apply: bool

    def outcome(self, change: Change) -> Outcome:
        """Do one change, or tell what would be done. Raises botocore's errors."""
        if change.why_nothing:
            return Outcome(change, State.UNCHANGED, change.why_nothing)
        picture = self.pictures.look(change.key)
        if picture is None:
            moved = change.target and self.pictures.look(change.target)
            return Outcome(change, State.GONE, "a picture lies at its new place" if moved else "")
        if reason := self._reason_to_leave(change, picture):
            return Outcome(change, State.REFUSED, reason)
        state, note = self._delete(picture) if change.delete else self._move(picture, change.target)
        return Outcome(change, state, note, from_source=picture.from_source and state is not State.REFUSED)

    def _reason_to_leave(self, change: Change, picture: Picture) -> str:
        if change.etag:
            return "" if change.etag == picture.etag.strip('"') else CHANGED
        return NEWER if picture.modified > self.saved_at else ""

    def _delete(self, picture: Picture) -> tuple[State, str]:
        if not self.apply or self.pictures.delete(picture):
            return State.DELETED, ""
        return _overtaken(self.pictures.look(picture.key))

    def _move(self, picture: Picture, target: str) -> tuple[State, str]:
        there = self.pictures.look(target)
        if there and not self.pictures.same_bytes(picture, there):
            return State.REFUSED, OCCUPIED
        if not self.apply:
            return State.MOVED, "the same picture is there already" if there else ""
        if there is None:
            try:
                self.pictures.copy(picture, target)
            except CopyError as error:
                return State.REFUSED, str(error)
        return self._after_copy(picture, target)

    def _after_copy(self, picture: Picture, target: str) -> tuple[State, str]:
        """Delete the original, once its bytes are seen to lie at the target."""
        there = self.pictures.look(target)
        arrived = there is not None and self.pictures.same_bytes(picture, there)
        if arrived and self.pictures.delete(picture):
            return State.MOVED, ""
        still = self.pictures.look(picture.key)
        if arrived:
            return (State.REFUSED, f"{CHANGED_MEANWHILE}: look at both") if still else (State.MOVED, "")
        if still is None or still.etag != picture.etag:
            return _overtaken(still)
        return State.REFUSED, OCCUPIED if there else OVERTAKEN


def _overtaken(still: Picture | None) -> tuple[State, str]:
    """What is said of a picture that another one changed or took away meanwhile."""
    return (State.REFUSED, CHANGED_MEANWHILE) if still else (State.GONE, "")
