"""What a local EMR may be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local_emr import LocalEmrSettings, spark_home_of
from local_emr.environment import Endpoints, local_spark, node_environment


def test_settings_survive_the_way_to_a_child_process(tmp_path: Path) -> None:
    settings = LocalEmrSettings(
        work_dir=tmp_path, node_root=tmp_path / "node", spark_conf={"spark.a": "b=c"}, extra_env={"X": "é"}, cores=3
    )
    assert LocalEmrSettings.from_json(settings.to_json()) == settings


def test_relative_folders_are_made_absolute() -> None:
    assert LocalEmrSettings(work_dir=Path("x")).work_dir == Path.cwd() / "x"


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown settings: colour"):
        LocalEmrSettings.from_json('{"work_dir": "/tmp/x", "colour": 1}')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"port": 70000}, "port=70000"),
        ({"cores": 0}, "cores=0"),
        ({"memory_mib": -1}, "memory_mib=-1"),
        ({"log_seconds": 0}, "log_seconds=0"),
        ({"grace_seconds": -1}, "grace_seconds=-1"),
        ({"jars_dir": Path("/no/such/folder")}, "'/no/such/folder' does not exist"),
        ({"s3_endpoint": "127.0.0.1:80"}, "not an http address"),
    ],
)
def test_what_cannot_work_is_refused_with_its_value(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LocalEmrSettings(work_dir=Path("x"), **change)


def test_secrets_are_not_shown() -> None:
    assert "hidden" not in repr(LocalEmrSettings(work_dir=Path("x"), secret_key="hidden", extra_env={"A": "hidden"}))  # noqa: S106


def test_a_python_without_pyspark_gives_no_spark(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no environment with pyspark"):
        spark_home_of(tmp_path / "bin" / "python")


def test_spark_reads_s3_through_s3a_with_the_jars_that_it_lacks(tmp_path: Path) -> None:
    settings = LocalEmrSettings(
        work_dir=tmp_path, spark_home=tmp_path, jars_dir=tmp_path, spark_conf={"spark.ui.enabled": "true"}
    )
    (tmp_path / "jars").mkdir()
    for name in ("jars/netty-common-4.2.1.Final.jar", "netty-common-4.1.9.Final.jar", "s3-2.29.jar", "note.txt"):
        (tmp_path / name).touch()
    spark = local_spark(settings, "http://127.0.0.1:9000")
    assert spark is not None
    assert spark.class_path == (f"{tmp_path}/s3-2.29.jar",)
    assert spark.conf["spark.hadoop.fs.s3.impl"] == "org.apache.hadoop.fs.s3a.S3AFileSystem"
    assert spark.conf["spark.hadoop.fs.s3a.endpoint"] == "http://127.0.0.1:9000"
    assert spark.conf["spark.ui.enabled"] == "true"
    assert local_spark(LocalEmrSettings(work_dir=tmp_path), "http://x") is None


def test_a_nodes_environment_has_its_own_path_and_two_endpoints(tmp_path: Path) -> None:
    settings = LocalEmrSettings(work_dir=tmp_path, java_home=tmp_path, extra_env={"HTTPS_PROXY": "p", "NO_PROXY": "x"})
    env = node_environment(settings, Endpoints(aws="http://a", s3="http://s"), tmp_path / "root", "j-1")
    assert env["PATH"].split(":")[:2] == [str(tmp_path / "root" / "bin"), str(tmp_path / "bin")]
    assert (env["AWS_ENDPOINT_URL"], env["AWS_ENDPOINT_URL_S3"]) == ("http://a", "http://s")
    assert (env["JAVA_HOME"], env["EMR_CLUSTER_ID"]) == (str(tmp_path), "j-1")
    assert env["NO_PROXY"] == "x,127.0.0.1,a,localhost,s"
