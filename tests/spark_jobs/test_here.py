"""Both steps on one machine, as `run_here` runs them: the nodes' packages and processes, no Spark, no JVM."""

import multiprocessing
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from verger_rules.delta_table import next_chunk, open_table
from verger_rules.layout import run_slug

from local_emr import process_table
from spark_jobs.entry_points.here import parse_args
from spark_jobs.job_errors import CutOffError, RefusedError, StepFailedError
from spark_jobs.place import process_pool
from spark_jobs.place.process_pool import ProcessPlace
from spark_jobs.place.spark_context import CONF
from spark_jobs.place.time_limit import NO_LIMIT, TimeLimit
from spark_jobs.worker.telemetry import Totals
from tests.spark_jobs.job_world import PROJECT, RUN, JobWorld, here_command, many_jpegs, submit, submit_environment


def environment(world: JobWorld) -> dict[str, str]:
    kept = {name: value for name, value in submit_environment(world.endpoint).items() if "SPARK" not in name}
    return kept | {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}"}


def run(world: JobWorld, *featurize: str, seconds: int = 600) -> subprocess.CompletedProcess[str]:
    command = here_command(world.featurize_arguments(*featurize), world.pca_arguments("--k", "3"), seconds=seconds)
    return subprocess.run(
        command, env=environment(world), cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300
    )


def start(world: JobWorld) -> subprocess.Popen[bytes]:
    featurize, pca = world.featurize_arguments("--chunk-images", "10"), world.pca_arguments("--k", "3")
    return subprocess.Popen(
        here_command(featurize, pca, "--end-with-stdin"),
        env=environment(world),
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.kill()
    process.stdin.close()
    process.wait()


def wait_until(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.05)


def below(process: subprocess.Popen[bytes]) -> set[int]:
    return set(process_table.descendants(process.pid, process_table.processes()))


def commits(world: JobWorld) -> int:
    return next_chunk(open_table(world.place), run_slug(RUN))


@pytest.mark.spark
def test_it_needs_no_spark_and_comes_to_the_same_bytes(world: JobWorld, code: Path) -> None:
    world.put_images(many_jpegs(25) | {"x/text.jpg": b"hello"})
    done = run(world)
    assert done.returncode == 0, done.stderr
    assert "pca: done, 25 images, 3 components" in done.stdout
    here, answers = world.get("results/r/matrix.parquet"), world.answers()
    assert "pyspark" not in world.get_json("runs/r/featurize.json")["versions"]
    for entry in world.s3.list_objects_v2(Bucket=world.bucket, Prefix="features")["Contents"]:
        world.s3.delete_object(Bucket=world.bucket, Key=entry["Key"])
    for job, arguments in (
        ("featurize.py", world.featurize_arguments()),
        ("pca.py", world.pca_arguments("--k", "3")),
    ):
        step = submit(code, job, arguments, world.endpoint)
        assert step.returncode == 0, step.stderr
    assert world.get("results/r/matrix.parquet") == here
    told = ["path", "label", "etag", "stage", "reason"]
    assert world.answers().select(told).equals(answers.select(told))


def test_when_its_time_is_over_it_stops_at_a_commit_and_another_try_does_the_rest(world: JobWorld) -> None:
    world.put_images(many_jpegs(400))
    cut = run(world, "--chunk-images", "40", seconds=1)
    assert cut.returncode == 3, cut.stdout + cut.stderr
    assert "stopped after 1 s, its limit" in cut.stderr.splitlines()[-1]
    committed = commits(world) * 40
    assert committed < 400
    assert run(world).returncode == 0
    assert world.get_json("runs/r/featurize.json")["featurized"] == 400 - committed
    assert world.get_table("results/r/matrix.parquet").num_rows == 400


def test_a_worker_that_is_killed_costs_nothing_but_time(world: JobWorld) -> None:
    world.put_images(many_jpegs(60))
    process = start(world)
    try:
        wait_until(lambda: commits(world) > 0)
        os.kill(max(below(process)), signal.SIGKILL)
        assert process.wait(120) == 0
    finally:
        end(process)
    paths = world.table_rows(features=True)["path"].to_pylist()
    assert len(paths) == len(set(paths)) == 60
    assert world.get_table("results/r/matrix.parquet").num_rows == 60


@pytest.mark.parametrize("how", ["killed", "its stdin ends"])
def test_no_worker_outlives_the_program_and_it_does_not_outlive_who_started_it(world: JobWorld, how: str) -> None:
    world.put_images(many_jpegs(200))
    process = start(world)
    assert process.stdin is not None
    try:
        wait_until(lambda: commits(world) > 0)
        workers = below(process)
        assert workers
        if how == "killed":
            process.kill()
        else:
            process.stdin.close()
        assert process.wait(30) != 0
        wait_until(lambda: not workers & {other.pid for other in process_table.processes()})
    finally:
        end(process)


def test_a_part_that_ends_its_worker_every_time_is_for_another_place() -> None:
    with (
        ProcessPlace(2).open("a test") as workers,
        pytest.raises(CutOffError, match="worker processes died 4 times"),
    ):
        workers.hand_out(die, 3)


def test_an_error_of_a_part_is_the_step_s_own_and_ends_the_other_parts() -> None:
    began = time.monotonic()
    with pytest.raises(StepFailedError, match="part 1"), ProcessPlace(2).open("a test") as workers:
        workers.hand_out(fail_or_sleep, 4)
    assert time.monotonic() - began < 60


def test_an_error_of_a_part_ends_no_process_but_the_workers() -> None:
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(300,), daemon=True)
    other.start()
    try:
        with pytest.raises(StepFailedError, match="part 1"), ProcessPlace(2).open("a test") as workers:
            workers.hand_out(fail_or_sleep, 2)
        assert other.is_alive()
    finally:
        other.kill()
        other.join()
        other.close()


def test_parts_come_back_in_order_and_their_figures_add_up() -> None:
    with ProcessPlace(2).open("a test") as workers:
        shared = workers.share(b"abc")
        assert shared.value == b"abc"
        assert workers.hand_out(square, 7) == [0, 1, 4, 9, 16, 25, 36]
        (of_host,) = workers.totals.values()
        assert of_host["images"] == 7
        shared.unpersist()


def die(_: int) -> tuple[None, Totals]:
    os._exit(9)


def fail_or_sleep(part: int) -> tuple[None, Totals]:
    if part == 1:
        raise StepFailedError("part 1")
    threading.Event().wait(300)
    return None, {}


def square(part: int) -> tuple[int, Totals]:
    return part * part, {"images": 1.0}


def test_a_step_without_a_limit_is_never_cut_off_and_one_with_a_limit_when_it_is_over() -> None:
    NO_LIMIT.check("all")
    now = [0.0]
    limit = TimeLimit(60, lambda: now[0])
    now[0] = 59.9
    limit.check("all")
    now[0] = 60.0
    with pytest.raises(CutOffError, match="stopped after 60 s, its limit: all is left"):
        limit.check("all is left")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "write its own arguments, then -- featurize"),
        (["--", "featurize"], "write its own arguments"),
        (["--processes", "2", "--stop-after", "5", "--", "featurize", "--", "pca", "--", "pca"], "write its own"),
        (["--processes", "0", "--stop-after", "5", "--", "featurize", "--", "pca"], "'0' is not a whole number"),
        (["--processes", "2", "--stop-after", "5", "--", "featurize", "--", "pca"], "--manifest-uri"),
    ],
)
def test_arguments_that_cannot_be_are_refused(words: list[str], told: str) -> None:
    with pytest.raises(RefusedError, match=told):
        parse_args(words)


def test_as_many_tries_as_sparks() -> None:
    assert str(process_pool.TRIES) == CONF["spark.task.maxFailures"] == "4"
