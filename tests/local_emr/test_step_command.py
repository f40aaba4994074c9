"""From a step to a command: what runs, and what is refused because only a real cluster has it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from local_emr.model import Step
from local_emr.spark_submit import Download, InvalidStepError, LocalCommand, LocalSpark
from local_emr.step_command import local_command

ROOT, STAGING = Path("/node"), Path("/staging")
SPARK = LocalSpark(Path("/spark/bin/spark-submit"), 1, 512)


def command(jar: str, *args: str, spark: LocalSpark | None = SPARK) -> LocalCommand:
    step = Step("s-1", "x", "CONTINUE", jar, args, datetime(2026, 1, 1, tzinfo=UTC))
    return local_command(step, spark, ROOT, STAGING)


def test_a_plain_command_runs_with_the_nodes_paths() -> None:
    assert command("command-runner.jar", "cat", "/opt/x", "/etc/y").argv == ("cat", "/node/opt/x", "/etc/y")


def test_a_script_of_s3_is_fetched_and_run() -> None:
    jar = "s3://eu-west-1.elasticmapreduce/libs/script-runner/script-runner.jar"
    assert command(jar, "s3://b/x/run.sh", "/mnt/a") == LocalCommand(
        ("/staging/run.sh", "/node/mnt/a"), (Download("s3://b/x/run.sh", Path("/staging/run.sh")),)
    )


def test_spark_submit_is_translated() -> None:
    assert command("command-runner.jar", "spark-submit", "job.py").argv[0] == "/spark/bin/spark-submit"


@pytest.mark.parametrize(
    ("jar", "args", "message"),
    [
        ("s3://b/my.jar", ["x"], "'s3://b/my.jar' is not offered locally"),
        ("command-runner.jar", [], "no arguments"),
        ("script-runner.jar", [], "no arguments"),
        ("command-runner.jar", ["s3-dist-cp", "--src", "x"], "'s3-dist-cp' is not offered locally"),
        ("command-runner.jar", ["hdfs", "dfs", "-ls"], "'hdfs' is not offered locally"),
    ],
)
def test_what_needs_a_real_cluster_is_refused(jar: str, args: list[str], message: str) -> None:
    with pytest.raises(InvalidStepError, match=message):
        command(jar, *args)


def test_spark_submit_without_spark_is_refused() -> None:
    with pytest.raises(InvalidStepError, match="without Spark"):
        command("command-runner.jar", "spark-submit", "job.py", spark=None)
