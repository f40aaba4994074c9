"""The weekly report: from the runs' own records, and from AWS's bill where it tells."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest
import requests
from botocore.exceptions import EndpointConnectionError
from mypy_boto3_s3 import S3Client
from verger.cost.billing import Bill, parse_bill, read_bill
from verger.cost.report import make_report, read_cost_records, report_csv, report_html, report_mail
from verger.storage.json_objects import write_json
from verger.storage.layout import BucketLayout, RunLayout

END = datetime.now(UTC) + timedelta(hours=1)
START = END - timedelta(days=7)


def record(
    run_id: str, *, usd: float = 0.5, outcome: str = "published", ago: float = 24, **more: Any
) -> dict[str, Any]:
    return {
        "run_id": run_id, "dag_id": "fruits_features", "outcome": outcome,
        "counted_at": (END - timedelta(hours=ago)).isoformat(), "images": 1000, "usd": usd,
        "usd_per_1000_images": usd, "cluster_hours": 0.5, "machine_hours": 1.5, "idle_minutes": 6.0, "idle_usd": 0.05,
        "estimate": {"usd": 0.6}, "clusters": [{"cluster_id": "j-1", "ended_at": "2026-11-21T10:00:00+00:00"}], **more,
    }  # fmt: skip


RECORDS = [
    record("good", ago=48),
    record("bad", usd=2.0, outcome="failed", estimate=None, usd_per_1000_images=None, images=0),
]
BILL = Bill({"Amazon EC2": 2.4, "Amazon EMR": 0.5}, estimated=True)


def test_waste_is_idle_time_and_all_of_a_run_that_published_nothing() -> None:
    report = make_report(RECORDS, None, START, END)
    assert [run.wasted_usd for run in report.runs] == [0.05, 2.0]
    assert (report.total("usd"), report.failed, report.total("cluster_hours")) == (2.5, 1, 1.0)


def test_the_csv_has_a_line_a_run_and_runs_nothing_in_a_spreadsheet() -> None:
    records = [record('=cmd|" /C calc"!A1'), *RECORDS]
    rows = list(csv.DictReader(io.StringIO(report_csv(make_report(records, None, START, END)).decode())))
    assert [row["run_id"] for row in rows] == ['\'=cmd|" /C calc"!A1', "good", "bad"]
    assert (rows[1]["usd"], rows[1]["estimated_usd"], rows[2]["estimated_usd"]) == ("0.5", "0.6", "")


def test_the_page_shows_runs_and_bill_and_escapes_names() -> None:
    records = [record("<script>alert(1)</script>"), record("left", clusters=[{"cluster_id": "j-9", "ended_at": None}])]
    page = report_html(make_report(records, BILL, START, END)).decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "alive: j-9" in page
    assert "Amazon EMR" in page
    assert "still corrects" in page


def test_a_week_without_runs_or_bill_is_a_report_too() -> None:
    report = make_report([], None, START, END)
    assert "None." in report_html(report).decode()
    assert report_csv(report).decode().count("\r\n") == 1
    mail = report_mail(report, [])
    assert "0 runs, 0.00 USD" in mail.subject
    assert "Cost Explorer does not tell" in mail.body


def test_the_mail_says_what_it_cost_and_what_was_wasted() -> None:
    mail = report_mail(make_report(RECORDS, BILL, START, END), ["s3://fruits/reports/2026-11-21/costs.csv"])
    assert "2 runs, 2.90 USD" in mail.subject
    for part in (
        "2 runs", "1 published nothing", "2.50 USD", "Amazon EC2: 2.40 USD", "wasted: 2.05 USD", "12 idle minutes",
        "bad: failed", "s3://fruits/reports/2026-11-21/costs.csv",
    ):  # fmt: skip
        assert part in mail.body or part in mail.subject, part


def test_only_records_of_the_period_are_read(s3: S3Client, bucket: str) -> None:
    layout = BucketLayout(bucket)
    for name, ago in (("b", 24.0), ("a", 48.0), ("old", 24.0 * 8), ("future", -1.0)):
        write_json(s3, RunLayout(layout, name).run_file("cost.json"), record(name, ago=ago))
    write_json(s3, RunLayout(layout, "b").run_file("plan.json"), {})
    assert [found["run_id"] for found in read_cost_records(s3, layout, START, END)] == ["a", "b"]


@pytest.fixture
def cost_explorer(aws: str) -> Any:
    return boto3.client("ce", endpoint_url=aws, region_name="us-east-1")


def test_a_bill_is_added_up_over_days_and_services(cost_explorer: Any, aws: str) -> None:
    def day(estimated: bool, **services: str) -> dict[str, Any]:
        groups = [
            {"Keys": [name], "Metrics": {"UnblendedCost": {"Amount": usd, "Unit": "USD"}}}
            for name, usd in services.items()
        ]
        return {"Groups": groups, "Estimated": estimated, "Total": {}, "TimePeriod": {"Start": "a", "End": "b"}}

    answer = {
        "ResultsByTime": [day(False, EC2="1.25", EMR="0.5"), day(True, EC2="0.25")],
        "DimensionValueAttributes": [],
    }
    requests.post(f"{aws}/moto-api/static/ce/cost-and-usage-results", json={"results": [answer]}, timeout=10)
    bill = read_bill(cost_explorer, date(2025, 3, 3), date(2025, 3, 10))
    assert bill == Bill({"EC2": 1.5, "EMR": 0.5}, estimated=True)
    assert bill.usd == 2.0


def test_a_tag_that_was_never_activated_is_no_bill_of_nothing() -> None:
    assert parse_bill({"ResultsByTime": [{"Groups": [], "Estimated": False}]}) is None


def test_where_cost_explorer_does_not_answer_there_is_no_bill() -> None:
    class Unreachable:
        def get_cost_and_usage(self, **_: object) -> Any:
            raise EndpointConnectionError(endpoint_url="https://ce")

    assert read_bill(Unreachable(), date(2026, 11, 14), date(2026, 11, 21)) is None
