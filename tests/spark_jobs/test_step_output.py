"""What a step says: progress, reasons, the last line of an error, cells that harm no spreadsheet."""

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger_rules.addresses import S3Address
from verger_rules.model import fingerprint
from verger_rules.schemas import ANSWERS

from spark_jobs.job_errors import (
    RefusedError,
    StepFailedError,
    StoreUnavailableError,
    error_from_worker,
    run_step,
)
from spark_jobs.pca.results_writer import to_csv
from spark_jobs.steps.featurize_report import Outcome
from spark_jobs.steps.model_files import check_description
from spark_jobs.steps.progress import Progress, StepReporter
from spark_jobs.steps.work_watch import WorkWatch
from spark_jobs.store.object_store import StoreSettings, settings_from
from spark_jobs.store.work_count import STORE_WORK
from spark_jobs.worker.telemetry import add_by_host, over_hosts
from spark_jobs.worker.worker_sign import WorkerSign
from tests.contract.test_innermost_cause import OF_A_WORKER

if TYPE_CHECKING:
    from collections.abc import Mapping


def raising(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (RefusedError("no k"), 2, "verger: error: no k"),
        (StepFailedError("try\nagain"), 1, "verger: error: try again"),
        (RuntimeError("x spark_jobs.job_errors.StoreUnavailableError: busy\n at ..."), 1, "verger: error: busy"),
        (RuntimeError("y spark_jobs.job_errors.RefusedError: NaN\n at ..."), 2, "verger: error: NaN"),
    ],
)
def test_an_expected_error_is_one_line(
    error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_step(lambda: raising(error)) == code
    assert capsys.readouterr().err == f"{line}\n"


def test_an_unexpected_error_ends_with_one_line_behind_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_step(lambda: raising(KeyError("x"))) == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("verger: error: KeyError: 'x' (unexpected")


def test_an_unexpected_error_s_last_line_is_its_innermost_cause_with_the_address(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        try:
            raise ConnectionRefusedError("[Errno 111] Connection refused")
        except OSError as error:
            raise RuntimeError("s3://fruits/x cannot be read") from error

    assert run_step(fail) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("verger: error: ConnectionRefusedError: [Errno 111] Connection refused (s3://fruits/x)")


def test_an_error_of_a_worker_that_nobody_expected_is_named_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_step(lambda: raising(RuntimeError(OF_A_WORKER))) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert "GenericError: Generic S3 error: status code: 503 for http://127.0.0.1:7070/b/features/x.parquet" in last


def test_a_step_that_works_ends_with_code_0() -> None:
    assert run_step(lambda: None) == 0


def test_errors_of_workers_keep_their_kind() -> None:
    assert isinstance(error_from_worker("spark_jobs.job_errors.RefusedError: x"), RefusedError)
    assert isinstance(error_from_worker("spark_jobs.job_errors.StoreUnavailableError: x"), StepFailedError)
    assert issubclass(StoreUnavailableError, StepFailedError)
    assert error_from_worker("ValueError: x") is None


def test_the_progress_line_tells_rate_and_time_left() -> None:
    line = Progress(1200, 2400, 3, 8.0).line()
    assert line == "featurize: 1200/2400 images, 150.0 images/s, 8 s left, 3 rejected"
    assert "time left not known yet" in Progress(0, 10, 0, 1.0).line()
    assert Progress(0, 10, 0, 0.0).to_json()["seconds_left"] is None


def test_progress_that_cannot_be_stored_fails_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with StepReporter("pca", "r", lambda _: raising(StepFailedError("full")), "read", tuple):
        pass
    assert "pca: progress could not be stored: full" in capsys.readouterr().out


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_only_work_counts_as_movement_however_often_progress_is_told() -> None:
    clock = Clock()
    told: list[Mapping[str, Any]] = []
    done = Progress(0, 9, 0, 1.0)
    reporter = StepReporter("featurize", "r", told.append, "read", tuple, WorkWatch(clock))

    def idle_after(seconds: float) -> float:
        clock.seconds += seconds
        reporter.tell()
        return float(told[-1]["idle_seconds"])

    idle_after(0)
    assert idle_after(5) == 5
    reporter.enter("compute", lambda: done)
    assert idle_after(5) == 0, "a new phase"
    assert idle_after(60) == 60
    assert idle_after(60) == 120, "telling is no work"
    done = Progress(1, 9, 0, 130.0)
    assert idle_after(3) == 0, "an image"
    STORE_WORK.add()
    assert idle_after(3) == 0, "a read"
    assert idle_after(7) == 7
    reporter.enter("compact")
    assert idle_after(3) == 0
    assert (told[-1]["phase"], told[-1]["images_done"]) == ("compact", 1), "what was reached stays"


def test_progress_of_a_step_without_figures_tells_its_phase_alone() -> None:
    told: list[Mapping[str, Any]] = []
    StepReporter("pca", "r", told.append, "read", tuple).tell()
    assert told[0].keys() == {"run_id", "phase", "idle_seconds", "updated_at"}


def test_a_spark_that_does_not_answer_is_no_movement_and_fails_nothing() -> None:
    clock = Clock()
    told: list[Mapping[str, Any]] = []
    answers: list[object] = [()]

    def finished() -> object:
        if not answers:
            raise ConnectionError("refused")
        return answers.pop()

    reporter = StepReporter("pca", "r", told.append, "fit", finished, WorkWatch(clock))
    reporter.tell()
    clock.seconds += 8
    reporter.tell()
    assert told[-1]["idle_seconds"] == 8


def test_a_worker_gives_a_sign_once_a_while_and_only_after_images(s3: S3Client, bucket: str, aws: str) -> None:
    clock = Clock()
    sign = WorkerSign(StoreSettings(aws, "eu-west-1"), S3Address(bucket, "runs/r/featurize.workers"), 500, clock)

    def signs() -> list[dict[str, Any]]:
        listed = s3.list_objects_v2(Bucket=bucket, Prefix="runs/r/featurize.workers/").get("Contents", [])
        return [json.load(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"]) for entry in listed]

    sign.answered(64)
    assert signs() == [], "a short partition leaves none"
    clock.seconds += 61
    assert signs() == []
    sign.answered(3)
    assert [(told["images_done"], told["images_total"]) for told in signs()] == [(67, 500)]
    clock.seconds += 30
    sign.answered(1)
    assert signs()[0]["images_done"] == 67
    clock.seconds += 31
    sign.answered(1)
    assert [told["images_done"] for told in signs()] == [69], "a worker replaces its own"


def test_a_sign_that_cannot_be_stored_fails_nothing(aws: str) -> None:
    clock = Clock()
    sign = WorkerSign(StoreSettings(aws, "eu-west-1"), S3Address("no-such-bucket-here", "signs"), 5, clock)
    clock.seconds += 61
    sign.answered(1)


def test_figures_are_added_by_host_and_over_hosts() -> None:
    add = add_by_host
    totals = add(add({}, {"a": {"images": 1, "decode": 0.5}}), {"a": {"images": 2}, "b": {"images": 4}})
    assert totals == {"a": {"images": 3, "decode": 0.5}, "b": {"images": 4}}
    assert over_hosts(totals) == {"images": 7, "decode": 0.5}


def test_reasons_are_counted_the_most_frequent_first() -> None:
    rows = [("a", "read", "gone"), ("b", "decode", "empty"), ("c", "decode", "empty")]
    table = pa.Table.from_pylist(
        [dict(zip(("path", "stage", "reason"), row, strict=True)) for row in rows], schema=ANSWERS
    )
    outcome = Outcome()
    for part in outcome.counting(table.slice(start, 1) for start in range(table.num_rows)):
        assert part.num_rows == 1
    assert (outcome.listed, outcome.featurized, outcome.rejected) == (3, 0, 3)
    assert outcome.reject_reasons() == [
        {"stage": "decode", "reason": "empty", "images": 2, "example": "b"},
        {"stage": "read", "reason": "gone", "images": 1, "example": "a"},
    ]


@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=1, max_size=5))
def test_csv_cells_read_back_as_they_were_and_start_no_formula(labels: list[str]) -> None:
    table = pa.table({"label": pa.array(labels), "pc_1": pa.array([0.1] * len(labels))})
    read = list(csv.reader(io.StringIO(to_csv(table).decode(), newline="")))
    for label, (cell, score) in zip(labels, read, strict=True):
        assert cell[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n"}
        assert cell.replace("'", "") == label.replace("'", "")
        assert float(score) == 0.1


def test_the_store_is_where_the_environment_says() -> None:
    def unknown() -> str:
        raise AssertionError("asked the instance")

    both = {"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_S3": "http://s3", "AWS_REGION": "eu-west-1"}
    assert settings_from(both, unknown) == StoreSettings("http://s3", "eu-west-1")
    assert settings_from({"AWS_DEFAULT_REGION": "eu-west-3"}, unknown) == StoreSettings(None, "eu-west-3")
    assert settings_from({}, lambda: "eu-north-1") == StoreSettings(None, "eu-north-1")


WEIGHTS = "ab" * 32
DESCRIPTION = {
    "fingerprint": fingerprint(WEIGHTS),
    "weights": "file",
    "weights_sha256": WEIGHTS,
    "precision": "float32",
    "input_size": 224,
    "features": 1280,
    "files": {},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights_sha256": "cd" * 32}, "these must be equal"),
        ({"precision": "int8"}, "these must be equal"),
        ({"input_size": 96}, r"describes \(96, 1280\)"),
    ],
)
def test_a_model_that_contradicts_itself_is_refused(change: dict[str, object], message: str) -> None:
    folder = S3Address("b", f"models/{DESCRIPTION['fingerprint']}")
    check_description(DESCRIPTION, folder)
    with pytest.raises(RefusedError, match=message):
        check_description(DESCRIPTION | change, folder)
    with pytest.raises(RefusedError, match="lacks weights"):
        check_description({name: value for name, value in DESCRIPTION.items() if name != "weights"}, folder)
