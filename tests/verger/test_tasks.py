"""What the tasks do with a run's folder, and what they tell when readers keep another run."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from mypy_boto3_s3 import S3Client
from verger import cluster_tasks, plan_tasks, tasks
from verger.plan.planning import make_plan
from verger.publish.latest_pointer import point_forward
from verger.run.deployment import Deployment
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import BucketLayout, RunLayout

from tests.verger.plan.inventories import FOLDER, take_inventory

if TYPE_CHECKING:
    from verger.mail.notification import Mail

MODEL = {"fingerprint": "f" * 16, "uri": "", "weights": "imagenet"}
RUN_ID = "scheduled__2026-11-21T00:00:00+00:00"


def context(bucket: str, dag_id: str = "fruits_features", **params: Any) -> Any:
    settings = {"bucket": bucket, "region": "eu-west-1", "k": 1, **params}
    return {"params": settings, "run_id": RUN_ID, "ti": SimpleNamespace(dag_id=dag_id, try_number=1)}


@pytest.fixture
def run(s3: S3Client, bucket: str) -> RunLayout:
    """A run on three pictures."""
    for number in range(3):
        s3.put_object(Bucket=bucket, Key=f"images/Apple/{number}.jpg", Body=b"%d" % number)
    return RunLayout(BucketLayout(bucket), RUN_ID)


def installation(name: str = "orchard", **more: Any) -> Deployment:
    return Deployment(home=Path(), name=name, watch_seconds=0, **more)


def test_the_plan_of_another_installation_s_run_is_not_written_over(s3: S3Client, run: RunLayout) -> None:
    plan = plan_tasks.plan_run(installation(), context(run.layout.bucket), MODEL)
    for second, dag_id in (("verger", "fruits_features"), ("orchard", "my_fruits")):
        with pytest.raises(AirflowFailException, match="is taken in this bucket by the installation 'orchard'"):
            plan_tasks.plan_run(installation(second), context(run.layout.bucket, dag_id), MODEL)
        with pytest.raises(AirflowFailException, match="is taken"):
            tasks.sync_images(installation(second), context(run.layout.bucket, dag_id, source="/srv/pictures"))
        with pytest.raises(AirflowFailException, match="is taken"):
            cluster_tasks.lease_cluster(
                installation(second), context(run.layout.bucket, dag_id), "", MODEL, {"refused": ""}
            )
    assert (read_json(s3, run.run_file("plan.json")) or {})["created_at"] == plan["created_at"]


def test_no_cluster_that_was_refused_is_leased_whatever_somebody_marked_as_a_success(run: RunLayout) -> None:
    refused = {"refused": "budget_usd is 1.00, but this cluster could cost 2.00"}
    with pytest.raises(AirflowFailException, match=r"budget_usd is 1\.00"):
        cluster_tasks.lease_cluster(installation(), context(run.layout.bucket), "", MODEL, refused)


def test_a_cleared_task_of_the_same_run_plans_again(s3: S3Client, run: RunLayout) -> None:
    for _ in range(2):
        assert plan_tasks.plan_run(installation(), context(run.layout.bucket), MODEL)["todo"] == 3
    assert (read_json(s3, run.claim) or {})["installation"] == "orchard"


def test_a_plan_that_is_refused_gives_the_run_back(s3: S3Client, run: RunLayout) -> None:
    with pytest.raises(AirflowFailException, match="k is 100"):
        plan_tasks.plan_run(installation(), context(run.layout.bucket, k=100), MODEL)
    assert read_json(s3, run.claim) is None
    assert plan_tasks.plan_run(installation("verger"), context(run.layout.bucket), MODEL)


def test_a_run_that_finds_nothing_new_gives_its_folder_back(
    s3: S3Client, run: RunLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_tasks.plan_run(installation(), context(run.layout.bucket), MODEL)
    for name in ("plan.json", "manifest.parquet", "claim.json"):
        s3.delete_object(Bucket=run.layout.bucket, Key=run.run_file(name).key)
    write_json(s3, run.layout.latest, {"run_id": "before", "results_uri": "", "inputs_digest": plan["inputs_digest"]})

    def all_done(*args: Any, **more: Any) -> Any:
        made = make_plan(*args, **more)
        return type(made)(**{**vars(made), "todo": 0})

    monkeypatch.setattr(plan_tasks, "make_plan", all_done)
    assert plan_tasks.plan_run(installation(), context(run.layout.bucket), MODEL) == {}
    assert read_json(s3, run.claim) is None
    assert read_json(s3, run.left_out_of_bucket), "what was left out is told all the same"
    assert plan_tasks.plan_run(installation("verger"), context(run.layout.bucket), MODEL) == {}


def test_an_installation_with_an_inventory_plans_by_it_and_tells_so(
    s3: S3Client, run: RunLayout, caplog: pytest.LogCaptureFixture
) -> None:
    bucket = run.layout.bucket
    take_inventory(s3, bucket, datetime.now(UTC) - timedelta(hours=3))
    s3.delete_object(Bucket=bucket, Key="images/Apple/0.jpg")
    ours = installation(bucket=bucket, inventory_uri=f"s3://{bucket}/{FOLDER.format(bucket=bucket)}")
    assert plan_tasks.plan_run(ours, context(bucket), MODEL)["listed"] == 3, "the deletion is seen with the next one"
    assert "the list is the S3 Inventory of" in caplog.text
    put = plan_tasks.plan_run(ours, context(bucket, source="/somewhere"), MODEL)
    assert put["listed"] == 2, "a run that has copied lists what it has copied"


def test_an_inventory_that_is_too_old_ends_the_run_before_anything_costs_money(s3: S3Client, run: RunLayout) -> None:
    bucket = run.layout.bucket
    take_inventory(s3, bucket, datetime.now(UTC) - timedelta(hours=72))
    ours = installation(bucket=bucket, inventory_uri=f"s3://{bucket}/{FOLDER.format(bucket=bucket)}")
    with pytest.raises(AirflowFailException, match="is 72 hours old, and 48 are allowed"):
        plan_tasks.plan_run(ours, context(bucket), MODEL)
    assert read_json(s3, run.claim) is None


def test_a_run_whose_source_is_refused_keeps_its_folder_for_the_task_that_is_cleared(
    s3: S3Client, run: RunLayout
) -> None:
    """Another task may be at work beside it."""
    with pytest.raises(AirflowFailException):
        tasks.sync_images(installation(), context(run.layout.bucket, source="/there/is/no/such/folder"))
    assert read_json(s3, run.claim)


@pytest.mark.parametrize(
    ("others_plan", "published", "warned"),
    [("2026-11-20T00:00:00+00:00", True, False), ("2026-11-23T00:00:00+00:00", True, True), (None, False, False)],
    ids=["moved the pointer", "left it", "did not publish"],
)
def test_a_run_counts_as_published_whether_or_not_readers_follow_it(
    s3: S3Client,
    run: RunLayout,
    monkeypatch: pytest.MonkeyPatch,
    others_plan: str | None,
    *,
    published: bool,
    warned: bool,
) -> None:
    mails: list[Mail] = []
    seen: list[bool] = []

    def cost(*_: Any, published: bool) -> dict[str, Any]:
        seen.append(published)
        return {"usd": 1.0, "usd_per_1000_images": None, "estimate": None, "idle_minutes": 0, "idle_usd": 0,
                "clusters": []}  # fmt: skip

    monkeypatch.setattr(cluster_tasks, "_cost", cost)
    monkeypatch.setattr(cluster_tasks, "task_states", lambda _: {})
    monkeypatch.setattr(cluster_tasks, "send_mail", lambda _, mail: mails.append(mail))
    if others_plan:
        write_json(s3, run.layout.latest, {"run_id": "another", "planned_at": others_plan})
        counts = {"featurized": 3, "listed": 3, "rejected": 0}
        plan = {"inputs_digest": "d", "model_fingerprint": "f" * 16, "created_at": "2026-11-21T00:00:00+00:00"}
        description = {
            "run_id": RUN_ID, "plan": plan, "published_at": "2026-11-24T00:00:00+00:00", "counts": counts,
            "warnings": ["of its own"], "pca": {"k": 1, "variance_reached": 1},
            "featurize": {"featurized": 3, "seconds": {"total": 1}, "images_per_second": 1.0},
        }  # fmt: skip
        write_json(s3, run.result_file("run.json"), description)
        point_forward(s3, run, description)
    assert cluster_tasks.record_cost(installation(), context(run.layout.bucket), {}) == 1.0
    assert (seen, len(mails)) == ([published], int(published))
    assert [("WARNING: latest.json stays at the run another" in mail.body) for mail in mails] == [warned] * published
    stored = read_json(s3, run.result_file("run.json")) or {}
    assert stored.get("warnings", ["of its own"]) == ["of its own"]
    assert ("cost" in stored) == published
