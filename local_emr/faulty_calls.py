"""Faults of the API: calls that are refused, answers that come late or never, requests that nothing follows."""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from local_emr.errors import ApiError
from local_emr.faults import Fault, FaultKind, Faults
from local_emr.faulty_node import names_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIEnvironment

    from local_emr.model import Cluster

FAULTS_PATH = "/local-emr/faults"
_log = logging.getLogger(__name__)
_STATUSES = {200: "200 OK", 400: "400 Bad Request", 405: "405 Method Not Allowed"}


class AnswerLostError(ConnectionAbortedError):
    """The request was performed, and its answer is not to be sent."""


class FaultyCalls:
    """Performs the API's calls, with the faults that a server is told to have."""

    def __init__(self, faults: Faults, find_cluster: Callable[[str], Cluster | None]) -> None:
        """`find_cluster` knows a cluster by its id."""
        self._faults = faults
        self._find_cluster = find_cluster
        self._shown_at: dict[str, float] = {}

    def perform(
        self, operation: str, request: Mapping[str, Any], perform: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        """What `perform` answers, unless a fault strikes this call.

        Raises:
            ApiError: The call is refused, and nothing was done.
            AnswerLostError: What was asked for is done, and the answer is lost.
        """
        names = [name for cluster in self._clusters(request) for name in cluster]
        self._refuse_untagged(operation, names)
        if fault := self._take(names, operation, FaultKind.API_THROTTLED, FaultKind.API_ERROR):
            raise _refusal(fault)
        if operation == "TerminateJobFlows" and self._faults.take(FaultKind.TERMINATION_LOST, clusters=names):
            return {}
        answer = perform()
        if operation == "RunJobFlow":
            names.append(answer["JobFlowId"])
            if lag := self._faults.take(FaultKind.TAGS_LAG, clusters=names):
                self._shown_at[answer["JobFlowId"]] = time.monotonic() + lag.seconds
        if fault := self._take(names, operation, FaultKind.ANSWER_SLOW):
            time.sleep(fault.seconds)
        if self._take(names, operation, FaultKind.ANSWER_LOST):
            raise AnswerLostError(operation)
        return answer

    def _refuse_untagged(self, operation: str, names: Iterable[str]) -> None:
        """A policy that goes by tags allows nothing on a cluster whose tags are not there yet."""
        if late := [name for name in names if self._shown_at.get(name, 0.0) > time.monotonic()]:
            _log.warning("%s: %s, as told", operation, FaultKind.TAGS_LAG)
            raise ApiError(
                "AccessDeniedException",
                f"User is not authorized to perform: elasticmapreduce:{operation} on resource: cluster/{late[0]}"
                " because no identity-based policy allows the action",
            )

    def _take(self, names: Iterable[str], operation: str, *kinds: FaultKind) -> Fault | None:
        fault = self._faults.take(*kinds, clusters=names, operation=operation)
        if fault is not None:
            _log.warning("%s: %s, as told", operation, fault.fault)
        return fault

    def _clusters(self, request: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
        """The names of the clusters that a request is about."""
        if "Instances" in request:  # RunJobFlow: it has a name, and no id yet
            yield (request["Name"],)
        ids = [request.get(name) for name in ("ClusterId", "JobFlowId", "ResourceId")]
        for cluster_id in [*ids, *request.get("JobFlowIds", ())]:
            if cluster_id:
                cluster = self._find_cluster(cluster_id)
                yield names_of(cluster) if cluster else (cluster_id,)


def _refusal(fault: Fault) -> ApiError:
    if fault.fault is FaultKind.API_THROTTLED:
        return ApiError("ThrottlingException", "Rate exceeded")
    return ApiError("InternalServerException", "We encountered an internal error. Please try again.", status=500)


class FaultsApi:
    """The control call (a WSGI application): GET tells the faults, POST adds some, DELETE takes all away."""

    def __init__(self, faults: Faults) -> None:
        """Control these faults."""
        self._faults = faults

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, with the faults that there are after it."""
        status, answer = self._answer(environ)
        body = json.dumps(answer, indent=1).encode() + b"\n"
        start_response(_STATUSES[status], [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _answer(self, environ: WSGIEnvironment) -> tuple[int, object]:
        method = environ["REQUEST_METHOD"]
        if method == "POST":
            try:
                values = json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
                asked = [Fault.from_request(entry) for entry in (values if isinstance(values, list) else [values])]
            except ValueError as error:
                return 400, {"error": str(error)}
            self._faults.arm(asked)
        elif method == "DELETE":
            self._faults.clear()
        elif method != "GET":
            return 405, {"error": f"{method}: there are GET, POST and DELETE"}
        return 200, self._faults.describe()
