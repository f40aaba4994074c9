"""Packs what the cluster runs and publishes it under its digest, so that a run's code never changes under it."""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: The oldest time that a zip can hold: the same sources give the same bytes.
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
_ENTRY_POINTS = ("featurize.py", "pca.py", "show_executors.py")
_BOOTSTRAP_FILES = ("bootstrap.sh", "requirements.txt", "requirements-keras.txt")


def zip_packages(*packages: Path) -> bytes:
    """Zip packages' modules for `--py-files`; the same sources give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in packages:
            for file in sorted(package.rglob("*.py")):
                entry = zipfile.ZipInfo(f"{package.name}/{file.relative_to(package).as_posix()}", _ZIP_EPOCH)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def job_packages(home: Path) -> tuple[Path, Path]:
    """The packages that run on a cluster: the jobs, and the rules that they share with Airflow's side."""
    return home / "spark_jobs", home / "plugins" / "verger_rules"


class InstallationError(ValueError):
    """This installation lacks a file that the cluster needs."""


def collect_code(home: Path) -> dict[str, bytes]:
    """The files that a cluster needs, by name; raises InstallationError when one is missing."""
    (jobs, rules), bootstrap = job_packages(home), home / "bootstrap"
    files = {name: jobs / "entry_points" / name for name in _ENTRY_POINTS}
    files |= {name: bootstrap / name for name in _BOOTSTRAP_FILES}
    for file in (*files.values(), rules / "__init__.py"):
        if not file.is_file():
            raise InstallationError(
                f"{file} is missing: VERGER_HOME ({home}) must be a whole checkout of Verger, beside the DAGs"
            )
    return {"spark_jobs.zip": zip_packages(jobs, rules), **{name: file.read_bytes() for name, file in files.items()}}


def code_digest(files: Mapping[str, bytes]) -> str:
    """16 hex digits that name exactly these files."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def publish_code(s3: "S3Client", layout: BucketLayout, home: Path) -> str:
    """Put the code under its digest, unless it is there; returns the folder's address without `/` at its end."""
    files = collect_code(home)
    prefix = layout.code_prefix(code_digest(files))
    for name, content in files.items():
        if not _exists(s3, layout.bucket, prefix + name):
            s3.put_object(Bucket=layout.bucket, Key=prefix + name, Body=content)
    return layout.address(prefix.rstrip("/")).uri


def _exists(s3: "S3Client", bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey", "NotFound"}:
            return False
        raise
    return True
