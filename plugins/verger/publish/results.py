"""Publishes a run's results: reconciled, described in `run.json` and a report, and only then pointed to."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.fs
from verger_rules.answers import AnswersError
from verger_rules.disk_database import DiskDatabase, disk_database
from verger_rules.manifest_file import ManifestError

from verger.plan.plan_space import PlanLimits, on_disk
from verger.plan.planning import redecoded_warning
from verger.plan.same_bytes import same_bytes_warning
from verger.publish.changes import RunBefore, describe_changes, find_run_before
from verger.publish.explorer.data import RunFiles
from verger.publish.explorer.site import publish_explorer
from verger.publish.latest_pointer import point_forward
from verger.publish.left_out import read_left_out
from verger.publish.picture_lists import choose_shown, compare_with_before, note_pictures
from verger.publish.plots import draw_accuracy, draw_map, draw_scree
from verger.publish.reconciliation import Counts, CountsDisagreeError, collect_counts, reconcile
from verger.publish.report import render_report
from verger.publish.run_description import put_run_description
from verger.publish.run_rows import RunRows, fetch_rows
from verger.publish.shown_pictures import ShownPictures, gather_shown
from verger.quality.published_quality import Quality, find_quality, summarize, write_quality
from verger.run.settings import Settings
from verger.storage.byte_objects import put_bytes
from verger.storage.json_objects import read_json
from verger.storage.layout import RunLayout
from verger.sync.source_address import shown_source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class StepOutputMissingError(RuntimeError):
    """A step ended well and yet its output is not there."""


@dataclass(frozen=True)
class StepOutputs:
    """What the steps of a run left behind."""

    plan: Mapping[str, Any]
    featurize: Mapping[str, Any]
    pca: Mapping[str, Any]
    explained_variance: list[float]
    left_out: Mapping[str, Any]


def read_outputs(s3: "S3Client", run: RunLayout) -> StepOutputs:
    """Read the metrics of a run's steps. Raises StepOutputMissingError."""

    def metrics(name: str) -> dict[str, Any]:
        address = run.run_file(name)
        found = read_json(s3, address)
        if found is None:
            raise StepOutputMissingError(f"{address.uri} is missing, though the step that writes it ended well")
        return found

    pca = metrics("pca.json")
    return StepOutputs(
        plan=metrics("plan.json"),
        featurize=metrics("featurize.json"),
        pca=pca,
        explained_variance=list(pca["explained_variance_ratio"]),
        left_out=read_left_out(s3, run),
    )


@contextmanager
def _answers_must_fit() -> Iterator[None]:
    """Raise CountsDisagreeError where a run's manifest, answers and matrix do not fit each other."""
    try:
        yield
    except (AnswersError, ManifestError) as error:
        raise CountsDisagreeError(
            f"the answers of the run do not fit: {error}. The results are not published: clear "
            "add_featurize_step, or run_here where no cluster did the work, so that both steps run again"
        ) from error


def read_rows(
    filesystem: pyarrow.fs.FileSystem, run: RunLayout, before: RunBefore | None, lists: DiskDatabase
) -> RunRows:
    """Copy the run's files that have a row for each image onto this machine's disk.

    Raises:
        StepOutputMissingError: the manifest or the matrix is missing.
        CountsDisagreeError: there are no usable answers.
    """
    try:
        with _answers_must_fit():
            return fetch_rows(filesystem, run, before.run if before else None, lists.folder)
    except FileNotFoundError as error:
        raise StepOutputMissingError(f"{error} is missing, though the step that writes it ended well") from error


@dataclass(frozen=True)
class PlaceFacts:
    """Where a run worked.

    Attributes:
        regions: of each resource.
        cluster: what DescribeCluster told of its cluster; None without one.
        here: the content of `here.json`; None when nothing was done on Airflow's machine.
    """

    regions: Mapping[str, str]
    cluster: Mapping[str, Any] | None = None
    here: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """The place in words."""
        parts = [name for name, facts in (("here", self.here), ("cluster", self.cluster)) if facts is not None]
        return ", then ".join(parts)


def describe_run(
    run: RunLayout,
    settings: Settings,
    counts: Counts,
    outputs: StepOutputs,
    *,
    place: PlaceFacts,
    published_at: str,
) -> dict[str, Any]:
    """The whole run as `run.json` holds it."""
    return {
        "format": 1,
        "run_id": run.run_id,
        "slug": run.slug,
        "published_at": published_at,
        "warnings": _warnings(outputs),
        "settings": {**asdict(settings), "source": shown_source(settings.source)},
        "counts": asdict(counts),
        "left_out": dict(outputs.left_out),
        "plan": dict(outputs.plan),
        "featurize": dict(outputs.featurize),
        "pca": dict(outputs.pca),
        "model": {"fingerprint": outputs.plan["model_fingerprint"], "weights": outputs.featurize["weights"]},
        "place": place.name,
        "cluster": dict(place.cluster) if place.cluster is not None else None,
        "here": dict(place.here) if place.here is not None else None,
        "regions": dict(place.regions),
    }


def _warnings(outputs: StepOutputs) -> list[str]:
    found = []
    if outputs.featurize["weights"] == "random":
        found.append("The model has RANDOM weights: the matrix carries no meaning.")
    found += outputs.pca.get("warnings", ())  # not in those of an earlier version, as the two below
    if again := outputs.plan.get("redecoded"):
        found.append(f"{redecoded_warning(again)}.")
    if same := outputs.plan.get("same_bytes", {}).get("images"):
        found.append(f"{same_bytes_warning(same)}; 'The run' names some.")
    return found


def describe_cluster(cluster: Mapping[str, Any]) -> dict[str, Any]:
    """What `run.json` keeps of DescribeCluster's answer."""
    timeline = cluster["Status"]["Timeline"]
    return {
        "id": cluster["Id"],
        "name": cluster["Name"],
        "release_label": cluster["ReleaseLabel"],
        "availability_zone": cluster.get("Ec2InstanceAttributes", {}).get("Ec2AvailabilityZone"),
        "state_when_published": cluster["Status"]["State"],
        "created_at": timeline["CreationDateTime"].isoformat(),
        "ready_at": timeline["ReadyDateTime"].isoformat() if "ReadyDateTime" in timeline else None,
    }


def publish(
    s3: "S3Client",
    filesystem: pyarrow.fs.FileSystem,
    run: RunLayout,
    settings: Settings,
    *,
    place: PlaceFacts,
    published_at: str,
    limits: PlanLimits,
) -> dict[str, Any]:
    """Check the counts, write the report and `run.json`, and move `latest.json` last; returns `run.json`'s content.

    A run that was planned before the one that `latest.json` points to leaves it there, and has a warning more. Lists of
    millions lie on this machine's disk, within `limits`.

    Raises CountsDisagreeError, StepOutputMissingError or DiskDatabaseError, and then leaves `latest.json` where it was.
    """
    outputs = read_outputs(s3, run)
    before = find_run_before(s3, run)
    with disk_database(on_disk(limits)) as lists:
        rows = read_rows(filesystem, run, before, lists)
        changed = compare_with_before(lists, rows)
        with _answers_must_fit():
            pictures = note_pictures(lists, rows)
            counts = reconcile(collect_counts(outputs.plan, outputs.featurize, outputs.pca, rows.rows))
            shown = gather_shown(rows, choose_shown(lists, pictures), lists.folder / "components.f32")
        quality = find_quality(s3, run, lists, rows.manifest.path, pictures, settings.test_folder)
        description = describe_run(run, settings, counts, outputs, place=place, published_at=published_at)
        description["changes"] = describe_changes(before, description, changed) if before else None
        description["quality"] = summarize(quality.report) if quality else None
        if quality:
            write_quality(s3, run, quality)
        _write_pages(s3, run, description, outputs, shown, quality)
        table = run.layout.feature_table(outputs.plan["model_fingerprint"])
        _write_explorer(s3, RunFiles(filesystem, run, table, shown, rows, quality), lists.folder)
    put_run_description(s3, run, description)
    warnings = [*description["warnings"], *point_forward(s3, run, description)]
    return {**description, "warnings": warnings}


def _write_pages(
    s3: "S3Client",
    run: RunLayout,
    description: Mapping[str, Any],
    outputs: StepOutputs,
    shown: ShownPictures,
    quality: Quality | None,
) -> None:
    scree = {kind: draw_scree(outputs.explained_variance, kind) for kind in ("svg", "png")}
    picture_map = draw_map(shown.points(), shown.of_pictures, "svg")
    accuracy = draw_accuracy(quality.report, "svg") if quality and quality.report["by_k"] else b""
    page = render_report(
        description,
        map_svg=picture_map.decode(),
        scree_svg=scree["svg"].decode(),
        quality=quality.report if quality else None,
        accuracy_svg=accuracy.decode(),
    )
    curve = run.result_file("accuracy.svg")
    if accuracy:
        put_bytes(s3, curve, accuracy, "image/svg+xml")
    else:  # an earlier publishing of the run may have drawn one
        s3.delete_object(Bucket=curve.bucket, Key=curve.key)
    put_bytes(s3, run.result_file("scree.svg"), scree["svg"], "image/svg+xml")
    put_bytes(s3, run.result_file("scree.png"), scree["png"], "image/png")
    put_bytes(s3, run.result_file("map.svg"), picture_map, "image/svg+xml")
    put_bytes(s3, run.result_file("report.html"), page.encode(), "text/html; charset=utf-8")


def _write_explorer(s3: "S3Client", files: RunFiles, folder: Path) -> None:
    try:
        publish_explorer(s3, files, folder)
    except FileNotFoundError as error:
        raise StepOutputMissingError(
            f"a file of the feature table that the run's answers name is not there any more ({error}): an erasure or a "
            "clean-up was faster. Clear add_featurize_step, or run_here where no cluster did the work: what is "
            "computed stays"
        ) from error
