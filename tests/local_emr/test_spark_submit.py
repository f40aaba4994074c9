"""A step's spark-submit arguments become a local run: what stays, what changes, what is dropped, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_emr.spark_submit import Download, InvalidStepError, LocalCommand, LocalSpark, local_submit

SPARK = LocalSpark(submit=Path("/spark/bin/spark-submit"), cores=3, memory_mib=2048)
ROOT, STAGING = Path("/node"), Path("/staging")
# What every translation begins with when the step says nothing of memory.
START = ["/spark/bin/spark-submit", "--master", "local[3]", "--deploy-mode", "client", "--driver-memory"]


def translated(*args: str, spark: LocalSpark = SPARK) -> LocalCommand:
    return local_submit(args, spark, ROOT, STAGING)


def options(command: LocalCommand) -> list[str]:
    """The arguments after the heap's size."""
    assert list(command.argv[:6]) == START
    return list(command.argv[7:])


def test_the_steps_that_verger_submits_run_locally() -> None:
    command = translated(
        *("--deploy-mode", "cluster", "--master", "yarn", "--py-files", "s3://b/code/d1/spark_jobs.zip"),
        *("--conf", "spark.pyspark.python=/opt/verger/venv/bin/python"),
        *("--conf", "spark.executor.instances=2", "--conf", "spark.executor.memory=1g"),
        *("s3://b/code/d1/featurize.py", "--manifest-uri", "s3://b/runs/r/manifest.parquet", "--engine", "litert"),
    )
    assert list(command.argv) == [
        *(*START, "1024m", "--py-files", "/staging/0/spark_jobs.zip"),
        *("--conf", "spark.pyspark.python=/node/opt/verger/venv/bin/python"),
        *("/staging/1/featurize.py", "--manifest-uri", "s3://b/runs/r/manifest.parquet", "--engine", "litert"),
    ]
    assert command.downloads == (
        Download("s3://b/code/d1/spark_jobs.zip", Path("/staging/0/spark_jobs.zip")),
        Download("s3://b/code/d1/featurize.py", Path("/staging/1/featurize.py")),
    )
    assert command.env == {}


@pytest.mark.parametrize(
    ("given_options", "expected"),
    [
        (["--name", "a b"], ["--name", "a b"]),
        (["--name=x"], ["--name", "x"]),
        (["--verbose"], ["--verbose"]),
        (["--class", "org.example.Main"], ["--class", "org.example.Main"]),
        (["-c", "spark.sql.x=1"], ["--conf", "spark.sql.x=1"]),
        (["--conf=spark.sql.x=a=b"], ["--conf", "spark.sql.x=a=b"]),
        (["--files", "s3://b/f.txt#g.txt,/opt/h"], ["--files", "/staging/0/f.txt#g.txt,/node/opt/h"]),
        (["--archives", "s3a://b/venv.tar.gz#env"], ["--archives", "/staging/0/venv.tar.gz#env"]),
        (["--py-files", "s3://b/x/a.py,s3://b/y/a.py"], ["--py-files", "/staging/0/a.py,/staging/1/a.py"]),
        (["--py-files", "s3://b/we ird#1.py"], ["--py-files", "/staging/0/we ird#1.py"]),
        (["--jars", "s3://b/a.jar,/usr/lib/b.jar"], ["--jars", "/staging/0/a.jar,/usr/lib/b.jar"]),
        (["--packages", "org:x:1"], ["--packages", "org:x:1"]),
        (["--driver-java-options", "-Dx=/opt/y"], ["--driver-java-options", "-Dx=/node/opt/y"]),
        (["--properties-file", "/mnt/p.conf"], ["--properties-file", "/node/mnt/p.conf"]),
        (["--num-executors", "4", "--executor-cores", "2", "--total-executor-cores=8", "--supervise"], []),
        (["--queue", "q", "--keytab", "k", "--principal", "p", "--proxy-user", "u", "--driver-cores", "2"], []),
        (["--conf", "spark.master=yarn", "--conf", "spark.submit.deployMode=cluster"], []),
        (["--conf", "spark.dynamicAllocation.enabled=true", "--conf", "spark.shuffle.service.enabled=true"], []),
        (["--conf", "spark.executor.cores=4", "--conf", "spark.executor.memoryOverhead=1g"], []),
        (["--conf", "spark.driver.memoryOverheadFactor=0.2", "--conf", "spark.yarn.maxAppAttempts=1"], []),
        (["--conf", "spark.executorEnv.X=/opt/y"], ["--conf", "spark.executorEnv.X=/node/opt/y"]),
        (["--conf", "spark.a=s3://b/opt/x"], ["--conf", "spark.a=s3://b/opt/x"]),
    ],
)
def test_each_option_stays_moves_or_goes(given_options: list[str], expected: list[str]) -> None:
    assert options(translated(*given_options, "job.py")) == [*expected, "job.py"]


@pytest.mark.parametrize(
    ("given_options", "heap"),
    [
        ([], "2048m"),
        (["--driver-memory", "1g"], "1024m"),
        (["--driver-memory", "512m", "--executor-memory", "1g"], "1024m"),
        (["--driver-memory", "16g"], "2048m"),
        (["--executor-memory", "1T"], "2048m"),
        (["--conf", "spark.driver.memory=600M", "--conf", "spark.executor.memory=300mb"], "600m"),
        (["--conf", "spark.driver.memory=1048576k"], "1024m"),
        (["--conf", "spark.driver.memory=700"], "700m"),
    ],
)
def test_the_heap_is_what_the_larger_of_driver_and_executor_asks_within_the_bound(
    given_options: list[str], heap: str
) -> None:
    assert list(translated(*given_options, "job.py").argv) == [*START, heap, "job.py"]


def test_the_machines_own_class_path_and_properties_win() -> None:
    spark = LocalSpark(SPARK.submit, 3, 2048, ("/jars/*",), {"spark.ui.enabled": "false", "spark.x": "1"})
    command = translated("--driver-class-path", "/opt/a.jar", "--conf", "spark.x=2", "job.py", spark=spark)
    assert options(command) == [
        *("--conf", "spark.driver.extraClassPath=/jars/*:/node/opt/a.jar", "--conf", "spark.x=1"),
        *("--conf", "spark.executor.extraClassPath=/jars/*", "--conf", "spark.ui.enabled=false", "job.py"),
    ]


def test_the_drivers_environment_on_yarn_becomes_the_process_environment() -> None:
    command = translated("--conf", "spark.yarn.appMasterEnv.PYSPARK_PYTHON=/opt/v/bin/python", "job.py")
    assert command.env == {"PYSPARK_PYTHON": "/node/opt/v/bin/python"}
    assert options(command) == ["job.py"]


def test_the_programs_own_arguments_are_not_taken_for_options_of_spark() -> None:
    command = translated("job.py", "--master", "x", "--conf", "y", "/opt/z", "--k=/mnt/q", "-x")
    assert options(command) == ["job.py", "--master", "x", "--conf", "y", "/node/opt/z", "--k=/node/mnt/q", "-x"]


@pytest.mark.parametrize("entry", ["/opt/app/job.py", "file:///opt/app/job.py", "local:///opt/app/job.py"])
def test_a_program_on_the_node_is_found_below_its_root(entry: str) -> None:
    assert options(translated(entry))[-1].endswith("/node/opt/app/job.py")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "names no program"),
        (["--master", "yarn"], "names no program"),
        (["--frobnicate", "job.py"], "unrecognized option '--frobnicate'"),
        (["--name"], "--name has no value"),
        (["--conf", "spark.x", "job.py"], "'spark.x' is not of the form key=value"),
        (["--driver-memory", "much", "job.py"], "'much' is not an amount of memory"),
    ],
)
def test_arguments_that_spark_would_refuse_are_refused(args: list[str], message: str) -> None:
    with pytest.raises(InvalidStepError, match=message):
        translated(*args)


@given(st.lists(st.text(min_size=1).filter(lambda text: "/opt" not in text and "/mnt" not in text)))
def test_the_programs_arguments_pass_unharmed(arguments: list[str]) -> None:
    assert options(translated("job.py", *arguments)) == ["job.py", *arguments]


@given(
    st.text(alphabet=st.characters(exclude_characters="/,"), min_size=1).filter(lambda name: name not in (".", ".."))
)
def test_a_program_of_any_name_is_downloaded_under_its_own_name(name: str) -> None:
    uri = f"s3://bucket/code/{name}"
    assert translated(uri).downloads == (Download(uri, STAGING / "0" / name),)
