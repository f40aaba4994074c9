"""The Databricks job calls the same two steps: its arguments are theirs, its configuration is what they ask for."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.artifacts.code_bundle import job_packages
from verger.artifacts.model_store import Model
from verger.cluster import steps
from verger.run import settings
from verger.run.eu_guard import EU_REGIONS
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.addresses import S3Address

from spark_jobs.place.spark_context import CONF, KEEP_CONTEXT
from spark_jobs.steps import featurize_arguments, pca_arguments
from spark_jobs.steps.manifest import read_manifest
from spark_jobs.store.object_store import StoreSettings

PROJECT = Path(__file__).resolve().parents[2]
BUNDLE: dict[str, Any] = yaml.safe_load((PROJECT / "databricks.yml").read_text("utf-8"))
JOB: dict[str, Any] = BUNDLE["resources"]["jobs"]["fruits_features"]
TASKS: dict[str, dict[str, Any]] = {task["task_key"]: task for task in JOB["tasks"]}
CLUSTER: dict[str, Any] = JOB["job_clusters"][0]["new_cluster"]
RUN = RunLayout(BucketLayout("fruits"), "by hand 2026-11-24T10:00:00Z")
MODEL = Model("0123456789abcdef", "s3://fruits/models/0123456789abcdef", "imagenet")
GIVEN = {
    "bucket": "fruits",
    "run_slug": RUN.slug,
    "run_id": RUN.run_id,
    "model_fingerprint": MODEL.fingerprint,
}


def arguments(task: str, given: Mapping[str, str]) -> list[str]:
    """What a task's program gets when the job is run with some parameters."""
    defaults = {entry["name"]: entry["default"] for entry in JOB["parameters"]}
    assert given.keys() <= defaults.keys(), "the bundle refuses parameters that the job does not declare"
    values = {**defaults, **given}
    words: Sequence[str] = TASKS[task]["python_wheel_task"]["parameters"]
    return [re.sub(r"\{\{job\.parameters\.(\w+)\}\}", lambda found: values[found[1]], word) for word in words]


@given(
    chunk_images=st.integers(*settings.CHUNK_BOUNDS),
    max_reject_rate=st.floats(0, 1),
    engine=st.sampled_from(settings.ENGINES),
)
def test_featurize_is_asked_for_the_same_by_databricks_and_by_the_dag(
    chunk_images: int, max_reject_rate: float, engine: str
) -> None:
    chosen = settings.Settings(
        "fruits", "eu-west-1", chunk_images=chunk_images, max_reject_rate=max_reject_rate, engine=engine
    )
    given = {"chunk_images": str(chunk_images), "max_reject_rate": str(max_reject_rate), "engine": engine}
    ours = featurize_arguments.parse_args(arguments("featurize", GIVEN | given))
    assert ours == featurize_arguments.parse_args(steps.featurize_arguments(chosen, RUN, MODEL))


@given(k=st.integers(*settings.K_BOUNDS))
def test_pca_is_asked_for_the_same_by_databricks_and_by_the_dag(k: int) -> None:
    chosen = settings.Settings("fruits", "eu-west-1", k=k)
    ours = pca_arguments.parse_args(arguments("pca", GIVEN | {"k": str(k)}))
    assert ours == pca_arguments.parse_args(steps.pca_arguments(chosen, RUN, MODEL))


def test_the_jobs_defaults_are_the_dags() -> None:
    chosen = settings.Settings("fruits", "eu-west-1")
    ours = featurize_arguments.parse_args(arguments("featurize", GIVEN))
    assert ours == featurize_arguments.parse_args(steps.featurize_arguments(chosen, RUN, MODEL))
    assert pca_arguments.parse_args(arguments("pca", GIVEN)) == pca_arguments.parse_args(
        steps.pca_arguments(chosen, RUN, MODEL)
    )


def test_the_cluster_has_what_the_jobs_ask_their_context_for() -> None:
    """Databricks opens the context before they can ask."""
    assert CLUSTER["spark_conf"].items() >= CONF.items()
    assert CLUSTER["spark_conf"][KEEP_CONTEXT] == "true"


def test_nothing_runs_outside_the_eu_and_rdds_are_allowed() -> None:
    defaults = {name: variable.get("default") for name, variable in BUNDLE["variables"].items()}
    assert defaults["region"] in EU_REGIONS
    assert defaults["zone"][:-1] == defaults["region"]
    assert CLUSTER["aws_attributes"]["zone_id"] == "${var.zone}"
    assert CLUSTER["data_security_mode"] == "SINGLE_USER"
    assert not {"environments", "environment_key"} & {*JOB, *TASKS["featurize"], *TASKS["pca"]}


def test_pca_waits_for_featurize_on_the_same_cluster() -> None:
    assert TASKS["pca"]["depends_on"] == [{"task_key": "featurize"}]
    assert TASKS["pca"]["job_cluster_key"] == TASKS["featurize"]["job_cluster_key"]
    assert all((PROJECT / entry["requirements"]).is_file() for entry in TASKS["pca"]["libraries"] if "whl" not in entry)


def entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    project = tomllib.loads((PROJECT / "databricks_wheel/pyproject.toml").read_text("utf-8"))["project"]
    assert {task["python_wheel_task"]["package_name"] for task in JOB["tasks"]} == {project["name"]}
    return {name: importlib.metadata.EntryPoint(name, value, "") for name, value in project["scripts"].items()}


def test_the_wheel_holds_the_same_packages_as_the_zip_of_a_cluster() -> None:
    wheel = tomllib.loads((PROJECT / "databricks_wheel/pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    held = wheel["targets"]["wheel"]["force-include"]
    packages = {(PROJECT / "databricks_wheel" / source).resolve(): name for source, name in held.items()}
    assert packages == {package: package.name for package in job_packages(PROJECT)}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("code", "fails"), [(0, False), (1, True), (2, True)])
def test_a_task_fails_when_its_step_does(task: str, code: int, fails: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Databricks looks at no return value: a failed step has to raise."""
    monkeypatch.syspath_prepend(str(PROJECT / "databricks_wheel"))
    point = entry_points()[TASKS[task]["python_wheel_task"]["entry_point"]]
    run = point.load()
    monkeypatch.setitem(run.__globals__, f"{task}_entry", SimpleNamespace(main=lambda: code))
    if fails:
        with pytest.raises(RuntimeError, match=f"exit code {code}"):
            run()
    else:
        run()


def write_manifest(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROJECT / "tools/write_manifest.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_a_manifest_written_by_hand_is_what_the_job_reads(s3: S3Client, bucket: str, aws: str, tmp_path: Path) -> None:
    for name in ("Kiwi/1.jpg", "Apple Braeburn/été #1.jpg", ".git/HEAD"):
        s3.put_object(Bucket=bucket, Key=f"images/{name}", Body=name.encode())
    s3.put_object(Bucket=bucket, Key="models/default.json", Body=b'{"fingerprint": "0123456789abcdef"}')
    s3.put_object(Bucket=bucket, Key="models/0123456789abcdef/model.json", Body=b'{"weights": "imagenet"}')
    done = write_manifest("--bucket", bucket, "--run-id", "by hand")
    assert done.returncode == 0, done.stderr
    *_, command, last = done.stdout.splitlines()
    given = json.loads(last)
    assert command.startswith("databricks bundle run fruits_features --params ")
    assert "1 left out, in a hidden folder, or one of a system: '.git/'" in done.stdout
    assert all(f"{name}={value}" in command for name, value in given.items())
    asked = featurize_arguments.parse_args(arguments("featurize", given))
    assert asked.model_uri == S3Address(bucket, "models/0123456789abcdef")
    (listed,) = read_manifest(StoreSettings(aws, "eu-west-1"), asked.manifest_uri, tmp_path).parts()
    assert listed["label"].to_pylist() == ["Apple Braeburn", "Kiwi"]


def test_without_pictures_or_a_model_there_is_no_manifest(s3: S3Client, bucket: str) -> None:
    done = write_manifest("--bucket", bucket)
    assert done.returncode == 2
    assert "holds no default model" in done.stderr
    s3.put_object(Bucket=bucket, Key="models/default.json", Body=b'{"fingerprint": "0123456789abcdef"}')
    s3.put_object(Bucket=bucket, Key="models/0123456789abcdef/model.json", Body=b'{"weights": "imagenet"}')
    done = write_manifest("--bucket", bucket)
    assert done.returncode == 2
    assert "no picture lies under" in done.stderr
