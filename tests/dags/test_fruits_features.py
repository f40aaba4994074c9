"""The shape of the DAG, which is what no cluster survives by."""

import re
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import ParamValidationError
from verger.here.machine_pool import POOL


@pytest.fixture(scope="module")
def dag(project: Path) -> DAG:
    bag = DagBag(f"{project}/dags")
    assert bag.import_errors == {}
    return bag.dags["fruits_features"]


def operator(dag: DAG, task_id: str) -> BaseOperator:
    task = dag.get_task(task_id)
    assert isinstance(task, BaseOperator)
    return task


def test_the_tasks_are_those_of_the_design_in_its_order(dag: DAG) -> None:
    order = [task.task_id for task in dag.topological_sort()]  # type: ignore[no-untyped-call] # Airflow's
    assert set(order) == {
        "check_settings", "sync_images", "publish_model", "plan_run", "open_account", "choose_place", "run_here",
        "publish_code", "lease_cluster", "create_cluster", "wait_for_cluster", "add_featurize_step",
        "wait_for_featurize", "add_pca_step", "wait_for_pca", "publish_results", "hold_cluster", "terminate_cluster",
        "record_cost", "check_outcome",
    }  # fmt: skip
    assert order.index("check_settings") == 0
    assert order.index("plan_run") < order.index("lease_cluster") < order.index("create_cluster")


def test_everything_that_can_be_known_beforehand_is_checked_before_a_cluster_exists(dag: DAG) -> None:
    before = dag.get_task("create_cluster").get_flat_relative_ids(upstream=True)
    assert before == {
        "check_settings", "sync_images", "publish_model", "plan_run", "choose_place", "run_here", "publish_code",
        "lease_cluster",
    }  # fmt: skip


def test_the_teardown_belongs_to_the_lease_and_the_cluster(dag: DAG) -> None:
    terminate = operator(dag, "terminate_cluster")
    assert terminate.is_teardown
    assert (terminate.retries or 0) >= 5
    assert {"lease_cluster", "create_cluster"} <= terminate.upstream_task_ids
    assert dag.get_task("lease_cluster").is_setup
    assert dag.get_task("create_cluster").is_setup


def test_a_failed_run_is_never_hidden_by_its_teardown(dag: DAG) -> None:
    """Airflow goes by the tasks that only teardowns follow."""
    teardowns = {task.task_id for task in dag.tasks if task.is_teardown}
    decide = {task.task_id for task in dag.tasks if task.downstream_task_ids <= teardowns} - teardowns
    assert decide == {"publish_results", "hold_cluster", "open_account"}, "the last is empty and cannot fail"
    rules = {name: operator(dag, name).trigger_rule for name in decide}
    # The results come from either place, whose other one is skipped; a failure of any stops them.
    assert rules.pop("publish_results") == "none_failed_min_one_success"
    assert set(rules.values()) == {"all_success"}


def test_the_last_word_adds_to_what_decides_and_replaces_none_of_it(dag: DAG) -> None:
    outcome = operator(dag, "check_outcome")
    assert outcome.is_teardown
    assert outcome.on_failure_fail_dagrun
    assert outcome.upstream_task_ids == {"record_cost", "open_account"}


def test_a_cluster_does_not_wait_for_the_results_to_be_published(dag: DAG) -> None:
    assert "publish_results" not in dag.get_task("terminate_cluster").get_flat_relative_ids(upstream=True)


def test_the_cost_is_reckoned_when_the_cluster_has_ended_whatever_became_of_the_run(dag: DAG) -> None:
    record = operator(dag, "record_cost")
    assert record.is_teardown
    assert {"terminate_cluster", "publish_results"} <= record.upstream_task_ids
    assert not record.on_failure_fail_dagrun


def test_both_places_lead_to_the_results_and_the_rest_of_one_goes_to_the_other(dag: DAG) -> None:
    assert operator(dag, "choose_place").downstream_task_ids >= {"run_here", "publish_code"}
    assert operator(dag, "run_here").downstream_task_ids == {"publish_code", "publish_results"}
    assert "wait_for_pca" in operator(dag, "publish_results").upstream_task_ids
    assert operator(dag, "run_here").pool == POOL


def test_no_setup_that_a_place_skips_decides_on_the_results(dag: DAG) -> None:
    """Airflow skips what lies between a setup and its teardown when the setup is skipped."""
    record = operator(dag, "record_cost")
    assert {name for name in record.upstream_task_ids if dag.get_task(name).is_setup} == {"open_account"}


def test_every_task_that_fails_for_good_sends_a_mail(dag: DAG) -> None:
    assert [task.task_id for task in dag.tasks if not vars(operator(dag, task.task_id))["on_failure_callback"]] == []


def test_a_cluster_is_created_by_one_call_that_is_not_repeated(dag: DAG) -> None:
    create = operator(dag, "create_cluster")
    assert create.retries == 0
    assert vars(create)["deferrable"] is False


def test_waiting_takes_no_worker(dag: DAG) -> None:
    for task_id in ("wait_for_cluster", "wait_for_featurize", "wait_for_pca"):
        assert vars(operator(dag, task_id))["deferrable"] is True


def test_no_deferred_wait_rests_on_execution_timeout_which_airflow_does_not_keep_while_it_is_deferred(
    dag: DAG,
) -> None:
    """apache/airflow#69678: a wait has an end of its own, by the trigger, and within the task's limit."""
    for task_id in ("wait_for_cluster", "wait_for_featurize", "wait_for_pca"):
        wait = operator(dag, task_id)
        seconds = vars(wait)["max_attempts"] * vars(wait)["poke_interval"]
        assert wait.execution_timeout
        assert 0 < seconds <= wait.execution_timeout.total_seconds()


def test_no_time_limit_on_the_run_can_skip_the_teardown(dag: DAG) -> None:
    assert dag.dagrun_timeout is None
    assert dag.max_active_runs == 1
    assert all(task.execution_timeout for task in dag.tasks)


def test_every_task_says_what_it_does(dag: DAG) -> None:
    assert [task.task_id for task in dag.tasks if not (task.doc_md or "").strip()] == []


@pytest.mark.parametrize(
    ("param", "value", "words"),
    [
        ("instance_type", "m9.huge", "'m9.huge' is not one of"),
        ("spot_share", 1.5, "1.5 is greater than the maximum"),
        ("spot_share", -0.1, "-0.1 is less than the minimum"),
        ("budget_usd", 0, "0 is less than the minimum"),
        ("region", "eu-west-2", "'eu-west-2' is not one of"),
        ("keep_for_demo_minutes", 100_000, "100000 is greater than the maximum"),
    ],
)
def test_the_form_refuses_what_cannot_be_before_there_is_a_run(dag: DAG, param: str, value: object, words: str) -> None:
    with pytest.raises(ParamValidationError, match=re.escape(words)):
        dag.params.get_param(param).resolve(value=value)
