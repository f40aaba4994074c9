"""The weekly report: which runs there were, what they cost, what of it was wasted."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from verger_rules.addresses import S3Address
from verger_rules.csv_text import csv_line, harmless

from verger.cost.billing import Bill
from verger.cost.run_cost import COST_FILE
from verger.mail.notification import Mail, compose
from verger.publish.report import page_environment
from verger.storage.json_objects import read_json
from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class RunLine:
    """One run of the report, from its `cost.json`; a column of the CSV each."""

    run_id: str
    dag_id: str
    outcome: str
    counted_at: str
    images: int
    usd: float
    estimated_usd: float | None
    usd_per_1000_images: float | None
    clusters: int
    cluster_hours: float
    machine_hours: float
    idle_minutes: float
    wasted_usd: float
    alive: str


@dataclass(frozen=True)
class Report:
    """A period and what it cost.

    Attributes:
        start: the first moment.
        end: the moment after the last.
        runs: oldest first.
        bill: what AWS says; None where Cost Explorer does not tell.
    """

    start: datetime
    end: datetime
    runs: tuple[RunLine, ...]
    bill: Bill | None

    def total(self, name: str) -> float:
        """The sum of a column of numbers."""
        return float(sum(getattr(run, name) for run in self.runs))

    @property
    def failed(self) -> int:
        """How many runs published nothing."""
        return sum(run.outcome != "published" for run in self.runs)


def run_line(record: Mapping[str, Any]) -> RunLine:
    """A line from a `cost.json`.

    Wasted is what idle minutes cost, and all that a run cost which published nothing.
    """
    published = record["outcome"] == "published"
    alive = [cluster["cluster_id"] for cluster in record["clusters"] if cluster["ended_at"] is None]
    return RunLine(
        run_id=record["run_id"],
        dag_id=record["dag_id"],
        outcome=record["outcome"],
        counted_at=record["counted_at"],
        images=record["images"],
        usd=record["usd"],
        estimated_usd=record["estimate"]["usd"] if record["estimate"] else None,
        usd_per_1000_images=record["usd_per_1000_images"],
        clusters=len(record["clusters"]),
        cluster_hours=record["cluster_hours"],
        machine_hours=record["machine_hours"],
        idle_minutes=record["idle_minutes"],
        wasted_usd=record["idle_usd"] if published else record["usd"],
        alive=" ".join(alive),
    )


def read_cost_records(s3: "S3Client", layout: BucketLayout, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """The `cost.json` of the runs that were counted in a period, oldest first."""
    records = [read_json(s3, address) for address in _cost_files(s3, layout, start)]
    inside = [record for record in records if record and start <= datetime.fromisoformat(record["counted_at"]) < end]
    return sorted(inside, key=lambda record: str(record["counted_at"]))


def _cost_files(s3: "S3Client", layout: BucketLayout, start: datetime) -> Iterator[S3Address]:
    """The records that were written in or after the period: older ones need not be read."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=layout.bucket, Prefix=layout.runs_prefix)
    for page in pages:
        for entry in page.get("Contents", ()):
            if entry["Key"].endswith(f"/{COST_FILE}") and entry["LastModified"] >= start:
                yield layout.address(entry["Key"])


def make_report(records: Iterable[Mapping[str, Any]], bill: Bill | None, start: datetime, end: datetime) -> Report:
    """The report of a period."""
    return Report(start, end, tuple(run_line(record) for record in records), bill)


def report_csv(report: Report) -> bytes:
    """One line a run, with a header, in UTF-8."""
    lines = [[field.name for field in fields(RunLine)], *(map(_cell, asdict(run).values()) for run in report.runs)]
    return "".join(f"{csv_line(line)}\r\n" for line in lines).encode()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    return harmless(value) if isinstance(value, str) else value


def report_html(report: Report) -> bytes:
    """The report as a page that needs nothing beside itself."""
    return page_environment().get_template("cost_report.html.jinja").render(report=report).encode()


def report_mail(report: Report, addresses: Sequence[str]) -> Mail:
    """The report in words, with the addresses of its files."""
    runs = len(report.runs)
    return compose(
        f"week to {report.end:%Y-%m-%d}: {runs} run{'' if runs == 1 else 's'}, {_headline_usd(report):.2f} USD",
        [
            f"From {report.start:%Y-%m-%d} to {report.end:%Y-%m-%d}, without tax:",
            "",
            f"runs: {runs}, of which {report.failed} published nothing",
            f"images computed: {report.total('images'):,.0f}",
            f"cluster hours: {report.total('cluster_hours'):.2f} ({report.total('machine_hours'):.2f} machine hours)",
            f"cost by the runs' own records: {report.total('usd'):.2f} USD",
            *_bill_lines(report.bill),
            (
                f"wasted: {report.total('wasted_usd'):.2f} USD "
                f"({report.total('idle_minutes'):.0f} idle minutes, and runs that published nothing)"
            ),
            "",
            *(f"{run.run_id}: {run.outcome}, {run.images:,} images, {run.usd:.2f} USD" for run in report.runs),
            "",
            *addresses,
        ],
    )


def _headline_usd(report: Report) -> float:
    return report.bill.usd if report.bill else report.total("usd")


def _bill_lines(bill: Bill | None) -> list[str]:
    if bill is None:
        return ["cost by AWS's bill: Cost Explorer does not tell (see docs/operations.md)"]
    note = ", still being corrected" if bill.estimated else ""
    services = [f"  {service}: {usd:.2f} USD" for service, usd in bill.usd_by_service.items()]
    return [f"cost by AWS's bill, all that has our tag: {bill.usd:.2f} USD{note}", *services]
