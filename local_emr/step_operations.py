"""The operations on steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local_emr import descriptions, lifecycle
from local_emr.cluster_runner import now
from local_emr.errors import invalid_request, validation_error
from local_emr.model import CancelOption
from local_emr.new_cluster import check_open_for_steps, new_steps
from local_emr.paging import page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_emr.model import Cluster, Step
    from local_emr.service import Service

_PAGE = 50  # EMR: ListSteps
_MOST_STEP_IDS = 10  # EMR: ListSteps


def add_job_flow_steps(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """AddJobFlowSteps: all of them or, when one is refused, none."""
    cluster = service.job_flow(request["JobFlowId"], region)
    added: list[Step] = []

    def add(current: Cluster) -> Cluster:
        time = now()
        steps = new_steps(request["Steps"], current.step_concurrency, time)
        check_open_for_steps(current, len(steps))
        added[:] = steps
        return lifecycle.with_steps(current, steps, time)

    service.change(cluster.cluster_id, add)
    return {"StepIds": [step.step_id for step in added]}


def describe_step(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """DescribeStep."""
    cluster = service.cluster(request["ClusterId"], region)
    try:
        step = cluster.step(request["StepId"])
    except KeyError as error:
        raise invalid_request(f"Step id '{request['StepId']}' is not valid.") from error
    return {"Step": descriptions.step_summary(step)}


def list_steps(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """ListSteps: the newest first, unless they are chosen by id or state."""
    cluster = service.cluster(request["ClusterId"], region)
    states, ids = request.get("StepStates") or [], request.get("StepIds") or []
    if len(ids) > _MOST_STEP_IDS:
        raise invalid_request(f"{len(ids)} step ids; at most {_MOST_STEP_IDS} are allowed.")
    steps = [
        step for step in cluster.steps if (not states or step.state in states) and (not ids or step.step_id in ids)
    ]
    if not states and not ids:
        steps.reverse()
    chosen, marker = page(steps, request.get("Marker"), _PAGE, lambda step: step.step_id)
    answer: dict[str, Any] = {"Steps": [descriptions.step_summary(step) for step in chosen]}
    return answer | ({"Marker": marker} if marker else {})


def cancel_steps(service: Service, region: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """CancelSteps: for each step whether the request was taken."""
    cluster = service.job_flow(request["ClusterId"], region)
    option = CancelOption(request.get("StepCancellationOption") or CancelOption.SEND_INTERRUPT)
    known = {step.step_id for step in cluster.steps}
    unknown = [step_id for step_id in request["StepIds"] if step_id not in known]
    if unknown:
        raise validation_error(f"Step id '{unknown[0]}' is not valid.")
    complaints: dict[str, str | None] = {}

    def cancel(current: Cluster) -> Cluster:
        for step_id in request["StepIds"]:
            current, complaints[step_id] = lifecycle.step_cancel_requested(current, step_id, option, now())
        return current

    service.change(cluster.cluster_id, cancel)
    return {
        "CancelStepsInfoList": [
            {"StepId": step_id, "Status": "SUBMITTED"}
            if why is None
            else {"StepId": step_id, "Status": "FAILED", "Reason": why}
            for step_id, why in complaints.items()
        ]
    }
