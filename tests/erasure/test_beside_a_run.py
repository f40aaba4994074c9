"""An erasure beside a step that is at work: the table reads afterwards, and what has to be run again is said."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client
from verger_rules import table_erasure
from verger_rules.delta_table import TableFile, TablePlace, commit_chunk, merge_small_files, open_table
from verger_rules.layout import run_slug
from verger_rules.schemas import FEATURIZED, REJECTED, image_id
from verger_rules.table_erasure import delete_images, purge, run_of

from spark_jobs.steps.chunk_writer import ChunkJob, missing_files
from spark_jobs.store.object_store import StoreSettings
from tests.erasure.house import TABLE, House, erase, once
from tests.faulty_s3 import faulty_s3
from tests.stored_tables import REGION, Row, keys_below, place_of, put_chunk, put_files, visible_rows
from tools import erase_images
from tools.erasure import feature_tables
from tools.erasure.run_files import erase_from_results

SLUG = run_slug("under way")
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small(s3: S3Client, bucket: str) -> House:
    """A table in which the person has one row and another picture two."""
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    small = House(s3, bucket)
    put_chunk(s3, bucket, "done", [Row(small.person), Row(small.other), Row(small.other, value=None)])
    return small


@pytest.fixture
def in_flight(small: House) -> list[TableFile]:
    """A chunk whose files are there and whose commit is not: a clean one of features, and a reject."""
    rows = [Row("s3://b/images/in flight.jpg"), Row("s3://b/images/reject.jpg", value=None)]
    return put_files(small.s3, place_of(small.s3, small.bucket), SLUG, 0, rows, at=30)


def commit(small: House, files: list[TableFile]) -> Callable[[], object]:
    return lambda: commit_chunk(place_of(small.s3, small.bucket), SLUG, 0, files)


def paths(small: House) -> set[str]:
    return set(visible_rows(small.s3, small.bucket)["path"].to_pylist())


def test_a_step_whose_files_were_deleted_sees_it_before_it_commits(
    small: House,
    in_flight: list[TableFile],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    aws: str,
) -> None:
    place = place_of(small.s3, small.bucket)
    job = ChunkJob(None, StoreSettings(aws, REGION), place, place.folder, SLUG, None, None)  # type: ignore[arg-type]
    assert missing_files(job, 0, in_flight) == []
    code, told = erase(capsys, monkeypatch, small.person)
    assert (code, told["clean"], told["removed"]["unnamed"]["deleted"]) == (0, True, 2)
    assert sorted(missing_files(job, 0, in_flight)) == sorted(place.folder.child(file.name).uri for file in in_flight)
    assert paths(small) == {small.other}


@pytest.mark.parametrize("moment", ["vacuum", "_forget_history"])
def test_a_chunk_that_is_committed_while_its_files_are_deleted_leaves_a_table_that_reads(
    small: House,
    in_flight: list[TableFile],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    """Before the vacuum the table has been read by it; after, the files are gone."""
    monkeypatch.setattr(table_erasure, moment, once(commit(small, in_flight), getattr(table_erasure, moment)))
    code, told = erase(capsys, monkeypatch, small.person)
    assert (code, told["clean"], told["run_again"]) == (0, True, [SLUG])
    assert small.traces() == set()
    assert paths(small) == {small.other}
    assert put_chunk(small.s3, small.bucket, "under way", [Row("s3://b/images/in flight.jpg")])
    assert paths(small) == {small.other, "s3://b/images/in flight.jpg"}


def test_a_chunk_that_is_committed_still_later_is_said_and_mended_by_the_next_erasure(
    small: House, in_flight: list[TableFile], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        late = once(commit(small, in_flight), erase_from_results)
        patched.setattr(erase_images, "erase_from_results", late)
        code, told = erase(capsys, patched, small.person)
    assert (code, told["clean"]) == (1, False)
    code, told = erase(capsys, monkeypatch, small.person)
    assert (code, told["clean"], told["removed"]["lost"]["deleted"], told["run_again"]) == (0, True, 2, [SLUG])
    assert paths(small) == {small.other}


def test_rows_that_come_in_beside_a_deletion_have_it_done_again(
    small: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run's chunk holds the person, too, and counts between the deletion's reading and its commit."""
    rows = [Row(small.person, etag="2"), Row("s3://b/images/4.jpg")]

    def opened_too_early(place: TablePlace) -> object:
        table = open_table(place)
        if not came:
            came.append(put_chunk(small.s3, small.bucket, "another", rows))
        return table

    came: list[object] = []
    monkeypatch.setattr(table_erasure, "open_table", opened_too_early)
    code, told = erase(capsys, monkeypatch, small.person)
    assert (code, told["clean"]) == (0, True)
    assert small.traces() == set()
    assert paths(small) == {small.other, "s3://b/images/4.jpg"}


def test_a_merge_that_is_committed_beside_an_erasure_leaves_a_table_that_reads(
    small: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both rewrite the same file: one of them is refused, and the erasure is done in any case."""
    put_chunk(small.s3, small.bucket, "more", [Row("s3://b/images/4.jpg")])
    place = place_of(small.s3, small.bucket)

    def merge() -> None:
        if (table := open_table(place)) is not None:
            merge_small_files(table)

    monkeypatch.setattr(feature_tables, "delete_images", once(merge, delete_images))
    code, told = erase(capsys, monkeypatch, small.person)
    assert (code, told["clean"]) == (0, True)
    assert small.traces() == set()
    assert paths(small) == {small.other, "s3://b/images/4.jpg"}


def test_two_erasures_at_once_both_finish(
    small: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place_of(small.s3, small.bucket)
    put_chunk(small.s3, small.bucket, "more", [Row("s3://b/images/4.jpg")])

    def another() -> None:
        delete_images(place, [image_id("s3://b/images/4.jpg")])
        purge(place)

    monkeypatch.setattr(feature_tables, "purge", once(another, purge))
    code, told = erase(capsys, monkeypatch, small.person)
    assert (code, told["clean"], told["run_again"]) == (0, True, [])
    assert paths(small) == {small.other}


def test_a_table_of_which_every_file_is_gone_becomes_an_empty_one(
    small: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in keys_below(small.s3, small.bucket, f"{TABLE}outcome="):
        small.s3.delete_object(Bucket=small.bucket, Key=key)
    code, told = erase(capsys, monkeypatch, small.person)
    assert (code, told["clean"], told["run_again"]) == (0, True, [run_slug("done")])
    assert (small.traces(), paths(small)) == (set(), set())


def test_a_file_of_several_runs_has_no_run() -> None:
    assert run_of(TableFile(f"outcome={FEATURIZED}/{SLUG}/00000/00000-a.parquet", FEATURIZED, 1, 1)) == SLUG
    assert run_of(TableFile(f"outcome={REJECTED}/part-00000-a.parquet", REJECTED, 1, 1)) is None


@pytest.mark.parametrize("fault", ["store_and_drop", "drop", "conflict"])
def test_answers_that_are_lost_change_nothing_of_the_outcome(
    small: House, aws: str, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """In a process of its own: deltalake keeps Python waiting while it writes, and the proxy is here."""
    with faulty_s3(aws) as (address, faults):
        setattr(faults, fault, 3)
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        done = subprocess.run(
            [sys.executable, PROJECT / "tools/erase_images.py", "--region", REGION, small.person],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["clean"] is True
    assert small.traces() == set()
    assert paths(small) == {small.other}
