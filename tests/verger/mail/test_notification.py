"""Mails: short subjects, bodies with the numbers and the cause, and never a reason for a run to fail."""

import json
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from verger.mail import notification
from verger.mail.notification import Mail, failure_mail, reaped_mail, results_mail, subject_line

RUN: dict[str, Any] = {
    "run_id": "manual__1",
    "warnings": ["The model has RANDOM weights."],
    "counts": {"listed": 1200, "featurized": 1190, "rejected": 10},
    "featurize": {"featurized": 200, "seconds": {"total": 75.0}, "images_per_second": 123.4},
    "pca": {"k": 10, "variance_reached": 0.873},
}
COST: dict[str, Any] = {
    "usd": 0.1234,
    "usd_per_1000_images": 0.617,
    "estimate": {"usd": 0.2},
    "idle_minutes": 3.4,
    "idle_usd": 0.01,
    "clusters": [{"cluster_id": "j-1", "state": "TERMINATED", "unpriced": ["p9.huge"]}],
}


@given(st.text(max_size=400))
def test_every_subject_is_one_ascii_line_of_at_most_100_characters(text: str) -> None:
    subject = notification.compose(text, []).subject
    assert subject.startswith("Verger:")
    assert len(subject) <= 100
    assert subject.isascii()
    assert subject.isprintable()


def test_a_long_subject_says_that_it_was_cut() -> None:
    assert subject_line("é" * 300) == "e" * 97 + "..."
    assert subject_line("a\n\tb\0c") == "a b c"


def test_results_mail_holds_the_numbers_the_cost_and_where_the_results_are() -> None:
    mail = results_mail(RUN, COST, "s3://fruits/results/manual__1-abc")
    assert mail.subject == "Verger: results of 1,190 images are published"
    for part in (
        "WARNING: The model has RANDOM weights.", "1,190 of 1,200", "200 computed now", "rejected: 10",
        "components: 10, 87.3% of the variance", "123.4 images/s", "0.12 USD", "0.617 USD for 1,000 images",
        "estimated: 0.20 USD", "idle: 3 min", "p9.huge", "j-1 TERMINATED", "s3://fruits/results/manual__1-abc/",
    ):  # fmt: skip
        assert part in mail.body, part


def test_a_failure_mail_shows_the_cause_in_its_subject_and_all_of_it_in_its_body() -> None:
    cause = "step featurize ended as FAILED: 7.1 % of the images are rejects\nsecond line"
    mail = failure_mail(
        dag_id="fruits_features", run_id="r", task_id="wait_for_featurize", cause=cause, log_url="http://log"
    )
    assert mail.subject.startswith("Verger: wait_for_featurize failed: step featurize ended as FAILED: 7.1 %")
    assert cause in mail.body
    assert "http://log" in mail.body


def test_a_failure_without_a_reason_says_so() -> None:
    mail = failure_mail(dag_id="d", run_id="r", task_id="t", cause=" \n", log_url="")
    assert mail.subject == "Verger: t failed: it gave no reason"


def test_a_mail_about_a_reaped_cluster_says_why_and_how_old_it_was() -> None:
    mail = reaped_mail(
        cluster_id="j-1", name="verger-x-try1", region="eu-west-1", run_id="r1", age_hours=2.5, reason="its run is over"
    )
    assert "2 h 30 min old" in mail.body
    assert "its run is over" in mail.body
    assert "r1" in mail.body


def test_a_body_never_exceeds_what_sns_takes() -> None:
    assert len(notification.compose("x", ["é" * 300_000]).body.encode()) <= 256 * 1024


@pytest.fixture
def topic(aws: str) -> tuple[str, Any]:
    """A topic, and a function that reads what arrives in a queue behind it."""
    kwargs = {"endpoint_url": aws, "region_name": "eu-west-1"}
    sns, sqs = boto3.client("sns", **kwargs), boto3.client("sqs", **kwargs)  # type: ignore[call-overload] # kwargs of one type
    arn = sns.create_topic(Name="verger")["TopicArn"]
    url = sqs.create_queue(QueueName="mails")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
    return arn, lambda: [json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=url).get("Messages", [])]


def test_a_mail_arrives_with_its_subject(topic: tuple[str, Any], aws: str) -> None:
    arn, read = topic
    sns = boto3.client("sns", endpoint_url=aws, region_name="eu-west-1")
    assert notification.send(sns, arn, Mail("Verger: hello", "body é")) is True
    (message,) = read()
    assert (message["Subject"], message["Message"]) == ("Verger: hello", "body é")


def test_a_mail_that_cannot_be_sent_is_a_warning_and_no_error(aws: str, caplog: pytest.LogCaptureFixture) -> None:
    sns = boto3.client("sns", endpoint_url=aws, region_name="eu-west-1")
    gone = "arn:aws:sns:eu-west-1:123456789012:gone"
    assert notification.send(sns, gone, Mail("Verger: hello", "body")) is False
    assert "could not be sent" in caplog.text


def test_without_a_topic_no_mail_is_sent_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert notification.send(None, None, Mail("Verger: hello", "body")) is False
    assert "VERGER_TOPIC_ARN" in caplog.text
