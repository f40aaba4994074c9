"""The local S3 and EMR together, as a program finds them by its environment."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools import local_stack
from tools.local_run import clusters
from tools.local_run.clusters import ClusterState
from tools.local_stack import Stack, StackSettings

PROJECT = Path(__file__).resolve().parents[2]
JARS = PROJECT / ".cache" / "jars"
pytestmark = pytest.mark.skipif(
    not all((JARS / name / ".ready").exists() for name in ("s3a", "s3proxy")),
    reason="the jars of the local run are not there: make .cache/jars/s3a/.ready .cache/jars/s3proxy/.ready",
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("stack")
    with local_stack.running(StackSettings.for_project(PROJECT, folder, folder / "logs")) as stack:
        yield stack


def _start_cluster(stack: Stack, name: str) -> str:
    answer = stack.emr().run_job_flow(
        Name=name,
        ReleaseLabel="emr-spark-8.1.0",
        ServiceRole="EMR_DefaultRole_V2",
        JobFlowRole="EMR_EC2_DefaultRole",
        LogUri=f"s3://{stack.settings.bucket}/logs/",
        Instances={
            "MasterInstanceType": "m6i.xlarge",
            "InstanceCount": 1,
            "KeepJobFlowAliveWhenNoSteps": True,
            "TerminationProtected": True,
        },
    )
    return answer["JobFlowId"]


def test_a_program_finds_both_by_its_environment_alone(stack: Stack) -> None:
    program = (
        "import boto3, json\n"
        "s3, emr = boto3.client('s3'), boto3.client('emr')\n"
        f"s3.put_object(Bucket={stack.settings.bucket!r}, Key='a b/é+.txt', Body=b'x')\n"
        f"found = s3.list_objects_v2(Bucket={stack.settings.bucket!r}, Prefix='a b/')['Contents']\n"
        "print(json.dumps([[entry['Key'] for entry in found], emr.list_clusters()['Clusters']]))\n"
    )
    environment = local_stack.cleared(os.environ) | stack.environment
    result = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True)
    assert json.loads(result.stdout) == [["a b/é+.txt"], []]


def test_every_cluster_is_ended_even_a_protected_one(stack: Stack) -> None:
    first, second = _start_cluster(stack, "first"), _start_cluster(stack, "second")
    ended = clusters.end_all(stack.emr())
    assert ended == [ClusterState(first, "TERMINATED"), ClusterState(second, "TERMINATED")]
    assert clusters.list_clusters(stack.emr()) == ended
    assert clusters.end_all(stack.emr()) == ended, "again: nothing left to do"


def test_only_this_machine_is_listened_to(stack: Stack) -> None:
    assert stack.s3_url.startswith("http://127.0.0.1:")
    assert stack.emr_url.startswith("http://127.0.0.1:")


def test_nothing_of_a_persons_own_aws_or_airflow_settings_leads_elsewhere() -> None:
    environment = {
        "AWS_PROFILE": "work",
        "AIRFLOW_HOME": "/home/me/airflow",
        "VERGER_BUCKET": "production",
        "PYSPARK_PYTHON": "/usr/bin/python",
        "PATH": "/usr/bin",
        "HTTPS_PROXY": "http://proxy",
    }
    assert local_stack.cleared(environment) == {"PATH": "/usr/bin", "HTTPS_PROXY": "http://proxy"}
