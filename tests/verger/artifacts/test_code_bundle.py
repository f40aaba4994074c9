"""The code that a cluster runs."""

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client
from verger.artifacts.code_bundle import InstallationError, code_digest, collect_code, publish_code, zip_packages
from verger.storage.layout import BucketLayout
from verger_rules.addresses import parse_uri


def test_the_same_sources_give_the_same_zip_whatever_their_dates(tmp_path: Path) -> None:
    jobs, rules = tmp_path / "jobs", tmp_path / "elsewhere" / "rules"
    for package, names in ((jobs, ("b.py", "a.py", "a.pyc")), (rules, ("c.py",))):
        package.mkdir(parents=True)
        for name in names:
            (package / name).write_text("A = 1\n")
    first = zip_packages(jobs, rules)
    (jobs / "a.py").touch()
    assert zip_packages(jobs, rules) == first
    assert zipfile.ZipFile(io.BytesIO(first)).namelist() == ["jobs/a.py", "jobs/b.py", "rules/c.py"]


def test_a_cluster_imports_jobs_and_rules_from_the_zip_alone(project: Path, tmp_path: Path) -> None:
    """On a node there is neither the checkout nor Airflow's side."""
    zipped = tmp_path / "spark_jobs.zip"
    zipped.write_bytes(collect_code(project)["spark_jobs.zip"])
    script = "import spark_jobs.steps.featurize_step, verger_rules.answers as a; print(a.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(zipped)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == f"{zipped}/verger_rules/answers.py"
    assert not any(name.startswith("verger/") for name in zipfile.ZipFile(zipped).namelist())


def test_the_digest_changes_with_the_rules(project: Path, tmp_path: Path) -> None:
    """Else a running installation would go on with the zip of before."""
    for folder in ("spark_jobs", "bootstrap", "plugins/verger_rules"):
        shutil.copytree(project / folder, tmp_path / folder)
    before = code_digest(collect_code(tmp_path))
    assert before == code_digest(collect_code(project))
    rules = tmp_path / "plugins" / "verger_rules" / "decoder_version.py"
    rules.write_text(rules.read_text() + "\n")
    assert code_digest(collect_code(tmp_path)) != before


def test_the_digest_changes_with_any_file_and_any_name() -> None:
    base = {"a": b"1", "b": b"2"}
    others = [{"a": b"1", "b": b"3"}, {"a": b"1", "c": b"2"}, {"a": b"1b", "": b"2"}, {"a": b"1"}]
    assert len({code_digest(base), *map(code_digest, others)}) == len(others) + 1


def test_published_code_is_whole_and_never_overwritten(s3: S3Client, bucket: str, project: Path) -> None:
    uri = publish_code(s3, BucketLayout(bucket), project)
    prefix = parse_uri(uri).key
    before = {entry["Key"]: entry["LastModified"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert set(before) == {f"{prefix}/{name}" for name in collect_code(project)}
    s3.delete_object(Bucket=bucket, Key=f"{prefix}/pca.py")  # as if the first try had been killed
    assert publish_code(s3, BucketLayout(bucket), project) == uri
    after = {entry["Key"]: entry["LastModified"] for entry in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert set(after) == set(before)
    assert all(after[key] == before[key] for key in before if not key.endswith("pca.py"))


def test_an_incomplete_installation_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InstallationError, match=r"featurize\.py is missing: VERGER_HOME"):
        collect_code(tmp_path)


def test_an_installation_without_the_rules_names_them(project: Path, tmp_path: Path) -> None:
    for folder in ("spark_jobs", "bootstrap"):
        shutil.copytree(project / folder, tmp_path / folder)
    with pytest.raises(InstallationError, match=r"plugins/verger_rules/__init__\.py is missing: VERGER_HOME"):
        collect_code(tmp_path)
