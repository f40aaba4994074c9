"""Faults of the local EMR, for as long as a context is open."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tools.local_stack import Stack


@contextmanager
def arm(stack: Stack, *faults: dict[str, Any]) -> Iterator[None]:
    """Have these faults."""
    _control(stack, "POST", faults)
    yield
    _control(stack, "DELETE", None)


def _control(stack: Stack, method: str, body: Any) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{stack.emr_url}/local-emr/faults", data, method=method)  # noqa: S310
    urllib.request.urlopen(request, timeout=60).close()  # noqa: S310 - our own server
