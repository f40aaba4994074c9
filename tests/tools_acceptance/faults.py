"""Faults of a local stack's EMR, for as long as a context is open."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local_emr.control import FaultControl
from tools.local_stack import Stack


@contextmanager
def arm(stack: Stack, *faults: dict[str, Any]) -> Iterator[None]:
    """Have these faults."""
    control = FaultControl(stack.emr_url, stack.access_key, stack.secret_key)
    control.arm(*faults)
    try:
        yield
    finally:
        control.clear()
