"""Class data sharing of the local run's JVMs."""

import subprocess
from pathlib import Path

import pytest

from tools import make_class_archives
from tools.local_run import class_archive, emr_server, s3_server
from tools.local_run.processes import ServerError

SHARED = "shared objects file (top)"


@pytest.mark.server
def test_the_s3_server_takes_its_classes_from_the_archive_that_set_up_has_made(project: Path, tmp_path: Path) -> None:
    jars = project / ".cache" / "jars" / "s3proxy"
    options = class_archive.reading(jars / class_archive.NAME)
    assert options, "make environments has made it"
    told = tmp_path / "classes.txt"
    settings = s3_server.S3Settings(
        tmp_path / "s3", tmp_path, tmp_path / "log", jars, java_options=(*options, f"-Xlog:class+load:file={told}")
    )
    with s3_server.running(settings):
        pass
    loaded = told.read_text("utf-8").splitlines()
    assert sum(SHARED in line for line in loaded) > 2000


@pytest.mark.spark
def test_a_spark_step_does_so_too(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = class_archive.reading(project / ".cache" / "jars" / "s3a" / class_archive.NAME)
    assert options, "make environments has made it"
    told = tmp_path / "classes.txt"
    spark = project / ".venv" / "spark"
    (site,) = spark.glob("lib/*/site-packages")
    monkeypatch.setattr("sys.path", [str(site)])
    monkeypatch.setattr("sys.executable", str(spark / "bin" / "python"))
    make_class_archives.run_spark((*options, f"-Xlog:class+load:file={told}"), tmp_path)
    assert sum(SHARED in line for line in told.read_text("utf-8").splitlines()) > 5000


def test_without_an_archive_there_is_no_option(tmp_path: Path) -> None:
    assert class_archive.reading(tmp_path / class_archive.NAME) == ()


@pytest.mark.parametrize(
    "failure", [ServerError("the S3 server ended"), subprocess.CalledProcessError(1, ["spark-submit"])], ids=str
)
def test_a_java_that_cannot_write_an_archive_leaves_none_behind(tmp_path: Path, failure: Exception) -> None:
    def fail(archive: Path, _work: Path) -> None:
        archive.write_bytes(b"half")
        raise failure

    (tmp_path / class_archive.NAME).write_bytes(b"of an older set of jars")
    assert not make_class_archives.make(tmp_path, fail)
    assert list(tmp_path.iterdir()) == []


def test_a_path_with_a_blank_or_a_quote_stays_one_option_for_spark() -> None:
    assert emr_server.quoted('-XX:SharedArchiveFile=/my "fruits"/classes.jsa') == (
        '"-XX:SharedArchiveFile=/my \\"fruits\\"/classes.jsa"'
    )
