"""The code that a cluster runs."""

import io
import zipfile
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client
from verger.artifacts.code_bundle import InstallationError, code_digest, collect_code, publish_code, zip_package
from verger.storage.layout import BucketLayout
from verger_rules.addresses import parse_uri


def test_the_same_sources_give_the_same_zip_whatever_their_dates(tmp_path: Path) -> None:
    package = tmp_path / "jobs"
    package.mkdir()
    (package / "b.py").write_text("B = 1\n")
    (package / "a.py").write_text("A = 1\n")
    (package / "a.pyc").write_bytes(b"x")
    first = zip_package(package)
    (package / "a.py").touch()
    assert zip_package(package) == first
    assert zipfile.ZipFile(io.BytesIO(first)).namelist() == ["jobs/a.py", "jobs/b.py"]


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
