"""What more than one may write is changed once, whatever becomes of the answers."""

from collections.abc import Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError, HTTPClientError
from mypy_boto3_s3 import S3Client
from verger.storage import conditional_writes
from verger.storage.conditional_writes import change_json, delete_unchanged
from verger.storage.json_objects import read_json, read_stored, write_json
from verger_rules.addresses import S3Address

from tests.faulty_s3 import Faults, faulty_s3

FAULTS = ["store_and_drop", "drop", "conflict"]


@pytest.fixture
def place(bucket: str) -> S3Address:
    return S3Address(bucket, "counted.json")


@pytest.fixture
def faulty(aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[S3Client, Faults]]:
    monkeypatch.setattr(conditional_writes, "PAUSES", (0.0, 0.0, 0.0))
    with faulty_s3(aws) as (address, faults):
        once = Config(retries={"total_max_attempts": 1})
        yield boto3.client("s3", endpoint_url=address, region_name="eu-west-1", config=once), faults


def one_more(there: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"count": (there or {"count": 0})["count"] + 1}


def reaching(count: int) -> Any:
    return lambda there: {"count": count} if (there or {"count": 0})["count"] < count else None


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("before", [None, {"count": 1}], ids=["nothing there", "something there"])
def test_a_change_whose_answer_is_lost_or_refused_is_made_once(
    faulty: tuple[S3Client, Faults], s3: S3Client, place: S3Address, fault: str, before: dict[str, Any] | None
) -> None:
    if before:
        write_json(s3, place, before)
    client, faults = faulty
    setattr(faults, fault, 2)
    assert change_json(client, place, reaching(2)) == {"count": 2}
    assert read_json(s3, place) == {"count": 2}
    puts = [asked for asked in faults.asked if asked.startswith("PUT")]
    assert len(puts) == {"store_and_drop": 1, "drop": 3, "conflict": 3}[fault]


@pytest.mark.parametrize("before", [None, {"count": 5}], ids=["nothing there", "something there"])
def test_another_writer_s_change_is_built_upon_and_not_overwritten(
    s3: S3Client, place: S3Address, before: dict[str, Any] | None
) -> None:
    """Two read the same, and both write: the second's condition fails, and it reads what the first wrote."""
    if before:
        write_json(s3, place, before)
    asked = []

    def beaten(there: Mapping[str, Any] | None) -> dict[str, Any]:
        asked.append(there)
        if len(asked) == 1:
            change_json(s3, place, one_more)
        return one_more(there)

    expected = (before or {"count": 0})["count"] + 2
    assert change_json(s3, place, beaten) == {"count": expected}
    assert read_json(s3, place) == {"count": expected}
    assert len(asked) == 2


def test_an_object_that_goes_between_reading_and_writing_is_written_anew(s3: S3Client, place: S3Address) -> None:
    write_json(s3, place, {"count": 7})

    def losing(there: Mapping[str, Any] | None) -> dict[str, Any]:
        s3.delete_object(Bucket=place.bucket, Key=place.key)
        return one_more(there)

    assert change_json(s3, place, losing) == {"count": 1}


def test_the_last_error_is_told_when_no_try_was_answered(
    faulty: tuple[S3Client, Faults], s3: S3Client, place: S3Address
) -> None:
    client, faults = faulty
    faults.drop = 100
    with pytest.raises(HTTPClientError):
        change_json(client, place, one_more)
    assert read_json(s3, place) is None


def test_the_very_last_try_counts_though_its_answer_is_lost(
    faulty: tuple[S3Client, Faults], s3: S3Client, place: S3Address
) -> None:
    client, faults = faulty
    faults.conflict = 3

    def then_lost() -> None:
        faults.store_and_drop = 0 if faults.conflict else 1

    faults.before_conflict = then_lost
    assert change_json(client, place, reaching(1)) == {"count": 1}
    assert read_json(s3, place) == {"count": 1}


def test_a_refusal_is_raised_at_once(s3: S3Client) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        change_json(s3, S3Address("there-is-no-such-bucket", "a.json"), one_more)


def test_only_the_object_that_was_read_is_deleted(s3: S3Client, place: S3Address) -> None:
    write_json(s3, place, {"count": 1})
    stored = read_stored(s3, place)
    assert stored
    write_json(s3, place, {"count": 2})
    assert not delete_unchanged(s3, place, stored.etag)
    assert read_json(s3, place) == {"count": 2}
    again = read_stored(s3, place)
    assert again
    assert delete_unchanged(s3, place, again.etag)
    assert read_json(s3, place) is None
    assert not delete_unchanged(s3, place, again.etag)


@pytest.mark.parametrize(("code", "status", "deleted"), [("NotImplemented", 501, True), ("AccessDenied", 403, False)])
def test_a_server_without_conditional_deletes_gets_a_plain_one(code: str, status: int, *, deleted: bool) -> None:
    asked = []

    class Server:
        def delete_object(self, **request: str) -> None:
            asked.append(request)
            if "IfMatch" in request:
                answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
                raise ClientError(answer, "DeleteObject")

    server: Any = Server()
    if deleted:
        assert delete_unchanged(server, S3Address("b", "k"), '"e"')
        assert asked[-1] == {"Bucket": "b", "Key": "k"}
    else:
        with pytest.raises(ClientError):
            delete_unchanged(server, S3Address("b", "k"), '"e"')
        assert len(asked) == 1
