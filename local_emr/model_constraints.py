"""What the SDK's model of an API says of values beyond their types.

The SDK itself checks types and what is required, and leaves lengths, ranges, patterns and enumerations to the service.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.model import ListShape, MapShape, StructureShape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import Shape

#: Java's way, in AWS's models, to write every character beyond the first 65,536.
_JAVA_SURROGATES = r"\uD800\uDC00-\uDBFF\uDFFF"
_LONGEST_SHOWN = 80


def broken_constraints(value: Any, shape: Shape, where: str) -> Iterator[str]:  # noqa: ANN401 - of any shape
    """A sentence for each enumeration, length, range and pattern of the model that a value does not keep."""
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for name in value.keys() & shape.members.keys():
            if value[name] is not None:
                yield from broken_constraints(value[name], shape.members[name], f"{where}.{name}")
    elif isinstance(shape, ListShape) and isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from broken_constraints(item, shape.member, f"{where}[{place}]")
        yield from _out_of_bounds(len(value), shape, where, "entries")
    elif isinstance(shape, MapShape) and isinstance(value, dict):
        for key, item in value.items():
            yield from broken_constraints(key, shape.key, f"a key of {where}")
            yield from broken_constraints(item, shape.value, f"{where}[{key!r}]")
        yield from _out_of_bounds(len(value), shape, where, "entries")
    else:
        yield from _broken_by_scalar(value, shape, where)


def _broken_by_scalar(value: Any, shape: Shape, where: str) -> Iterator[str]:  # noqa: ANN401 - as above
    if isinstance(value, str):
        yield from _broken_by_text(value, shape, where)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _out_of_bounds(value, shape, where, "as a number")


def _broken_by_text(value: str, shape: Shape, where: str) -> Iterator[str]:
    shown = repr(value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}...")
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        yield f"{where}: {shown} is not one of {', '.join(allowed)}"
    yield from _out_of_bounds(len(value), shape, where, "characters")
    pattern = shape.metadata.get("pattern")
    if pattern and (compiled := _compiled(pattern)) and not compiled.fullmatch(value):
        yield f"{where}: {shown} does not match {pattern}"


def _out_of_bounds(amount: float, shape: Shape, where: str, of_what: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if (least is not None and amount < least) or (most is not None and amount > most):
        yield f"{where} has {amount} {of_what}: it must be from {least or 0} to {'any' if most is None else most}"


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    """None for one that names a class of Unicode's, such as all letters, which Python's `re` does not have."""
    try:
        return re.compile(pattern.replace(_JAVA_SURROGATES, r"\U00010000-\U0010FFFF"), re.DOTALL)
    except re.error:
        return None
