"""The DAG on what the template made: a whole run with the stack's outputs as Airflow's settings.

moto makes the stack inside the local EMR, so that the cluster is ordered with the roles, the subnets, the security
configuration and the topic that the stack has. The bucket is played by the local S3 server under the name that the
stack gives it, since a run's S3 is that server here.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.installation import Verger, draw
from tests.infra.account import Account
from tools import local_stack
from tools.local_run.airflow_home import AirflowHome

pytestmark = [pytest.mark.e2e, pytest.mark.spark]

BUCKET = "verger-123456789012-eu-west-1"


def account_of(stack: local_stack.Stack) -> Account:
    """The account that the local EMR plays."""
    return Account(stack.emr_url, stack.access_key, stack.secret_key)


@pytest.fixture(scope="module")
def stack(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_stack.Stack]:
    """S3 and EMR of this machine, with the template deployed."""
    folder = tmp_path_factory.mktemp("stack")
    settings = replace(local_stack.StackSettings.for_project(project, folder, folder), bucket=BUCKET)
    with local_stack.running(settings) as running:
        account = account_of(running)
        account.deploy()
        # moto files what CloudFormation makes under the stack's region, and looks for it under its default one.
        running.emr().create_security_configuration(
            Name=account.output("SecurityConfigurationName"), SecurityConfiguration="{}"
        )
        yield running


@pytest.fixture(scope="module")
def verger(project: Path, stack: local_stack.Stack, tmp_path_factory: pytest.TempPathFactory) -> Verger:
    """An installation with the settings that docs/setup-aws.md writes to verger.env."""
    folder = tmp_path_factory.mktemp("verger")
    home = AirflowHome(folder / "airflow", project, project / ".venv" / "airflow" / "bin" / "python")
    home.migrate(local_stack.cleared(os.environ), folder / "migrate.log")
    outputs = {entry["Description"]: entry["OutputValue"] for entry in account_of(stack).outputs()}
    settings = {name: value for name, value in outputs.items() if name.startswith("VERGER_")}
    assert settings["VERGER_BUCKET"] == BUCKET
    # What is neither S3 nor EMR, such as the subnets and the topic, is moto's.
    return Verger(stack, home, folder, {**settings, "AWS_ENDPOINT_URL": stack.emr_url})


def test_a_run_orders_its_cluster_with_what_the_stack_made(verger: Verger, tmp_path: Path) -> None:
    view = verger.run(source=str(draw(tmp_path / "pictures", 12)), k=2)
    assert view.state == "success", view
    (listed,) = verger.stack.emr().list_clusters()["Clusters"]
    assert listed["Status"]["State"] == "TERMINATED"
    cluster = verger.stack.emr().describe_cluster(ClusterId=listed["Id"])["Cluster"]
    account = account_of(verger.stack)
    assert cluster["ServiceRole"] == account.output("ServiceRoleName")
    assert cluster["Ec2InstanceAttributes"]["IamInstanceProfile"] == account.output("InstanceProfileName")
    assert cluster["SecurityConfiguration"] == account.output("SecurityConfigurationName")
    assert set(cluster["Ec2InstanceAttributes"]["RequestedEc2SubnetIds"]) == set(account.output("SubnetIds").split(","))
