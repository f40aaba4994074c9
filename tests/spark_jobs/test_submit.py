"""The jobs as the cluster runs them: spark-submit with a zip of the package and the job file alone."""

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from verger_rules.delta_table import next_chunk, open_table
from verger_rules.layout import run_slug

from tests.spark_jobs.job_world import (
    EMR_SPARK,
    NEWEST_SPARK,
    PROJECT,
    RUN,
    JobWorld,
    here_command,
    jpeg,
    many_jpegs,
    submit,
    submit_command,
    submit_environment,
)

pytestmark = pytest.mark.spark


@pytest.mark.parametrize("master", ["local[2]", "local-cluster[2,1,1024]"])
def test_both_steps_run_from_the_zip(world: JobWorld, code: Path, master: str) -> None:
    world.put_images(many_jpegs(12) | {"x/text.jpg": b"hello", "odd/a %41+é.jpg": jpeg()})
    step = submit(code, "featurize.py", world.featurize_arguments("--max-reject-rate", "0.1"), world.endpoint, master)
    assert step.returncode == 0, step.stdout[-3000:] + step.stderr[-3000:]
    assert world.table_rows(features=True).num_rows == 13
    step = submit(code, "pca.py", world.pca_arguments("--k", "3"), world.endpoint, master)
    assert step.returncode == 0, step.stdout[-3000:] + step.stderr[-3000:]
    assert world.get_table("results/r/matrix.parquet").num_rows == 13


def test_emr_s_own_spark_gives_what_the_newest_gives(world: JobWorld, code: Path) -> None:
    """Every other test of the jobs runs on the newest 4.1; a node has the one of its release (`release_label`)."""
    world.put_images(many_jpegs(12) | {"x/text.jpg": b"hello"})
    versions, matrices = [], []
    for spark in (NEWEST_SPARK, EMR_SPARK):
        for job, arguments in (
            ("featurize.py", world.featurize_arguments("--max-reject-rate", "0.1")),
            ("pca.py", world.pca_arguments("--k", "3")),
        ):
            step = submit(code, job, arguments, world.endpoint, spark=spark)
            assert step.returncode == 0, step.stdout[-3000:] + step.stderr[-3000:]
        versions.append(world.get_json("runs/r/featurize.json")["versions"]["pyspark"])
        matrices.append(world.get_table("results/r/matrix.parquet"))
        for entry in world.s3.list_objects_v2(Bucket=world.bucket, Prefix="features")["Contents"]:
            world.s3.delete_object(Bucket=world.bucket, Key=entry["Key"])
    assert versions[1] == "4.1.1"
    assert versions[0] != versions[1]
    assert matrices[0].num_rows == 12
    assert matrices[0].equals(matrices[1])


def test_a_refused_argument_ends_with_code_2_and_one_line(world: JobWorld, code: Path) -> None:
    step = submit(code, "pca.py", world.pca_arguments("--k", "0"), world.endpoint)
    assert step.returncode == 2
    assert step.stderr.splitlines()[-1] == (
        "verger: error: pca.py: argument --k: '0' is not a whole number from 1 to 1280"
    )
    assert "Traceback" not in step.stdout + step.stderr


def test_a_failed_step_ends_with_code_1_and_one_line(world: JobWorld, code: Path) -> None:
    world.put_images({"x/text.jpg": b"hello"})
    step = submit(code, "featurize.py", world.featurize_arguments(), world.endpoint)
    assert step.returncode == 1
    assert step.stderr.splitlines()[-1].startswith("verger: error: No image has features: 1 of 1 images (100.0%)")
    assert "Traceback" not in step.stdout + step.stderr


@pytest.mark.parametrize("place", ["cluster", "here"])
def test_killed_at_random_moments_it_ends_as_if_undisturbed(world: JobWorld, code: Path, place: str) -> None:
    """Each kill costs at most one chunk, and readers never see a row twice or a chunk in part."""
    images, chunk, done = 120, 10, 0
    world.put_images(many_jpegs(images))
    arguments = world.featurize_arguments("--chunk-images", str(chunk))
    command = submit_command(code, "featurize.py", arguments, "local[2]")
    if place == "here":
        command = here_command(arguments, world.pca_arguments("--k", "2"))
    chance = random.Random(5)  # noqa: S311 - a test's choice
    for _ in range(3):
        if done == images:  # a machine so fast that all was committed before the kill came
            break
        kill_after_next_commit(world, code, command, chance.uniform(0.0, 0.8 if place == "cluster" else 0.3))
        seen = world.table_rows(features=True)["path"].to_pylist()
        assert len(seen) == len(set(seen))
        assert len(seen) % chunk == 0
        assert len(seen) > done
        done = len(seen)
    finish(world, code, command)
    disturbed = world.table_rows(features=True)
    assert world.get_json("runs/r/featurize.json")["featurized"] == images - done
    for entry in world.s3.list_objects_v2(Bucket=world.bucket, Prefix="features")["Contents"]:
        world.s3.delete_object(Bucket=world.bucket, Key=entry["Key"])
    finish(world, code, command)
    undisturbed = world.table_rows(features=True).drop_columns("computed_at")
    assert undisturbed.equals(disturbed.drop_columns("computed_at"))
    assert world.answers()["path"].equals(undisturbed["path"])


def commits(world: JobWorld) -> int:
    """How many chunks are committed."""
    return next_chunk(open_table(world.place), run_slug(RUN))


def environment(world: JobWorld) -> dict[str, str]:
    """What either place's program sees: the packages are in its zip, or in the installation."""
    return submit_environment(world.endpoint) | {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}"}


def finish(world: JobWorld, code: Path, command: list[str]) -> None:
    """Run a step to its end."""
    step = subprocess.run(
        command, env=environment(world), cwd=code, capture_output=True, text=True, check=False, timeout=560
    )
    assert step.returncode == 0, step.stdout[-3000:] + step.stderr[-3000:]


def kill_after_next_commit(world: JobWorld, code: Path, command: list[str], seconds: float) -> None:
    """Start a featurize step; some seconds after it committed a chunk, kill all its processes at once."""
    before = commits(world)
    step = subprocess.Popen(
        command,
        env=environment(world),
        cwd=code,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        while step.poll() is None and commits(world) == before:
            time.sleep(0.1)
        time.sleep(seconds)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(step.pid, signal.SIGKILL)
        step.wait()
