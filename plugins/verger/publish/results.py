"""Publishes a run's results: reconciled, described in `run.json` and a report, and only then pointed to."""

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.answers import AnswersError

from verger.plan.frozen_list import read_manifest
from verger.plan.planning import redecoded_warning
from verger.plan.same_bytes import same_bytes_warning
from verger.publish.answers import check_paths, read_answers
from verger.publish.changes import RunBefore, describe_changes, find_run_before, read_changed_images
from verger.publish.explorer.data import RunFiles
from verger.publish.explorer.site import publish_explorer
from verger.publish.latest_pointer import point_forward
from verger.publish.left_out import read_left_out
from verger.publish.plots import draw_map, draw_scree
from verger.publish.reconciliation import Counts, CountsDisagreeError, collect_counts, reconcile
from verger.publish.report import render_report
from verger.publish.run_description import put_run_description
from verger.run.settings import Settings
from verger.storage.json_objects import read_json
from verger.storage.layout import RunLayout
from verger.sync.source_address import shown_source

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


#: What the explorer shows of a manifest's images, and what finds their answers.
_LISTED = ["path", "etag", "size"]


class StepOutputMissingError(RuntimeError):
    """A step ended well and yet its output is not there."""


@dataclass(frozen=True)
class StepOutputs:
    """What the steps of a run left behind."""

    plan: Mapping[str, Any]
    featurize: Mapping[str, Any]
    pca: Mapping[str, Any]
    matrix: pa.Table
    explained_variance: list[float]
    left_out: Mapping[str, Any]


def read_outputs(s3: "S3Client", filesystem: pyarrow.fs.FileSystem, run: RunLayout) -> StepOutputs:
    """Read the metrics, and of the matrix what the report shows (path, label and the first two components)."""

    def metrics(name: str) -> dict[str, Any]:
        address = run.run_file(name)
        found = read_json(s3, address)
        if found is None:
            raise StepOutputMissingError(f"{address.uri} is missing, though the step that writes it ended well")
        return found

    matrix = run.result_file("matrix.parquet")
    with filesystem.open_input_file(f"{matrix.bucket}/{matrix.key}") as stream:
        file = pq.ParquetFile(stream)
        shown = [name for name in ("path", "label", "pc_1", "pc_2") if name in file.schema_arrow.names]
        table = file.read(columns=shown)
    pca = metrics("pca.json")
    return StepOutputs(
        plan=metrics("plan.json"),
        featurize=metrics("featurize.json"),
        pca=pca,
        matrix=table,
        explained_variance=list(pca["explained_variance_ratio"]),
        left_out=read_left_out(s3, run),
    )


@dataclass(frozen=True)
class StepInputs:
    """What a run was asked for, and what became of each image.

    Attributes:
        manifest: columns path, etag, size.
        answers: schema ANSWERS.
    """

    manifest: pa.Table
    answers: pa.Table


def read_inputs(filesystem: pyarrow.fs.FileSystem, run: RunLayout, matrix: pa.Table) -> StepInputs:
    """Read a run's manifest and its answers, and check them and the matrix against each other, path by path.

    Raises:
        StepOutputMissingError: the manifest is missing.
        CountsDisagreeError: there are no usable answers, or an image has none, or several.
    """
    manifest = read_manifest(filesystem, run.run_file("manifest.parquet"), _LISTED)
    if manifest is None:
        raise StepOutputMissingError(f"{run.run_file('manifest.parquet').uri} is missing, though the plan wrote it")
    try:
        answers = read_answers(filesystem, run)
        check_paths(answers, manifest, matrix)
    except AnswersError as error:
        raise CountsDisagreeError(
            f"the answers of the run do not fit: {error}. The results are not published: clear "
            "add_featurize_step, or run_here where no cluster did the work, so that both steps run again"
        ) from error
    return StepInputs(manifest, answers)


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
) -> dict[str, Any]:
    """Check the counts, write the report and `run.json`, and move `latest.json` last; returns `run.json`'s content.

    A run that was planned before the one that `latest.json` points to leaves it there, and has a warning more.
    Raises CountsDisagreeError or StepOutputMissingError, and then leaves `latest.json` where it was.
    """
    outputs = read_outputs(s3, filesystem, run)
    inputs = read_inputs(filesystem, run, outputs.matrix)
    counts = reconcile(collect_counts(outputs.plan, outputs.featurize, outputs.pca, outputs.matrix.num_rows))
    description = describe_run(run, settings, counts, outputs, place=place, published_at=published_at)
    before = find_run_before(s3, run)
    description["changes"] = _changes(filesystem, run, before, description)
    _write_pages(s3, run, description, outputs)
    _write_explorer(s3, filesystem, run, before, outputs, inputs)
    put_run_description(s3, run, description)
    warnings = [*description["warnings"], *point_forward(s3, run, description)]
    return {**description, "warnings": warnings}


def _changes(
    filesystem: pyarrow.fs.FileSystem, run: RunLayout, before: RunBefore | None, description: Mapping[str, Any]
) -> dict[str, Any] | None:
    if before is None:
        return None
    return describe_changes(before, description, read_changed_images(filesystem, before.run, run))


def _write_pages(s3: "S3Client", run: RunLayout, description: Mapping[str, Any], outputs: StepOutputs) -> None:
    scree = {kind: draw_scree(outputs.explained_variance, kind) for kind in ("svg", "png")}
    picture_map = draw_map(outputs.matrix, "svg")
    page = render_report(description, map_svg=picture_map.decode(), scree_svg=scree["svg"].decode())
    _put(s3, run.result_file("scree.svg"), scree["svg"], "image/svg+xml")
    _put(s3, run.result_file("scree.png"), scree["png"], "image/png")
    _put(s3, run.result_file("map.svg"), picture_map, "image/svg+xml")
    _put(s3, run.result_file("report.html"), page.encode(), "text/html; charset=utf-8")


def _write_explorer(
    s3: "S3Client",
    filesystem: pyarrow.fs.FileSystem,
    run: RunLayout,
    before: RunBefore | None,
    outputs: StepOutputs,
    inputs: StepInputs,
) -> None:
    earlier = read_manifest(filesystem, before.run.run_file("manifest.parquet"), _LISTED) if before else None
    table = run.layout.feature_table(outputs.plan["model_fingerprint"])
    try:
        publish_explorer(s3, RunFiles(filesystem, run, table, inputs.answers, inputs.manifest, earlier))
    except FileNotFoundError as error:
        raise StepOutputMissingError(
            f"a file of the feature table that the run's answers name is not there any more ({error}): an erasure or a "
            "clean-up was faster. Clear add_featurize_step, or run_here where no cluster did the work: what is "
            "computed stays"
        ) from error


def _put(s3: "S3Client", address: S3Address, body: bytes, content_type: str) -> None:
    s3.put_object(Bucket=address.bucket, Key=address.key, Body=io.BytesIO(body), ContentType=content_type)
