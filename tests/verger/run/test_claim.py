"""One run id in one bucket is one run: the folder is claimed, and given back when nothing is left in it."""

from collections.abc import Iterator
from dataclasses import replace

import boto3
import pytest
from botocore.client import Config
from mypy_boto3_s3 import S3Client
from verger.run.claim import Holder, RunTakenError, claim_run, give_back
from verger.storage import conditional_writes
from verger.storage.json_objects import read_json, write_json
from verger.storage.layout import BucketLayout, RunLayout

from tests.faulty_s3 import Faults, faulty_s3

RUN_ID = "scheduled__2026-11-21T00:00:00+00:00"
OURS = Holder("orchard", "fruits_features", RUN_ID)
NOW, LATER = "2026-11-21T00:00:05+00:00", "2026-11-21T00:09:00+00:00"
OTHERS = [
    pytest.param(replace(OURS, installation="verger"), "installation 'verger'", id="another installation"),
    pytest.param(replace(OURS, dag_id="my_fruits"), "DAG 'my_fruits'", id="another DAG"),
    pytest.param(
        replace(OURS, run_id="scheduled"), "run 'scheduled', whose id has the same short form", id="same slug"
    ),
]


@pytest.fixture
def run(bucket: str) -> RunLayout:
    return RunLayout(BucketLayout(bucket), RUN_ID)


@pytest.fixture
def faulty(aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[S3Client, Faults]]:
    monkeypatch.setattr(conditional_writes, "PAUSES", (0.0, 0.0, 0.0))
    with faulty_s3(aws) as (address, faults):
        once = Config(retries={"total_max_attempts": 1})
        yield boto3.client("s3", endpoint_url=address, region_name="eu-west-1", config=once), faults


@pytest.mark.parametrize(("other", "whose"), OTHERS)
def test_the_second_is_told_who_holds_the_run_since_when_and_what_to_do(
    s3: S3Client, run: RunLayout, other: Holder, whose: str
) -> None:
    claim_run(s3, run, other, NOW)
    with pytest.raises(RunTakenError) as refusal:
        claim_run(s3, run, OURS, LATER)
    for told in (whose, NOW, "another run id", f"delete s3://{run.layout.bucket}/runs/{run.slug}/claim.json"):
        assert told in str(refusal.value)
    assert read_json(s3, run.claim) == {"format": 1, **vars(other), "claimed_at": NOW}


def test_a_retry_and_a_cleared_task_find_their_own_claim(s3: S3Client, run: RunLayout) -> None:
    claim_run(s3, run, OURS, NOW)
    claim_run(s3, run, OURS, LATER)
    assert read_json(s3, run.claim) == {"format": 1, **vars(OURS), "claimed_at": NOW}


@pytest.mark.parametrize("fault", ["store_and_drop", "drop", "conflict"])
def test_a_claim_whose_answer_is_lost_or_refused_is_ours(
    faulty: tuple[S3Client, Faults], s3: S3Client, run: RunLayout, fault: str
) -> None:
    client, faults = faulty
    setattr(faults, fault, 2)
    claim_run(client, run, OURS, NOW)
    assert (read_json(s3, run.claim) or {})["installation"] == "orchard"


def test_of_two_that_claim_at_once_the_second_is_refused(
    faulty: tuple[S3Client, Faults], s3: S3Client, run: RunLayout
) -> None:
    """Both have read that nothing is there; S3 answers ours with 409 while the other's PUT is under way."""
    client, faults = faulty
    other = replace(OURS, installation="verger")
    faults.conflict = 1
    faults.before_conflict = lambda: claim_run(s3, run, other, NOW)
    with pytest.raises(RunTakenError, match="installation 'verger'"):
        claim_run(client, run, OURS, NOW)
    assert (read_json(s3, run.claim) or {})["installation"] == "verger"


def test_the_condition_of_the_put_decides_between_two_that_saw_nothing(s3: S3Client, run: RunLayout, aws: str) -> None:
    """The other's claim comes between our look and our PUT: S3 answers 412."""
    racing = boto3.client("s3", endpoint_url=aws, region_name="eu-west-1")
    other = replace(OURS, dag_id="my_fruits")
    racing.meta.events.register("before-call.s3.PutObject", lambda **_: claim_run(s3, run, other, NOW))
    with pytest.raises(RunTakenError, match="DAG 'my_fruits'"):
        claim_run(racing, run, OURS, NOW)


@pytest.mark.parametrize("content", [b"not json", b"[1]", b'{"format": 9}'])
def test_what_is_no_claim_is_nobody_s_to_overwrite(s3: S3Client, run: RunLayout, content: bytes) -> None:
    s3.put_object(Bucket=run.claim.bucket, Key=run.claim.key, Body=content)
    with pytest.raises(RunTakenError, match=r"delete .*that object|delete s3://"):
        claim_run(s3, run, OURS, NOW)
    give_back(s3, run, OURS)
    assert s3.get_object(Bucket=run.claim.bucket, Key=run.claim.key)["Body"].read() == content


def test_a_run_that_left_nothing_gives_its_claim_back(s3: S3Client, run: RunLayout) -> None:
    claim_run(s3, run, OURS, NOW)
    write_json(s3, run.left_out_of_bucket, {"run_id": RUN_ID})
    give_back(s3, run, OURS)
    assert read_json(s3, run.claim) is None
    claim_run(s3, run, replace(OURS, installation="verger"), LATER)


@pytest.mark.parametrize("name", ["sync.json", "plan.json", "manifest.parquet", "featurize.json"])
def test_a_run_that_left_something_keeps_its_claim(s3: S3Client, run: RunLayout, name: str) -> None:
    claim_run(s3, run, OURS, NOW)
    write_json(s3, run.run_file(name), {})
    give_back(s3, run, OURS)
    with pytest.raises(RunTakenError):
        claim_run(s3, run, replace(OURS, dag_id="my_fruits"), LATER)


@pytest.mark.parametrize(("other", "whose"), OTHERS)
def test_nobody_gives_back_what_another_holds(s3: S3Client, run: RunLayout, other: Holder, whose: str) -> None:
    claim_run(s3, run, other, NOW)
    give_back(s3, run, OURS)
    assert read_json(s3, run.claim) is not None, whose


def test_a_claim_that_cannot_be_given_back_is_a_warning(
    faulty: tuple[S3Client, Faults], s3: S3Client, run: RunLayout, caplog: pytest.LogCaptureFixture
) -> None:
    client, faults = faulty
    claim_run(s3, run, OURS, NOW)
    faults.read_only.set()
    give_back(client, run, OURS)
    assert "could not be given back" in caplog.text
    assert read_json(s3, run.claim) is not None
