"""A client of the control call: tells a local EMR which faults to have. For tests of programs that use EMR."""

from __future__ import annotations

import json
import urllib.request
from typing import TYPE_CHECKING, Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_emr.faulty_calls import FAULTS_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS = 30


class FaultControl:
    """The faults of one server."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str) -> None:
        """The server's address, and its key."""
        self._address = f"{endpoint}{FAULTS_PATH}"
        self._signer = SigV4Auth(Credentials(access_key, secret_key), "elasticmapreduce", "us-east-1")

    def arm(self, *faults: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Have these faults as well, from now on; all that there are. HTTPError: one is wrong, and none was added."""
        return self._call("POST", json.dumps(faults).encode())

    def clear(self) -> None:
        """Have no more faults."""
        self._call("DELETE")

    def describe(self) -> list[dict[str, Any]]:
        """Every fault with how often it has struck."""
        return self._call("GET")

    def _call(self, method: str, body: bytes = b"") -> list[dict[str, Any]]:
        signed = AWSRequest(method, self._address, {"Content-Type": "application/json"} if body else {}, body)
        self._signer.add_auth(signed)
        request = urllib.request.Request(self._address, body or None, dict(signed.headers.items()), method=method)  # noqa: S310 - http, as its user says
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - the same
            told: list[dict[str, Any]] = json.load(answer)
        return told
