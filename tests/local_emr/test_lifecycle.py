"""How clusters and steps change state, without any process."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_emr import lifecycle
from local_emr.model import CancelOption, Cluster, ClusterState, Failure, Step, StepState
from local_emr.new_cluster import new_cluster

if TYPE_CHECKING:
    from collections.abc import Callable

T0 = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
FAILURE = Failure("Unknown Error.", "no such file", "s3://b/stderr.gz")


def a_cluster(*actions: str, keep: bool = True, protected: bool = False, concurrency: int = 1) -> Cluster:
    """A cluster that has just become ready, with one pending step (s-0, s-1, ...) for each action on failure."""
    request = {
        "Name": "c",
        "ReleaseLabel": "emr-spark-8.1.0",
        "ServiceRole": "r",
        "JobFlowRole": "p",
        "Instances": {
            "MasterInstanceType": "m7g.xlarge",
            "KeepJobFlowAliveWhenNoSteps": keep,
            "TerminationProtected": protected,
        },
        "StepConcurrencyLevel": concurrency,
    }
    cluster = new_cluster(request, "eu-west-1", "123456789012", T0)
    steps = tuple(Step(f"s-{n}", "x", action, "command-runner.jar", ("true",), T0) for n, action in enumerate(actions))
    return lifecycle.ready(lifecycle.bootstrapping(replace(cluster, steps=steps)), T0)


def started(cluster: Cluster) -> Cluster:
    return lifecycle.next_step_started(cluster, T0)[0]


def states(cluster: Cluster) -> list[str]:
    return [step.state.value for step in cluster.steps]


def test_a_ready_cluster_without_steps_waits_and_remembers_since_when() -> None:
    cluster = a_cluster()
    assert (cluster.state, cluster.reason, cluster.waiting_since) == (ClusterState.WAITING, lifecycle.READY, T0)


def test_a_ready_cluster_with_a_step_runs() -> None:
    assert a_cluster("CONTINUE").state is ClusterState.RUNNING


def test_a_cluster_that_is_not_kept_ends_when_it_has_no_steps() -> None:
    cluster = a_cluster(keep=False)
    assert (cluster.state, cluster.reason) == (ClusterState.TERMINATING, lifecycle.STEPS_COMPLETED)
    assert lifecycle.terminated(cluster, T0).state is ClusterState.TERMINATED


def test_steps_start_in_their_order_and_no_more_at_a_time_than_allowed() -> None:
    cluster = started(started(a_cluster(*["CONTINUE"] * 3, concurrency=2)))
    assert states(cluster) == ["RUNNING", "RUNNING", "PENDING"]
    assert lifecycle.next_step_started(cluster, T0) == (cluster, None)
    cluster = started(lifecycle.step_succeeded(cluster, "s-1", T0))
    assert states(cluster) == ["RUNNING", "COMPLETED", "RUNNING"]


def test_the_last_steps_end_makes_a_kept_cluster_wait() -> None:
    cluster = lifecycle.step_succeeded(started(a_cluster("CONTINUE")), "s-0", T0)
    assert cluster.reason.message == "Cluster ready after last step completed."
    cluster = lifecycle.with_steps(cluster, (replace(cluster.steps[0], step_id="s-1", state=StepState.PENDING),), T0)
    assert (cluster.state, cluster.waiting_since) == (ClusterState.RUNNING, None)


@pytest.mark.parametrize(
    ("action", "keep", "protected", "state", "reason", "second"),
    [
        ("TERMINATE_CLUSTER", True, False, "TERMINATING", "Shut down as step failed", "CANCELLED"),
        ("TERMINATE_JOB_FLOW", True, False, "TERMINATING", "Shut down as step failed", "CANCELLED"),
        ("TERMINATE_CLUSTER", True, True, "WAITING", "Cluster ready after last step failed.", "CANCELLED"),
        ("TERMINATE_CLUSTER", False, True, "TERMINATING", "Shut down as step failed", "CANCELLED"),
        ("CANCEL_AND_WAIT", True, False, "WAITING", "Cluster ready after last step failed.", "CANCELLED"),
        ("CANCEL_AND_WAIT", False, False, "TERMINATING", "Steps completed with errors", "CANCELLED"),
        ("CONTINUE", True, False, "RUNNING", "Running step", "PENDING"),
        ("CONTINUE", False, False, "RUNNING", "Running step", "PENDING"),
    ],
)
def test_a_failed_step_does_to_the_cluster_what_its_action_says(
    action: str,
    keep: bool,
    protected: bool,
    state: str,
    reason: str,
    second: str,
) -> None:
    cluster = started(a_cluster(action, "CONTINUE", keep=keep, protected=protected))
    cluster = lifecycle.step_failed(cluster, "s-0", FAILURE, T0)
    assert (cluster.state.value, cluster.reason.message) == (state, reason)
    assert states(cluster) == ["FAILED", second]
    assert cluster.steps[0].failure == FAILURE


def test_with_several_steps_at_a_time_a_failed_one_ends_nothing() -> None:
    cluster = replace(started(a_cluster("TERMINATE_CLUSTER", "CONTINUE")), step_concurrency=2)
    cluster = lifecycle.step_failed(cluster, "s-0", FAILURE, T0)
    assert (cluster.state, states(cluster)) == (ClusterState.RUNNING, ["FAILED", "PENDING"])


@pytest.mark.parametrize(
    ("end", "final"),
    [
        (lambda c: lifecycle.terminating(c, lifecycle.USER_REQUEST, T0), "TERMINATED"),
        (lambda c: lifecycle.terminating(c, lifecycle.IDLE, T0), "TERMINATED"),
        (lambda c: lifecycle.terminating(c, lifecycle.STEP_FAILED, T0), "TERMINATED_WITH_ERRORS"),
        (lambda c: lifecycle.terminating(c, lifecycle.INTERNAL_ERROR, T0), "TERMINATED_WITH_ERRORS"),
        (lambda c: lifecycle.bootstrap_failed(c, 1, "failed", T0), "TERMINATED_WITH_ERRORS"),
        (lambda c: lifecycle.node_lost(c, T0), "TERMINATED_WITH_ERRORS"),
    ],
)
def test_how_a_cluster_ends_depends_on_why(end: Callable[[Cluster], Cluster], final: str) -> None:
    cluster = lifecycle.terminated(end(a_cluster("CONTINUE")), T0)
    assert (cluster.state.value, cluster.ended) == (final, T0)
    assert all(instance.ended == T0 for instance in cluster.instances)


def test_termination_cancels_what_waits_at_once_and_what_runs_when_its_process_has_ended() -> None:
    cluster = started(a_cluster("CONTINUE", "CONTINUE"))
    cluster = lifecycle.terminating(cluster, lifecycle.USER_REQUEST, T0)
    assert states(cluster) == ["RUNNING", "CANCELLED"]
    cluster = lifecycle.step_failed(cluster, "s-0", FAILURE, T0)
    assert states(cluster) == ["CANCELLED", "CANCELLED"]
    assert cluster.steps[0].failure is None


def test_a_lost_node_interrupts_its_steps() -> None:
    cluster = lifecycle.node_lost(started(a_cluster("CONTINUE", "CONTINUE")), T0)
    assert states(cluster) == ["INTERRUPTED", "CANCELLED"]
    assert cluster.reason.code == "INSTANCE_FAILURE"


def test_cancelling_ends_a_pending_step_at_once_and_a_running_one_without_its_action() -> None:
    cluster = started(a_cluster("TERMINATE_CLUSTER", "CONTINUE"))
    cluster, why = lifecycle.step_cancel_requested(cluster, "s-1", CancelOption.SEND_INTERRUPT, T0)
    assert (states(cluster), why) == (["RUNNING", "CANCELLED"], None)
    cluster, why = lifecycle.step_cancel_requested(cluster, "s-0", CancelOption.SEND_INTERRUPT, T0)
    assert (states(cluster), why) == (["CANCEL_PENDING", "CANCELLED"], None)
    cluster = lifecycle.step_failed(cluster, "s-0", FAILURE, T0)
    assert (cluster.state, states(cluster)) == (ClusterState.WAITING, ["CANCELLED", "CANCELLED"])
    assert lifecycle.step_cancel_requested(cluster, "s-0", CancelOption.SEND_INTERRUPT, T0)[1] is not None


@pytest.mark.parametrize(
    ("change", "deadline"),
    [
        ({"idle_timeout": 60}, T0 + timedelta(seconds=30)),
        ({"idle_timeout": None}, None),
        ({"idle_timeout": 60, "protected": True}, None),
        ({"idle_timeout": 60, "waiting_since": None}, None),
    ],
)
def test_only_a_waiting_unprotected_cluster_with_a_policy_is_to_end(
    change: dict[str, int | None], deadline: datetime | None
) -> None:
    cluster = replace(a_cluster(), **change)  # type: ignore[arg-type] # a table of fields
    assert lifecycle.idle_deadline(cluster, 0.5) == deadline


EVENTS: list[Callable[[Cluster, str], Cluster]] = [
    lambda c, _: lifecycle.bootstrapping(c),
    lambda c, _: lifecycle.ready(c, T0),
    lambda c, _: started(c),
    lambda c, s: lifecycle.step_succeeded(c, s, T0),
    lambda c, s: lifecycle.step_failed(c, s, FAILURE, T0),
    lambda c, s: lifecycle.step_cancel_requested(c, s, CancelOption.TERMINATE_PROCESS, T0)[0],
    lambda c, _: lifecycle.terminating(c, lifecycle.USER_REQUEST, T0),
    lambda c, _: lifecycle.node_lost(c, T0),
    lambda c, _: lifecycle.terminated(c, T0),
]


@given(
    actions=st.lists(st.sampled_from(["CONTINUE", "CANCEL_AND_WAIT", "TERMINATE_CLUSTER"]), min_size=1, max_size=4),
    keep=st.booleans(),
    concurrency=st.integers(1, 3),
    events=st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 3)), max_size=40),
)
def test_whatever_happens_in_whatever_order_no_state_is_left_that_was_final(
    actions: list[str],
    keep: bool,
    concurrency: int,
    events: list[tuple[Callable[[Cluster, str], Cluster], int]],
) -> None:
    cluster = replace(a_cluster(*actions, keep=keep), step_concurrency=concurrency)
    for event, number in events:
        after = event(cluster, f"s-{number % len(actions)}")
        assert not cluster.state.is_over or after == cluster
        assert not cluster.state.is_ending or after.state.is_ending
        for old, new in zip(cluster.steps, after.steps, strict=True):
            assert not old.state.is_over or new == old
        assert sum(step.state.is_active for step in after.steps) <= concurrency
        assert not after.state.is_over or all(step.state.is_over for step in after.steps)
        busy = any(not step.state.is_over for step in after.steps)
        assert after.state is not ClusterState.WAITING or not busy
        cluster = after
