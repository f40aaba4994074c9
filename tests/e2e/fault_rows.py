"""What holds after every fault: no cluster alive, nothing half published, and the next run good."""

import time
from collections.abc import Callable
from typing import Any

from verger.storage.layout import RunLayout

from local_emr.control import FaultControl
from tests.e2e.installation import Verger
from tools.local_run.run_view import RunView


def wait_until(is_true: Callable[[], Any], seconds: float, what: str, pause: float = 0.5) -> Any:
    """Wait until `is_true` gives something; returns it."""
    end = time.monotonic() + seconds
    while not (found := is_true()):
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(pause)
    return found


def _control(verger: Verger) -> FaultControl:
    return FaultControl(verger.stack.emr_url, verger.stack.access_key, verger.stack.secret_key)


def arm(verger: Verger, *faults: dict[str, Any]) -> None:
    """Have these faults, and no others, from now on."""
    control = _control(verger)
    control.clear()
    control.arm(*faults)


def struck(verger: Verger) -> dict[str, int]:
    """How often each kind of fault has struck."""
    counts: dict[str, int] = {}
    for fault in _control(verger).describe():
        counts[fault["fault"]] = counts.get(fault["fault"], 0) + fault["struck"]
    return counts


def run_clusters(verger: Verger, run_id: str) -> list[dict[str, Any]]:
    """The clusters of a run as DescribeCluster tells them, the oldest first."""
    slug = RunLayout(verger.layout, run_id).slug
    emr = verger.stack.emr()
    listed = [found for page in emr.get_paginator("list_clusters").paginate() for found in page["Clusters"]]
    ours = [found["Id"] for found in reversed(listed) if found["Name"].startswith(f"verger-verger-{slug}-try")]
    return [dict(emr.describe_cluster(ClusterId=cluster_id)["Cluster"]) for cluster_id in ours]


def assert_no_cluster_alive(verger: Verger) -> None:
    """Every cluster that there ever was has ended."""
    assert [cluster for cluster in verger.clusters() if not cluster.ended] == []


def assert_published_whole(verger: Verger, run_id: str, images: int) -> None:
    """`latest.json` shows this run, and everything that it promises is there."""
    latest = verger.latest()
    assert latest is not None
    assert latest["run_id"] == run_id
    run = RunLayout(verger.layout, run_id)
    description = verger.read(run.result_file("run.json"))
    assert description is not None
    assert description["counts"]["listed"] == images
    assert description["counts"]["featurized"] + description["counts"]["rejected"] == images
    tables = ("matrix.csv", "matrix-excel.csv", "explained_variance.csv", "rejects.csv", "rejects-excel.csv")
    for name in (*tables, "matrix.parquet", "report.html"):
        address = run.result_file(name)
        verger.stack.s3().head_object(Bucket=address.bucket, Key=address.key)


def assert_ended_well(verger: Verger, view: RunView, images: int) -> None:
    """The run succeeded, its results are whole and its cluster is gone."""
    assert view.state == "success", view
    assert view.tasks["terminate_cluster"].state == "success"
    assert_no_cluster_alive(verger)
    assert_published_whole(verger, view.run_id, images)
