"""The guide from an empty account to the first run: the commands that it calls tested are, against moto."""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from verger.cluster.shape import ROOT_VOLUME_GB
from verger.prices import load_prices

from tests.docs.documents import blocks
from tests.infra import account as accounts
from tests.infra.account import Account
from tests.infra.template import TEMPLATE_FILE

GUIDE = TEMPLATE_FILE.parents[1] / "docs" / "setup-aws.md"
#: The first words of each tested block, in the order of the guide.
BLOCKS = {
    "who": "export AWS_REGION",
    "deploy": "aws cloudformation deploy",
    "settings": "aws cloudformation describe-stacks --stack-name verger --output text",
    "connection": "role=",
    "clusters": "for id in",
    "groups": "vpc=",
    "stack": "bucket=",
    "buckets": "for name in",
    "proof": "for region in",
}


def guide_blocks() -> list[str]:
    return [block.content for block in blocks(GUIDE) if block.run_by == "tests/infra/test_setup_guide.py"]


@dataclass
class Shell:
    """Runs blocks of the guide one after the other, as a person does in one terminal."""

    account: Account
    project: Path
    folder: Path

    def run(self, *names: str) -> subprocess.CompletedProcess[str]:
        """Run the blocks of these names, in one shell that stops at the first failure."""
        found = {name: block for name, first in BLOCKS.items() for block in guide_blocks() if block.startswith(first)}
        # Each call of the CLI takes a second: two regions are as good as six.
        found["proof"] = re.sub("for region in [^;]*;", "for region in eu-west-1 eu-west-3;", found["proof"])
        # Some of the CLI's own commands of EMR do not go by AWS_ENDPOINT_URL.
        aws = f'aws() {{ command aws --endpoint-url {self.account.endpoint} "$@"; }}'
        return self.sh("\n".join([aws, *(found[name] for name in names)]))

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script that stops at the first failure."""
        return subprocess.run(
            ["sh", "-euc", script],
            cwd=self.folder,
            env={
                "PATH": f"{self.project / '.venv' / 'local_emr' / 'bin'}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                # A command that goes elsewhere all the same shall get nowhere.
                "HTTPS_PROXY": "http://127.0.0.1:9",
                "AWS_ACCESS_KEY_ID": "testing",
                "AWS_SECRET_ACCESS_KEY": "testing",
                "AWS_PAGER": "",
            },
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )


@pytest.fixture
def shell(project: Path, tmp_path: Path) -> Iterator[Shell]:
    """A terminal in a folder like the project's, with an account that is empty."""
    (tmp_path / "infra").symlink_to(project / "infra")
    with accounts.running(tmp_path / "moto.log") as account:
        yield Shell(account, project, tmp_path)


def test_every_tested_block_is_run_here() -> None:
    blocks = guide_blocks()
    assert len(blocks) == len(BLOCKS)
    assert [next(name for name, first in BLOCKS.items() if block.startswith(first)) for block in blocks] == list(BLOCKS)


def test_the_prices_are_those_of_the_price_table() -> None:
    prices = load_prices()
    kind, region = "m6i.xlarge", "eu-west-1"
    # The node's disks are the default of the setting `ebs_gb`, and its system's.
    disks = (32 + ROOT_VOLUME_GB) * prices.ebs_gb_hour
    hour = prices.on_demand_hour(kind, region) + prices.emr_hour(kind, region) + disks + prices.public_ipv4_hour
    text = GUIDE.read_text(encoding="utf-8")
    assert f"**{hour:.2f} an hour**" in text
    assert f"**{3 * hour:.2f} an hour**" in text
    assert f"on {prices.as_of.isoformat()};" in text


def test_the_guides_command_makes_the_stack(shell: Shell) -> None:
    made = shell.run("who", "deploy")
    assert made.returncode == 0, made.stderr
    (stack,) = shell.account.client("cloudformation").describe_stacks(StackName="verger")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stack["Tags"] == [{"Key": "application", "Value": "verger"}]
    assert shell.account.resource("DataBucket") == "verger-123456789012-eu-west-1"


def test_the_outputs_become_airflows_settings(shell: Shell) -> None:
    """The stack is made by CreateStack: of one that `deploy` made with a change set, moto tells no outputs."""
    shell.account.deploy()
    told = shell.run("who", "settings", "connection")
    assert told.returncode == 0, told.stderr
    settings = dict(line.split("=", 1) for line in (shell.folder / "verger.env").read_text().splitlines())
    assert settings["VERGER_BUCKET"] == "verger-123456789012-eu-west-1"
    assert settings["VERGER_REGION"] == "eu-west-1"
    assert settings["VERGER_SUBNET_ID"].count(",") == 2
    connection = urlsplit(settings["AIRFLOW_CONN_AWS_VERGER"])
    assert connection.scheme == "aws"
    (role,) = parse_qs(connection.query)["role_arn"]
    assert role == shell.account.output("AirflowRoleArn")
    sourced = shell.sh('. ./verger.env && printf %s "$AIRFLOW_CONN_AWS_VERGER"')
    assert sourced.stdout == settings["AIRFLOW_CONN_AWS_VERGER"], "a shell must read the file as Airflow does"


def test_what_emr_leaves_in_the_network_is_deleted(shell: Shell) -> None:
    shell.account.deploy()
    leave_security_groups(shell.account)
    cleared = shell.run("who", "groups")
    assert cleared.returncode == 0, cleared.stderr
    groups = shell.account.client("ec2").describe_security_groups()["SecurityGroups"]
    assert {group["GroupName"] for group in groups} == {"default"}


def test_stack_and_data_are_deleted_and_the_proof_finds_nothing(shell: Shell) -> None:
    """In a network of one's own: moto cannot delete route tables with their stack."""
    shell.account.deploy(Network="existing", ExistingSubnetIds="subnet-0123456789abcdef0")
    put_versions(shell.account, "verger-123456789012-eu-west-1")
    ended = shell.run("who", "clusters", "groups", "stack", "buckets", "proof")
    assert ended.returncode == 0, ended.stderr
    assert " ".join(ended.stdout.split()) == "123456789012 the stack is gone the bucket is gone"
    assert shell.account.client("s3").list_buckets()["Buckets"] == []


def put_versions(account: Account, bucket: str) -> None:
    """Objects with old versions, delete markers and names that need quoting."""
    s3 = account.client("s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("images/Apple Braeburn/a+b.jpg", 'images/100% "Orange"/é.jpg'):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
        s3.put_object(Bucket=bucket, Key=key, Body=b"2")
        s3.delete_object(Bucket=bucket, Key=key)


def leave_security_groups(account: Account) -> None:
    """Two groups that let each other in, as EMR makes them in a network."""
    ec2 = account.client("ec2")
    vpc = account.output("VpcId")
    ids = [
        ec2.create_security_group(GroupName=f"ElasticMapReduce-{node}", Description=node, VpcId=vpc)["GroupId"]
        for node in ("master", "slave")
    ]
    for own, other in (ids, reversed(ids)):
        ec2.authorize_security_group_ingress(
            GroupId=own, IpPermissions=[{"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": other}]}]
        )
