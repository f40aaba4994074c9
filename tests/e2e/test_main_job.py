"""The main job: pictures in, matrix out, through the real DAG, a real local EMR and real Spark."""

import csv
import gzip
import io
import os
import signal
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from verger.storage.layout import RunLayout

from tests.e2e.installation import Verger, draw
from tools.local_run.run_view import RunView

pytestmark = [pytest.mark.e2e, pytest.mark.spark]

GOOD, BROKEN = 60, 4
IN_BUCKET = ("phone/.thumbnails/1.jpg", "phone/.thumbnails/2.jpg", "phone/.trashed-1718000000-1.jpg")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw(tmp_path_factory.mktemp("pictures"), GOOD, broken=BROKEN)
    for name in (".DS_Store", "@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    return folder


@pytest.fixture(scope="module")
def first_run(verger: Verger, pictures: Path) -> RunView:
    # Somebody copied a phone straight into the bucket.
    for name in IN_BUCKET:
        verger.stack.s3().put_object(Bucket=verger.layout.bucket, Key=f"images/{name}", Body=b"x")
    return verger.run(source=str(pictures), k=5, max_reject_rate=0.2)


def read_bytes(verger: Verger, view: RunView, name: str) -> bytes:
    address = RunLayout(verger.layout, view.run_id).result_file(name)
    return verger.stack.s3().get_object(Bucket=address.bucket, Key=address.key)["Body"].read()


def test_every_picture_is_in_the_matrix_or_a_reject_row_says_why(verger: Verger, first_run: RunView) -> None:
    assert first_run.state == "success", first_run
    matrix = pq.read_table(io.BytesIO(read_bytes(verger, first_run, "matrix.parquet")))
    assert matrix.column_names == ["path", "label", "pc_1", "pc_2", "pc_3", "pc_4", "pc_5"]
    assert matrix["path"].to_pylist() == sorted(matrix["path"].to_pylist())
    rejects = list(csv.DictReader(io.StringIO(read_bytes(verger, first_run, "rejects.csv").decode())))
    assert all(row["stage"] and row["reason"] for row in rejects)
    listed = pq.read_table(
        io.BytesIO(
            verger.stack.s3()
            .get_object(
                Bucket=verger.layout.bucket,
                Key=RunLayout(verger.layout, first_run.run_id).run_file("manifest.parquet").key,
            )["Body"]
            .read()
        )
    )["path"].to_pylist()
    assert sorted(matrix["path"].to_pylist() + [row["path"] for row in rejects]) == listed
    assert len(listed) == GOOD + BROKEN
    assert matrix.num_rows >= GOOD


def test_what_is_neither_in_the_matrix_nor_a_reject_is_named_as_left_out(verger: Verger, first_run: RunView) -> None:
    run = verger.read(RunLayout(verger.layout, first_run.run_id).result_file("run.json"))
    assert run
    found = {
        (place, name): reason["reason"]
        for place in ("source", "bucket")
        for reason in run["left_out"][place]["reasons"]
        for name in reason["examples"]
    }
    folder, file = "in a hidden folder, or one of a system", "a hidden file, or one of a system"
    assert found == {
        ("source", ".DS_Store"): file,
        ("source", "@eaDir/"): folder,
        ("source", "notes.txt"): "no picture by its name",
        ("bucket", "phone/.thumbnails/"): folder,
        ("bucket", "phone/.trashed-1718000000-1.jpg"): file,
    }
    assert run["left_out"]["files"] == 6
    assert verger.metrics(first_run, "plan.json")["left_out"] == 3
    assert verger.metrics(first_run, "left_out.json")["left_out"] == 3
    assert b"phone/.thumbnails/" in read_bytes(verger, first_run, "report.html")


def test_the_csv_holds_the_rows_of_the_parquet_file(verger: Verger, first_run: RunView) -> None:
    matrix = pq.read_table(io.BytesIO(read_bytes(verger, first_run, "matrix.parquet")))
    rows = list(csv.DictReader(io.StringIO(read_bytes(verger, first_run, "matrix.csv").decode())))
    assert [row["path"] for row in rows] == matrix["path"].to_pylist()
    assert [float(row["pc_1"]) for row in rows] == matrix["pc_1"].to_pylist()


def test_the_cluster_is_terminated_and_the_pointer_shows_the_run(verger: Verger, first_run: RunView) -> None:
    assert first_run.tasks["terminate_cluster"].state == "success"
    assert verger.clusters()[0].state == "TERMINATED"
    latest = verger.latest()
    assert latest
    assert latest["run_id"] == first_run.run_id
    run = verger.read(RunLayout(verger.layout, first_run.run_id).result_file("run.json"))
    assert run
    assert run["regions"] == {"bucket": "local", "logs": "local", "cluster": "local"}
    assert run["counts"]["listed"] == GOOD + BROKEN


def test_random_weights_are_marked_in_every_output(verger: Verger, first_run: RunView) -> None:
    run = verger.read(RunLayout(verger.layout, first_run.run_id).result_file("run.json"))
    assert run
    random = verger.metrics(first_run, "featurize.json")["weights"] == "random"
    assert bool(run["warnings"]) is random
    assert (b"RANDOM weights" in read_bytes(verger, first_run, "report.html")) is random


def test_no_secret_is_in_a_log_a_param_a_rendered_template_or_an_object(verger: Verger, first_run: RunView) -> None:
    """Everything that the run left, Airflow's database included; only the S3 server's own settings must know it."""
    assert first_run.state == "success"
    secret = verger.stack.secret_key.encode()
    assert len(secret) >= 8
    written = [file for file in verger.folder.rglob("*") if file.is_file() and "s3proxy" not in file.parts]
    assert any(file.suffix == ".db" for file in written)
    assert any(file.name == "stderr.gz" for file in written)
    unpacked = ((file, gzip.decompress if file.suffix == ".gz" else bytes) for file in written)
    assert [str(file) for file, read in unpacked if secret in read(file.read_bytes())] == []


def test_a_run_with_nothing_new_creates_no_cluster(verger: Verger, first_run: RunView, pictures: Path) -> None:
    before = len(verger.clusters())
    again = verger.run(source=str(pictures), k=5, max_reject_rate=0.2)
    assert again.state == "success"
    assert again.tasks["create_cluster"].state == "skipped"
    assert again.tasks["terminate_cluster"].state == "skipped"
    assert len(verger.clusters()) == before
    latest = verger.latest()
    assert latest
    assert latest["run_id"] == first_run.run_id


def test_one_new_picture_is_the_only_one_computed_and_needs_no_cluster(
    verger: Verger, first_run: RunView, pictures: Path
) -> None:
    assert first_run.state == "success"
    before = len(verger.clusters())
    draw(pictures / "new", 1, seed=7)
    more = verger.run(source=str(pictures), k=5, max_reject_rate=0.2, compute="auto")
    assert more.state == "success"
    assert len(verger.clusters()) == before
    assert (more.tasks["run_here"].state, more.tasks["create_cluster"].state) == ("success", "skipped")
    run = verger.read(RunLayout(verger.layout, more.run_id).result_file("run.json"))
    assert run
    assert (run["place"], run["cluster"], run["here"]["outcome"]) == ("here", None, "done")
    assert run["regions"] == {"bucket": "local", "logs": "local", "machine": "local"}
    cost = verger.metrics(more, "cost.json")
    assert (cost["usd"], cost["estimate"], cost["clusters"]) == (0.0, None, [])
    metrics = verger.metrics(more, "featurize.json")
    assert (metrics["featurized"], metrics["done_before"]) == (1, GOOD + BROKEN)
    assert verger.metrics(more, "pca.json")["listed"] == GOOD + BROKEN + 1


def test_other_settings_of_the_matrix_are_a_change(verger: Verger, first_run: RunView) -> None:
    assert first_run.state == "success"
    fewer = verger.run(k=2, max_reject_rate=0.2, compute="here")
    assert fewer.state == "success"
    assert verger.metrics(fewer, "featurize.json")["featurized"] == 0
    assert verger.metrics(fewer, "pca.json")["k"] == 2


#: fruits_features itself, whose work on this machine has no time at all.
IMPATIENT = """
import os, runpy
from dataclasses import replace
from airflow.sdk import dag
from verger import place_tasks

program = place_tasks._program
place_tasks._program = lambda *arguments: replace(program(*arguments), seconds=0)
globals().update(runpy.run_path(os.environ["FRUITS_FEATURES"]))
"""


def test_a_run_that_takes_too_long_here_ends_on_a_cluster_with_one_matrix(
    verger: Verger, first_run: RunView, pictures: Path, project: Path, tmp_path: Path
) -> None:
    assert first_run.state == "success"
    draw(pictures / "late", 3, seed=8)
    (tmp_path / "fruits_features.py").write_text(IMPATIENT)
    variables = {
        "AIRFLOW__CORE__DAGS_FOLDER": str(tmp_path),
        "FRUITS_FEATURES": str(project / "dags/fruits_features.py"),
    }
    impatient = replace(verger, variables=variables)
    cut = impatient.run(source=str(pictures), k=5, max_reject_rate=0.2, compute="here")
    assert cut.state == "success", cut
    assert {cut.tasks[name].state for name in ("run_here", "terminate_cluster", "publish_results")} == {"success"}
    run = verger.read(RunLayout(verger.layout, cut.run_id).result_file("run.json"))
    assert run
    assert (run["place"], run["here"]["outcome"]) == ("here, then cluster", "cut off")
    assert verger.metrics(cut, "pca.json")["rows"] == run["counts"]["featurized"]
    latest = verger.latest()
    assert latest
    assert latest["run_id"] == cut.run_id
    assert verger.clusters()[0].ended


class KillFeaturize:
    """Kills the featurize step with SIGKILL as soon as its first chunk is committed."""

    def __init__(self, verger: Verger, fingerprint: str) -> None:
        self.verger = verger
        self.log = f"{verger.layout.feature_table(fingerprint).key}/_delta_log/"
        self.killed: list[int] = []

    def __call__(self, view: RunView) -> None:
        """Look once."""
        if self.killed or not view.run_id:
            return
        slug = RunLayout(self.verger.layout, view.run_id).slug
        s3, bucket = self.verger.stack.s3(), self.verger.layout.bucket
        listed = s3.list_objects_v2(Bucket=bucket, Prefix=self.log).get("Contents", ())
        last = max((entry["Key"] for entry in listed if entry["Key"].endswith(".json")), default=None)
        if last and f'"appId":"{slug}"'.encode() in s3.get_object(Bucket=bucket, Key=last)["Body"].read():
            self.killed = list(step_processes(self.verger.folder, "featurize.py"))
            for pid in self.killed:
                os.kill(pid, signal.SIGKILL)


def step_processes(folder: Path, entry_point: str) -> list[int]:
    """The processes of this installation's nodes that run an entry point."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            words = (process / "cmdline").read_bytes().decode("utf-8", "replace")
        except OSError:  # it has ended meanwhile
            continue
        if str(folder) in words and entry_point in words:
            found.append(int(process.name))
    return found


def test_a_killed_featurize_fails_the_run_and_the_next_one_picks_up(
    verger: Verger, first_run: RunView, pictures: Path
) -> None:
    assert first_run.state == "success"
    draw(pictures / "many", 600, seed=3)
    before = verger.latest()
    kill = KillFeaturize(verger, verger.metrics(first_run, "plan.json")["model_fingerprint"])
    killed = verger.run(kill, source=str(pictures), k=5, max_reject_rate=0.2, chunk_images=100)
    assert kill.killed
    assert killed.state == "failed"
    assert killed.failed_task == "wait_for_featurize"
    assert killed.tasks["terminate_cluster"].state == "success"
    assert verger.clusters()[-1].ended
    assert verger.latest() == before

    finished = verger.run(source=str(pictures), k=5, max_reject_rate=0.2, chunk_images=100)
    assert finished.state == "success"
    metrics = verger.metrics(finished, "featurize.json")
    assert metrics["done_before"] >= GOOD + BROKEN + 100
    assert metrics["featurized"] + metrics["done_before"] == metrics["listed"]
    assert metrics["listed"] == verger.metrics(finished, "pca.json")["rows"] + metrics["total_rejected"]


def test_a_step_that_refuses_says_why_in_the_task_s_own_error(
    verger: Verger, first_run: RunView, tmp_path: Path
) -> None:
    assert first_run.state == "success"
    before = verger.latest()
    for number in range(8):
        (tmp_path / f"{number}.jpg").write_text("no picture")
    refused = verger.run(
        source=str(draw(tmp_path, 8)), delete_missing=True, delete_more_than_half=True, k=2, max_reject_rate=0.1
    )
    assert (refused.state, refused.failed_task) == ("failed", "wait_for_featurize")
    assert "not_an_image" in refused.tasks["wait_for_featurize"].error
    assert verger.clusters()[-1].ended
    assert verger.latest() == before


@pytest.fixture(scope="module")
def wrong_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of weights, but not of this model."""
    file = tmp_path_factory.mktemp("weights") / "other.weights.h5"
    file.write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 512)
    return file


def test_what_cannot_work_is_one_clear_error_before_a_cluster_exists(
    verger: Verger, first_run: RunView, wrong_weights: Path, tmp_path: Path
) -> None:
    assert first_run.state == "success"
    before = len(verger.clusters())
    for conf, task, word in (
        ({"bucket": "there-is-no-such-bucket"}, "check_settings", "there-is-no-such-bucket"),
        ({"source": str(tmp_path)}, "check_settings", str(tmp_path)),
        ({"k": 1280}, "plan_run", "k is 1280"),
        ({"weights": str(wrong_weights)}, "publish_model", wrong_weights.name),
    ):
        view = verger.run(**conf)
        assert (view.state, view.failed_task) == ("failed", task), view
        assert word in view.tasks[task].error
    outside = verger.run(region="us-east-1")
    assert outside.state != "success"
    assert "us-east-1" in outside.error
    assert len(verger.clusters()) == before


def test_no_secret_is_in_what_a_run_leaves(verger: Verger, first_run: RunView) -> None:
    """Task logs, rendered templates and XComs in the database, the steps' logs, and every object of the bucket."""
    assert first_run.state == "success"
    secrets = [value.encode() for value in (verger.stack.secret_key, verger.stack.access_key)]
    files = [path for path in verger.home.home.rglob("*") if path.is_file()] + list(verger.folder.glob("*.log"))
    texts = {str(path): path.read_bytes() for path in files}
    s3 = verger.stack.s3()
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=verger.layout.bucket):
        for entry in page["Contents"]:
            body = s3.get_object(Bucket=verger.layout.bucket, Key=entry["Key"])["Body"].read()
            texts[entry["Key"]] = gzip.decompress(body) if entry["Key"].endswith(".gz") else body
    assert any("airflow.db" in name for name in texts)
    assert any(name.startswith("logs/") for name in texts)
    assert [name for name, text in texts.items() if any(secret in text for secret in secrets)] == []
