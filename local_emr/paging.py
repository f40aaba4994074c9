"""Lists in pages, as EMR gives them."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, TypeVar

from local_emr.errors import invalid_request

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def page(items: Sequence[T], marker: str | None, size: int, key: Callable[[T], str]) -> tuple[Sequence[T], str | None]:
    """The page after `marker` (the first if none), and the marker of the next (none if this is the last).

    A marker names the last item given, so what is added at the beginning meanwhile shifts nothing.

    Raises:
        ApiError: The marker is none of ours.
    """
    start = 0 if marker is None else _index_after(items, _decoded(marker), key)
    chosen = items[start : start + size]
    more = start + size < len(items)
    return chosen, base64.urlsafe_b64encode(key(chosen[-1]).encode()).decode() if more else None


def _decoded(marker: str) -> str:
    try:
        return base64.urlsafe_b64decode(marker.encode()).decode()
    except (binascii.Error, ValueError) as error:
        raise invalid_request(f"The marker {marker!r} is not valid.") from error


def _index_after(items: Sequence[T], last: str, key: Callable[[T], str]) -> int:
    for index, item in enumerate(items):
        if key(item) == last:
            return index + 1
    raise invalid_request(f"The marker of {last!r} is not valid.")
