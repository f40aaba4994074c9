"""Whatever happens while a review is applied, no picture is lost, and another call finishes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.review.orchards import MEANT, fill
from tools import apply_review

if TYPE_CHECKING:
    from tests.review.orchards import Events, Orchard


@pytest.mark.parametrize("event", ["before-call.s3", "after-call.s3"])
@pytest.mark.usefixtures("conditions")
def test_killed_anywhere_and_run_again_it_ends_the_same(
    orchard: Orchard, events: Events, event: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply_review, "AT_ONCE", 1)
    asked, kill_at = 0, 0

    class KilledError(BaseException):
        """The process dies."""

    def die(**_: object) -> None:
        nonlocal asked
        asked += 1
        if asked == kill_at:
            raise KilledError

    events.on(event, die)
    for number in range(1, 40):
        for name in orchard.pictures():
            orchard.s3.delete_object(Bucket=orchard.bucket, Key=f"images/{name}")
        fill(orchard)
        asked, kill_at = 0, number
        try:
            orchard.run("--apply")
        except KilledError:
            bytes_left = set(orchard.pictures().values())
            assert bytes_left >= set(MEANT.values()), "no picture is lost on the way"
            kill_at = 0
            assert (orchard.run("--apply").code, orchard.pictures()) == (0, MEANT), number
        else:
            break
    assert 12 < number < 39, "it was killed at each request"


@pytest.mark.usefixtures("conditions")
def test_who_comes_between_loses_nothing(orchard: Orchard, events: Events) -> None:
    """Another program stores a picture at the new place, or at the old one, just before the copy and the deletion."""
    pending: dict[str, tuple[str, bytes]] = {}

    def interfere(model: Any, **_: object) -> None:
        if model.name in pending:
            orchard.put(*pending.pop(model.name))

    events.handlers[:0] = [(f"before-call.s3.{name}", interfere) for name in ("CopyObject", "DeleteObject")]
    for operation, name, mark, after in (
        ("CopyObject", "Kiwi/1.jpg", ("wrong label", "Kiwi"), {"Apple/1.jpg": b"one", "Kiwi/1.jpg": b"other"}),
        ("CopyObject", "Apple/1.jpg", ("wrong label", "Kiwi"), {"Apple/1.jpg": b"other"}),
        ("DeleteObject", "Apple/1.jpg", ("wrong label", "Kiwi"), {"Apple/1.jpg": b"other", "Kiwi/1.jpg": b"one"}),
        ("DeleteObject", "Apple/1.jpg", ("remove",), {"Apple/1.jpg": b"other"}),
    ):
        for there in orchard.pictures():
            orchard.s3.delete_object(Bucket=orchard.bucket, Key=f"images/{there}")
        orchard.put("Apple/1.jpg", b"one")
        orchard.review(("Apple/1.jpg", *mark))
        pending[operation] = (name, b"other")
        told = orchard.run("--apply")
        assert not pending
        assert (told.code, told.counts["refused"], orchard.pictures()) == (3, 1, after)


@pytest.mark.usefixtures("conditions")
def test_two_at_once_do_it_once(orchard: Orchard, events: Events) -> None:
    """A second program does the whole review while the first is about to copy, and to delete."""
    for operation in ("CopyObject", "DeleteObject"):
        waiting = [operation]

        def overtake(model: Any, waiting: list[str] = waiting, **_: object) -> None:
            if waiting == [model.name]:
                waiting.clear()
                assert apply_review.main([str(orchard.file), "--apply"], {"VERGER_BUCKET": orchard.bucket}) == 0

        events.handlers[:] = [(f"before-call.s3.{operation}", overtake), *events.handlers]
        fill(orchard)
        told = orchard.run("--apply")
        assert not waiting
        assert (told.code, told.counts["refused"], orchard.pictures()) == (0, 0, MEANT)
