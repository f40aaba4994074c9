"""What a run's cluster costs is said before, bounded, reckoned after, and told by mail."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from verger.storage.layout import RunLayout

from tests.e2e.installation import Verger, draw
from tools import local_stack
from tools.local_run.run_view import RunView

pytestmark = [pytest.mark.e2e, pytest.mark.spark]

IMAGES = 12


class Inbox:
    """A topic, and what arrives in a queue behind it."""

    def __init__(self, stack: local_stack.Stack) -> None:
        options: dict[str, Any] = {
            "endpoint_url": stack.emr_url,
            "region_name": local_stack.REGION,
            "aws_access_key_id": stack.access_key,
            "aws_secret_access_key": stack.secret_key,
        }
        sns, self.sqs = boto3.client("sns", **options), boto3.client("sqs", **options)
        self.arn: str = sns.create_topic(Name="verger")["TopicArn"]
        self.url: str = self.sqs.create_queue(QueueName="mails")["QueueUrl"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])["Attributes"]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=attributes["QueueArn"])

    def take(self) -> list[dict[str, str]]:
        """The mails since the last look."""
        taken = []
        while found := self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages", []):
            for message in found:
                taken.append(json.loads(message["Body"]))
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return taken


@pytest.fixture(scope="module")
def inbox(verger: Verger) -> Inbox:
    return Inbox(verger.stack)


@pytest.fixture(scope="module")
def mailing(verger: Verger, inbox: Inbox) -> Verger:
    """The installation with a topic; the local EMR's server is its SNS as well."""
    return replace(verger, variables={"VERGER_TOPIC_ARN": inbox.arn, "AWS_ENDPOINT_URL_SNS": verger.stack.emr_url})


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("pictures"), IMAGES)


@pytest.fixture(scope="module")
def published(mailing: Verger, pictures: Path) -> RunView:
    view = mailing.run(source=str(pictures), k=3)
    assert view.state == "success", view
    return view


def test_the_cost_stands_in_its_own_file_and_in_run_json(mailing: Verger, published: RunView) -> None:
    cost = mailing.metrics(published, "cost.json")
    (cluster,) = cost["clusters"]
    assert (cost["outcome"], cost["images"], cluster["state"]) == ("published", IMAGES, "TERMINATED")
    assert cost["usd"] > 0
    assert cost["usd_per_1000_images"] == pytest.approx(cost["usd"] * 1000 / IMAGES)
    assert {machine["instance_type"] for machine in cluster["machines"]} == {"m6i.xlarge"}
    assert len(cluster["machines"]) == 2  # the primary and, for so few pictures, one core node
    assert 0 < cluster["busy_minutes"] < cost["cluster_hours"] * 60
    assert cost["estimate"]["usd"] > 0
    assert cost["spot_prices"] == cost["estimate"]["spot_prices"] == "none"
    run = mailing.read(RunLayout(mailing.layout, published.run_id).result_file("run.json"))
    assert run is not None
    assert run["cost"] == cost
    assert run["counts"]["listed"] == IMAGES


def test_the_cluster_s_readiness_and_the_results_come_by_mail(inbox: Inbox, published: RunView) -> None:
    ready, results = inbox.take()
    assert "is ready" in ready["Subject"]
    assert published.run_id in ready["Message"]
    assert results["Subject"] == f"Verger: results of {IMAGES} images are published"
    assert "USD for 1,000 images" in results["Message"]


def test_a_budget_that_the_cluster_would_exceed_stops_the_run_before_it_exists(
    mailing: Verger, inbox: Inbox, published: RunView
) -> None:
    assert published.state == "success"
    before = len(mailing.clusters())
    view = mailing.run(k=2, budget_usd=0.01)
    assert (view.state, view.failed_task) == ("failed", "choose_place")
    assert "budget_usd is 0.01" in view.tasks["choose_place"].error
    assert len(mailing.clusters()) == before
    (mail,) = inbox.take()
    assert mail["Subject"].startswith("Verger: choose_place failed: budget_usd is 0.01")


def test_a_failed_step_s_own_words_come_by_mail_and_its_cost_is_counted(
    mailing: Verger, inbox: Inbox, published: RunView, tmp_path: Path
) -> None:
    assert published.state == "success"
    pictures = draw(tmp_path / "broken", 10, broken=6, seed=5)
    (empty,) = pictures.rglob("*empty.jpg")
    empty.unlink()  # the plan would refuse it: nothing has to be computed to know that it is rejected
    view = mailing.run(source=str(pictures), k=2, max_reject_rate=0.0)
    assert (view.state, view.failed_task) == ("failed", "wait_for_featurize")
    mails = {mail["Subject"]: mail["Message"] for mail in inbox.take()}
    (failure,) = [message for subject, message in mails.items() if "wait_for_featurize failed" in subject]
    assert "reject" in failure
    cost = mailing.metrics(view, "cost.json")
    assert (cost["outcome"], cost["clusters"][0]["ended_at"] is not None) == ("failed", True)
    assert not any("results of" in subject for subject in mails)


@pytest.mark.long
def test_a_finished_cluster_is_held_for_the_minutes_asked_and_then_ended(mailing: Verger, published: RunView) -> None:
    first = mailing.metrics(published, "cost.json")["clusters"][0]["cluster_id"]
    view = mailing.run(k=2, max_reject_rate=1, force=True, keep_for_demo_minutes=1, like_cluster_id=first)
    assert view.state == "success", view
    held = view.tasks["hold_cluster"]
    assert (held.ended or 0) - (held.began or 0) >= 55
    cost = mailing.metrics(view, "cost.json")
    assert cost["clusters"][0]["state"] == "TERMINATED"
    assert cost["idle_minutes"] >= 0.9


@pytest.mark.long
def test_the_mails_of_a_cluster_that_was_held_are_the_usual_ones(inbox: Inbox) -> None:
    assert [("is ready" in mail["Subject"], "results of" in mail["Subject"]) for mail in inbox.take()] == [
        (True, False),
        (False, True),
    ]
