"""The nodes' credentials come from an instance-metadata service that refuses version 1, and S3 refuses all others.

The service and the S3 server are real and on this machine: each client that the nodes use asks for them by itself. What
this cannot show is EMR's own configuration of S3A, whose credentials' provider may be another one.
"""

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.spark_jobs import instance_metadata
from tests.spark_jobs.instance_metadata import InstanceMetadata
from tests.spark_jobs.job_world import PROJECT, S3A, SPARK_HOME, SPARK_PYTHON
from tools.local_run import s3_server
from tools.local_run.s3_server import S3Endpoint, S3Settings

BUCKET, KEY, WORDS = "orchard", "images/apple.txt", b"one line\nanother\n"


@pytest.fixture(scope="module")
def s3_with_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Endpoint]:
    """An S3 server that answers its own credentials only, with one object in it."""
    folder = tmp_path_factory.mktemp("s3")
    settings = S3Settings(folder / "data", folder / "work", folder / "s3.log", PROJECT / ".cache/jars/s3proxy")
    properties = s3_server.server_properties
    with pytest.MonkeyPatch.context() as patch:
        # A role's requests carry its session token, a header that this server would refuse as unknown.
        patch.setattr(
            s3_server, "server_properties", lambda *of: f"{properties(*of)}s3proxy.ignore-unknown-headers=true\n"
        )
        with s3_server.running(settings) as endpoint:
            s3 = boto3.client(
                "s3", endpoint_url=endpoint.url, region_name="eu-west-1",
                aws_access_key_id=endpoint.access_key, aws_secret_access_key=endpoint.secret_key,
            )  # fmt: skip
            s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
            s3.put_object(Bucket=BUCKET, Key=KEY, Body=WORDS)
            yield endpoint


@pytest.fixture
def metadata(s3_with_keys: S3Endpoint) -> Iterator[InstanceMetadata]:
    """The metadata service of a node whose role may use that server."""
    with instance_metadata.serving(s3_with_keys.access_key, s3_with_keys.secret_key) as service:
        yield service


def on_a_node(
    metadata: InstanceMetadata, s3: S3Endpoint, folder: Path, *command: str | Path
) -> subprocess.CompletedProcess[str]:
    """Run a program that finds no credentials but those of the metadata service."""
    node = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SPARK_HOME": str(SPARK_HOME),
        "PYSPARK_PYTHON": str(SPARK_PYTHON),
        "PYTHONPATH": f"{PROJECT}:{PROJECT}/plugins",
        "AWS_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL_S3": s3.url,
        # boto3, the AWS CLI and the SDK for Java, on which S3A is built; obstore.
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url,
        "AWS_METADATA_ENDPOINT": metadata.url,
    }
    if "JAVA_HOME" in os.environ:
        node["JAVA_HOME"] = os.environ["JAVA_HOME"]
    return subprocess.run(
        [str(word) for word in command], env=node, cwd=folder, capture_output=True, text=True, check=False, timeout=240
    )


def assert_asked_with_a_token(metadata: InstanceMetadata) -> None:
    """Nobody got anything out of version 1, and the credentials were given."""
    assert metadata.answers[0][:2] == ("PUT", "/latest/api/token"), metadata.answers
    assert metadata.gave_credentials, metadata.answers


def test_version_1_is_refused(metadata: InstanceMetadata) -> None:
    address = f"{metadata.url}/latest/meta-data/iam/security-credentials/"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(address, timeout=10)  # noqa: S310 -- our own server
    assert not metadata.gave_credentials


JOBS = f"""
import sys
from spark_jobs.store import object_store
from verger_rules import instance_metadata
from verger_rules.addresses import S3Address
instance_metadata.INSTANCE_METADATA = sys.argv[1] + '/latest'
settings = object_store.StoreSettings(sys.argv[2], 'eu-west-1')
address = S3Address('{BUCKET}', '{KEY}')
object_store.write_bytes(settings, S3Address('{BUCKET}', 'features/x'), b'x')
assert object_store.read_bytes(settings, address) == {WORDS!r}
assert object_store.list_keys(settings, S3Address('{BUCKET}', 'features')) == ['features/x']
assert object_store.settings_from({{}}, object_store._instance_region).region == 'eu-west-1'
"""


def test_the_jobs_own_store_gets_the_role_s_credentials(
    metadata: InstanceMetadata, s3_with_keys: S3Endpoint, tmp_path: Path
) -> None:
    """It reads, writes and lists with them, and finds its region."""
    done = on_a_node(metadata, s3_with_keys, tmp_path, SPARK_PYTHON, "-c", JOBS, metadata.url, s3_with_keys.url)
    assert done.returncode == 0, done.stderr
    assert_asked_with_a_token(metadata)
    assert {status for _, _, status in metadata.answers} == {200}, metadata.answers


TABLE = f"""
import sys
from spark_jobs.store.object_store import StoreSettings
from spark_jobs.store.table_store import table_place
from verger_rules.addresses import S3Address
from verger_rules.delta_table import TableFile, commit_chunk, live_files, open_table
place = table_place(StoreSettings(sys.argv[1], 'eu-west-1'), S3Address('{BUCKET}', 'features/model=0123456789abcdef'))
assert open_table(place) is None
assert commit_chunk(place, 'r-01234567', 0, [TableFile('outcome=featurized/r/x.parquet', 'featurized', 1, 10)])
assert [file.rows for file in live_files(open_table(place))] == [1]
"""


def test_the_feature_table_gets_them(metadata: InstanceMetadata, s3_with_keys: S3Endpoint, tmp_path: Path) -> None:
    done = on_a_node(metadata, s3_with_keys, tmp_path, SPARK_PYTHON, "-c", TABLE, s3_with_keys.url)
    assert done.returncode == 0, done.stderr
    assert_asked_with_a_token(metadata)


def test_the_bootstrap_action_s_cli_gets_them(
    metadata: InstanceMetadata, s3_with_keys: S3Endpoint, tmp_path: Path
) -> None:
    aws = PROJECT / ".venv/local_emr/bin/aws"
    done = on_a_node(metadata, s3_with_keys, tmp_path, aws, "s3", "cp", f"s3://{BUCKET}/{KEY}", "here")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here").read_bytes() == WORDS
    assert_asked_with_a_token(metadata)


@pytest.mark.spark
def test_spark_s_s3a_gets_them(metadata: InstanceMetadata, s3_with_keys: S3Endpoint, tmp_path: Path) -> None:
    script = tmp_path / "read.py"
    script.write_text(
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        f"assert spark.read.text('s3://{BUCKET}/{KEY}').count() == 2\n"
        "spark.stop()\n"
    )
    settings = [word for name, value in S3A.items() for word in ("--conf", f"{name}={value}")]
    submit: list[str | Path] = [SPARK_HOME / "bin/spark-submit", "--master", "local[1]", *settings, script]
    done = on_a_node(metadata, s3_with_keys, tmp_path, *submit)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert_asked_with_a_token(metadata)


def test_other_credentials_than_the_role_s_are_refused_by_s3(s3_with_keys: S3Endpoint, tmp_path: Path) -> None:
    """So that the tests above show what they say."""
    with instance_metadata.serving("AKIAANOTHER", "somebody-elses") as other:
        done = on_a_node(other, s3_with_keys, tmp_path, SPARK_PYTHON, "-c", JOBS, other.url, s3_with_keys.url)
    assert done.returncode != 0
    assert "403 Forbidden" in done.stderr or "InvalidAccessKeyId" in done.stderr, done.stderr
