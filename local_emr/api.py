"""EMR's API over HTTP (AWS JSON 1.1), in front of moto for everything else (S3, STS, SNS, IAM, EC2, ...)."""

from __future__ import annotations

import json
import logging
import re
import socket
from datetime import datetime
from typing import TYPE_CHECKING, Any

import botocore.session

from local_emr import cluster_operations, node_group_operations, step_operations
from local_emr.errors import ApiError, invalid_request, validation_error
from local_emr.faulty_calls import FAULTS_PATH, AnswerLostError, FaultsApi, FaultyCalls
from local_emr.request_shape import checked_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from local_emr.faults import Faults
    from local_emr.service import Service

_log = logging.getLogger(__name__)
_TARGET = "ElasticMapReduce."
_REGION = re.compile(r"Credential=[^/,\s]+/\d+/([^/]+)/elasticmapreduce/")

OPERATIONS: dict[str, Callable[[Service, str, Mapping[str, Any]], dict[str, Any]]] = {
    "AddInstanceFleet": node_group_operations.add_instance_fleet,
    "AddInstanceGroups": node_group_operations.add_instance_groups,
    "AddJobFlowSteps": step_operations.add_job_flow_steps,
    "AddTags": cluster_operations.add_tags,
    "CancelSteps": step_operations.cancel_steps,
    "DescribeCluster": cluster_operations.describe_cluster,
    "DescribeStep": step_operations.describe_step,
    "GetAutoTerminationPolicy": cluster_operations.get_auto_termination_policy,
    "GetManagedScalingPolicy": cluster_operations.get_managed_scaling_policy,
    "ListBootstrapActions": cluster_operations.list_bootstrap_actions,
    "ListClusters": cluster_operations.list_clusters,
    "ListInstanceFleets": node_group_operations.list_instance_fleets,
    "ListInstanceGroups": node_group_operations.list_instance_groups,
    "ListInstances": node_group_operations.list_instances,
    "ListSteps": step_operations.list_steps,
    "ModifyCluster": cluster_operations.modify_cluster,
    "ModifyInstanceFleet": node_group_operations.modify_instance_fleet,
    "ModifyInstanceGroups": node_group_operations.modify_instance_groups,
    "PutAutoTerminationPolicy": cluster_operations.put_auto_termination_policy,
    "PutManagedScalingPolicy": cluster_operations.put_managed_scaling_policy,
    "RemoveAutoTerminationPolicy": cluster_operations.remove_auto_termination_policy,
    "RemoveManagedScalingPolicy": cluster_operations.remove_managed_scaling_policy,
    "RemoveTags": cluster_operations.remove_tags,
    "RunJobFlow": cluster_operations.run_job_flow,
    "SetKeepJobFlowAliveWhenNoSteps": cluster_operations.set_keep_alive,
    "SetTerminationProtection": cluster_operations.set_termination_protection,
    "SetVisibleToAllUsers": cluster_operations.set_visible_to_all_users,
    "TerminateJobFlows": cluster_operations.terminate_job_flows,
}
# What moto knows of EMR that has nothing to do with a cluster.
# fmt: off
MOTO_OPERATIONS = frozenset({
    "CreateSecurityConfiguration", "DeleteSecurityConfiguration", "DescribeSecurityConfiguration",
    "GetBlockPublicAccessConfiguration", "PutBlockPublicAccessConfiguration", "ListReleaseLabels",
    "ListSupportedInstanceTypes",
})
# fmt: on


class EmrApi:
    """A WSGI application: EMR's operations here, all other requests to `others` (moto)."""

    def __init__(
        self,
        service: Service,
        others: WSGIApplication,
        default_region: str,
        has_security_configuration: Callable[[str, str], bool],
        faults: Faults,
    ) -> None:
        """`has_security_configuration` tells whether a region has one of that name."""
        self._service = service
        self._others = others
        self._default_region = default_region
        self._has_security_configuration = has_security_configuration
        self._faults_api = FaultsApi(faults)
        self._calls = FaultyCalls(faults, service.find)
        self._model = botocore.session.get_session().get_service_model("emr")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        if environ.get("PATH_INFO") == FAULTS_PATH:
            return self._faults_api(environ, start_response)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        operation = target.removeprefix(_TARGET)
        if not target.startswith(_TARGET) or operation in MOTO_OPERATIONS:
            return self._others(environ, start_response)
        try:
            status, body = self._answer(operation, environ)
        except AnswerLostError:
            # Werkzeug would wait on the connection for the client's next request.
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
            raise
        headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))]
        start_response(f"{status} {'OK' if status == 200 else 'Error'}", headers)  # noqa: PLR2004 - HTTP
        return [body]

    def _answer(self, operation: str, environ: WSGIEnvironment) -> tuple[int, bytes]:
        try:
            return 200, _to_json(self._perform(operation, environ))
        except ApiError as error:
            return error.status, _to_json({"__type": error.code, "Message": str(error)})
        except AnswerLostError:
            raise
        except Exception:  # noqa: BLE001 - a client gets an answer whatever is wrong here
            _log.exception("%s failed", operation)
            return 500, _to_json({"__type": "InternalServerException", "Message": f"{operation} failed."})

    def _perform(self, operation: str, environ: WSGIEnvironment) -> dict[str, Any]:
        perform = OPERATIONS.get(operation)
        if perform is None:
            raise invalid_request(f"The operation {operation} is not offered by the local EMR.")
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        request = checked_request(body, self._model.operation_model(operation))
        found = _REGION.search(environ.get("HTTP_AUTHORIZATION", ""))
        region = found[1] if found else self._default_region
        name = request.get("SecurityConfiguration")
        if name and not self._has_security_configuration(region, name):
            raise validation_error(f"Security configuration with name '{name}' does not exist.")
        return self._calls.perform(operation, request, lambda: perform(self._service, region, request))


def _to_json(answer: Mapping[str, Any]) -> bytes:
    return json.dumps(answer, default=_seconds).encode()


def _seconds(value: object) -> float:
    """AWS JSON writes a time as seconds since 1970."""
    if isinstance(value, datetime):
        return round(value.timestamp(), 3)
    raise TypeError(f"{value!r} has no place in an answer")
