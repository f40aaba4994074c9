"""Errors are answers, signals come when they may, and money has an end."""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from mypy_boto3_emr import EMRClient
from verger.cluster.tags import own_cluster
from verger.cost.cluster_times import ASSUMED_TIMES
from verger.prices import PriceTable
from verger.run.deployment import Deployment
from verger.run.settings import Settings

from tools.acceptance.interruption import Interruption
from tools.acceptance.keeper import Keeper
from tools.acceptance.orders import CLOCK_MINUTES, Part, plan, request
from tools.acceptance.preparation import new_run
from tools.acceptance.probes import OverBudgetError, Probe, Stopped, Verdict
from tools.acceptance.report import table
from tools.acceptance.run_part import look_at_volumes
from tools.acceptance.spending import Bought, Budget, check_plan

REGION = "eu-west-1"
SETTINGS = Settings(bucket="any-bucket", region=REGION)


def probe(*, only_aws: bool = False, local: bool = False) -> Probe:
    return Probe("a name", "an expectation", only_aws, local)


@pytest.mark.parametrize(
    ("only_aws", "local", "good", "verdict"),
    [
        (False, False, True, Verdict.AS_EXPECTED),
        (True, False, True, Verdict.AS_EXPECTED),
        (False, True, True, Verdict.AS_EXPECTED),
        (True, True, True, Verdict.ONLY_AWS),
        (True, True, False, Verdict.DIFFERENT),
        (False, False, False, Verdict.DIFFERENT),
    ],
)
def test_a_good_answer_of_one_machine_counts_only_where_that_can_answer(
    only_aws: bool, local: bool, good: bool, verdict: Verdict
) -> None:
    asked = probe(only_aws=only_aws, local=local)
    asked.tell("something", good=good)
    assert asked.verdict is verdict


def test_an_error_is_an_answer_and_what_cannot_be_paid_is_not_reached() -> None:
    failing, dear, stopped = probe(), probe(), probe()
    with failing.attempt():
        raise RuntimeError("no\nroom")
    assert (failing.verdict, failing.seen) == (Verdict.DIFFERENT, "RuntimeError: no room")
    with dear.attempt():
        raise OverBudgetError("too dear")
    assert (dear.verdict, dear.seen) == (Verdict.NOT_REACHED, "nothing: too dear")
    with pytest.raises(Stopped), stopped.attempt():
        raise Stopped("enough")
    assert stopped.verdict is Verdict.NOT_REACHED


def test_the_table_shows_every_word_of_every_probe() -> None:
    asked = probe()
    asked.tell("first word " * 9 + "last", good=False)
    text = table([asked, probe()])
    assert text.count("first") == 9
    assert "last" in text
    assert "not reached" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_waits_for_a_cluster_s_id_and_changes_nothing_while_clusters_are_ended(number: int) -> None:
    interruption = Interruption()
    ids = []

    def create() -> None:
        with interruption.shield():
            os.kill(os.getpid(), number)
            time.sleep(0)
            ids.append("j-1")

    with interruption.handled():
        with pytest.raises(Stopped, match=signal.Signals(number).name):
            create()
        interruption.now_ending()
        os.kill(os.getpid(), number)
        time.sleep(0)
    assert ids == ["j-1"]


def test_what_is_planned_must_fit_the_budget(prices: PriceTable) -> None:
    estimates = [plan(part, SETTINGS, prices, ASSUMED_TIMES).estimate for part in Part]
    usd = check_plan(estimates, 2.0)
    assert 0.3 < usd < 2.0
    with pytest.raises(OverBudgetError, match=r"--budget is 0.10 USD.*nothing was created"):
        check_plan(estimates, 0.1)


class World:
    """Budget and keeper over a local EMR, at a time that the test sets."""

    def __init__(self, emr: EMRClient, prices: PriceTable, limit_usd: float) -> None:
        self.passed = timedelta()
        self.emr = emr
        times = ASSUMED_TIMES
        self.budget = Budget(limit_usd, emr, REGION, prices, times, lambda: datetime.now(UTC) + self.passed)
        s3: Any = None
        self.keeper = Keeper(s3, emr, emr, self.budget, Interruption(), 0.05)


def test_everything_ends_when_the_budget_is_used_up(
    local_emr: EMRClient, prices: PriceTable, create_cluster: Callable[..., str]
) -> None:
    world = World(local_emr, prices, limit_usd=0.1)
    cluster_id = create_cluster()
    world.keeper.created.append(cluster_id)
    world.budget.buy(Bought(cluster_id, usd_hour=0.6, ebs_gb=32))
    world.keeper.pause()
    world.passed = timedelta(minutes=7)
    world.keeper.pause()
    # Ten minutes are the budget; two of them go into ending.
    world.passed = timedelta(minutes=8, seconds=1)
    with pytest.raises(Stopped, match=r"budget of 0.10 USD is used up"):
        world.keeper.pause()
    assert world.keeper.end_all("verger-no-such", "no such run") == []
    assert world.keeper.state(cluster_id) == "TERMINATED"


def test_a_further_cluster_must_fit_what_is_left(local_emr: EMRClient, prices: PriceTable) -> None:
    order = plan(Part.FORGOTTEN, SETTINGS, prices, ASSUMED_TIMES)
    world = World(local_emr, prices, limit_usd=order.estimate.usd_on_demand / 2)
    with pytest.raises(OverBudgetError, match="it was not created"):
        world.keeper.create(order, {"Name": "never"})


def test_what_a_part_leaves_alive_is_ended_before_the_next_and_a_signal_still_counts(
    local_emr: EMRClient, prices: PriceTable, create_cluster: Callable[..., str]
) -> None:
    world = World(local_emr, prices, limit_usd=1)
    ours, other = create_cluster(Name="verger-a-run-try1"), create_cluster(Name="verger-a-run-2-try1")
    world.keeper.end_so_far("verger-a-run")
    assert world.keeper.state(ours) == "TERMINATED"
    assert world.keeper.state(other) not in ("TERMINATING", "TERMINATED")
    with world.keeper.interruption.handled(), pytest.raises(Stopped):
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_cluster_that_only_its_tag_gives_away_is_ended_and_somebody_else_s_is_not(
    local_emr: EMRClient, prices: PriceTable, project: Path, create_cluster: Callable[..., str]
) -> None:
    run = new_run("any-bucket", datetime.now(UTC))
    asked = request(
        plan(Part.CLOCK, SETTINGS, prices, ASSUMED_TIMES), Deployment(home=project), run, "s3://b/c", prices
    )
    ours = create_cluster(Name="another name", Tags=asked["Tags"])
    other_tags = [{**tag, "Value": "other"} if tag["Key"] == "verger-run" else tag for tag in asked["Tags"]]
    other = create_cluster(Name="other", Tags=other_tags)
    world = World(local_emr, prices, limit_usd=1)
    assert world.keeper.end_all("verger-no-such", run.run_id) == []
    assert world.keeper.state(ours) == "TERMINATED"
    assert world.keeper.state(other) not in ("TERMINATING", "TERMINATED")


def test_the_clusters_are_a_run_s_own_and_the_reaper_goes_by_their_time_alone(
    prices: PriceTable, project: Path
) -> None:
    deployment = Deployment(home=project, name="orchard", security_configuration="sec")
    run = new_run("any-bucket", datetime(2026, 11, 27, tzinfo=UTC))
    for part in Part:
        asked = request(plan(part, SETTINGS, prices, ASSUMED_TIMES), deployment, run, "s3://b/code/d", prices)
        described = {
            "Id": "j-1", "Name": asked["Name"], "Tags": asked["Tags"],
            "Status": {"State": "WAITING", "Timeline": {"CreationDateTime": datetime.now(UTC)}},
        }  # fmt: skip
        own = own_cluster(described)
        assert own is not None
        assert (own.installation, own.dag_id, own.run_id) == ("orchard", "", run.run_id)
        assert own.end_by > datetime.now(UTC) + timedelta(hours=1)
        assert asked["SecurityConfiguration"] == "sec"
        arguments = asked["BootstrapActions"][0]["ScriptBootstrapAction"]["Args"]
        minutes = int(arguments[arguments.index("--end-after-minutes") + 1])
        assert (minutes == CLOCK_MINUTES) is (part is Part.CLOCK)
        idle = asked["AutoTerminationPolicy"]["IdleTimeout"]
        assert idle >= 60
        assert (idle > minutes * 60) is (part is Part.CLOCK), "only the clock's cluster is ended by its clock first"


def test_the_disks_of_machines_are_those_that_ec2_has(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        ec2 = boto3.client("ec2", region_name=REGION)
        image = ec2.describe_images()["Images"][0]["ImageId"]
        made = [ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0] for _ in range(2)]
        volumes = look_at_volumes(REGION, [made[0]["InstanceId"]])
        assert volumes is not None
        assert {place["InstanceId"] for disk in volumes for place in disk["Attachments"]} == {made[0]["InstanceId"]}
