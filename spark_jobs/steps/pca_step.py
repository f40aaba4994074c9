"""The PCA step from its arguments to `pca.json`."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from verger_rules.addresses import S3Address
from verger_rules.answers import as_answers, has_features
from verger_rules.layout import progress_address, table_folder
from verger_rules.model import FEATURES
from verger_rules.schemas import ANSWERS
from verger_rules.split import TEST, parts_of
from verger_rules.unit_vectors import Vectors

from spark_jobs.job_errors import RefusedError
from spark_jobs.pca.block_passes import BlockPasses, OpenPasses
from spark_jobs.pca.feature_blocks import BLOCK_IMAGES, FeatureImages
from spark_jobs.pca.pca_model import PcaModel, check_k, choose_k, fit
from spark_jobs.pca.pca_model_files import load_model, save_model
from spark_jobs.pca.pca_warnings import warnings_of
from spark_jobs.pca.results_writer import (
    matrix_rows,
    write_explained_variance,
    write_matrix,
    write_rejects,
)
from spark_jobs.place.work_place import WorkPlace
from spark_jobs.quality.judgement import judge
from spark_jobs.quality.judgement_files import write_judgement
from spark_jobs.quality.number_of_components import ChosenK, choose_auto, keeps
from spark_jobs.quality.sample import Sample, choose_sample
from spark_jobs.steps.featurize_report import Outcome
from spark_jobs.steps.pca_arguments import PcaArguments
from spark_jobs.steps.progress import StepReporter
from spark_jobs.store.answers_store import read_answers, read_group
from spark_jobs.store.object_store import StoreSettings, read_json, store_settings, write_json

#: What `featurize.json` says of a model that was made without a weights file.
RANDOM_WEIGHTS = "random"


@dataclass(frozen=True)
class PcaInput:
    """What a run's answers say.

    Attributes:
        images: those with features.
        outcome: how many of the listed images have features, and why the others have none.
    """

    images: FeatureImages
    outcome: Outcome

    def rejects(self) -> Iterator[pa.Table]:
        """The answers of the others, in path order, part by part; schema ANSWERS."""
        for group in self.images.groups:
            if group.featurized < group.rows:
                answers = as_answers(read_group(self.images.settings, group, ANSWERS.names))
                yield answers.filter(pc.invert(has_features(answers)))


def pca(args: PcaArguments, place: WorkPlace, open_passes: OpenPasses) -> None:
    """Fit (or load) the model, project every image with features, write the results, then `pca.json`.

    `open_passes` goes over the features, at `place` if there are many.

    Raises:
        RefusedError: the input, k or the fitted model is not acceptable.
        StepFailedError: an image has no answer yet, or the store fails.
    """
    started = time.monotonic()
    settings = store_settings()
    publish = partial(write_json, settings, progress_address(args.metrics_uri))
    with StepReporter("pca", args.run_id, publish, "read", place.finished) as reporter:
        report = reduced(args, settings, open_passes, reporter, started)
    write_json(settings, args.metrics_uri, report)
    reached = report["variance_reached"]
    print(f"pca: done, {report['rows']} images, {report['k']} components, {reached:.2%} of the variance", flush=True)


def reduced(
    args: PcaArguments, settings: StoreSettings, open_passes: OpenPasses, reporter: StepReporter, started: float
) -> dict[str, Any]:
    """Do the step's work, phase by phase; the content of `pca.json`."""
    given = read_input(settings, args.answers_uri, table_folder(args.features_uri, args.model_fingerprint))
    check_request(args, given)
    sample = choose_sample(given.images)
    with open_passes(given.images, f"verger pca {args.run_id}") as passes:
        read = time.monotonic()
        reporter.enter("fit")
        found, vectors = fitted_model(args, settings, passes, sample)
        fitted = time.monotonic()
        reporter.enter("judge")
        chosen = judge_and_choose(args, settings, found, sample, vectors)
        warnings = told([*warnings_of(found, chosen.k, args.variance), *split_warnings(args.test_folder, sample)])
        model = found.cut(chosen.k)
        judged = time.monotonic()
        reporter.enter("write")
        rows = write_results(args, settings, given, found, model, scored(passes, model, given.images))
    ended = time.monotonic()
    seconds = {
        "total": ended - started,
        "read": read - started,
        "fit": fitted - read,
        "judge": judged - fitted,
        "write": ended - judged,
    }
    return metrics(args, settings, given, model, rows, seconds) | {"chosen": chosen.reason, "warnings": warnings}


def read_input(settings: StoreSettings, answers_uri: S3Address, table: S3Address) -> PcaInput:
    """Read what featurize decided, part by part; `table` is the folder of the features."""
    outcome, groups = Outcome(), []
    for group, answers in read_answers(settings, answers_uri):
        outcome.add(answers)
        groups.append(group)
    print(f"pca: {outcome.listed} images listed, {outcome.featurized} with features", flush=True)
    return PcaInput(FeatureImages(settings, table, tuple(groups)), outcome)


def check_request(args: PcaArguments, given: PcaInput) -> None:
    """Refuse what cannot be done before Spark starts."""
    if given.outcome.featurized == 0:
        raise RefusedError(f"None of the {given.outcome.listed} images of the manifest has features")
    if args.fitted_model_uri is None:
        check_k(args.k, given.outcome.featurized, FEATURES)


def fitted_model(
    args: PcaArguments, settings: StoreSettings, passes: BlockPasses, sample: Sample
) -> tuple[PcaModel, Vectors]:
    """All components found in these images, or the stored model that was asked for; and the features of the sample."""
    if args.fitted_model_uri is not None:
        model = load_model(settings, args.fitted_model_uri, args.model_fingerprint)
        return model, passes.sampled(sample.numbers)
    moments, vectors = passes.moments(sample.numbers)
    return fit(moments, standardize=args.standardize), vectors


def judge_and_choose(
    args: PcaArguments, settings: StoreSettings, found: PcaModel, sample: Sample, vectors: Vectors
) -> ChosenK:
    """Judge the components, choose how many are kept, and write what was found beside `pca.json`."""
    auto = args.auto.within(found.k) if args.auto else None
    asked = (auto.least, auto.most) if auto else (choose_k(found, args.k, args.variance),)
    near = weights_of_run(args, settings) != RANDOM_WEIGHTS
    judgement = judge(found, sample, vectors, asked, args.test_folder, near=near)
    chosen = choose_auto(auto, judgement.report) if auto else ChosenK(asked[0], args.reason)
    sentence = keeps(judgement.report, chosen.k)
    report = {
        "model_fingerprint": args.model_fingerprint,
        "k": chosen.k,
        "chosen": chosen.reason,
        "sentence": sentence,
        **judgement.report,
    }
    write_judgement(settings, args.metrics_uri.parent, report, judgement.images)
    print(f"pca: {chosen.reason}", flush=True)
    print(f"pca: {sentence}", flush=True)
    return chosen


def told(warnings: list[str]) -> list[str]:
    """Say loudly what the reader of the matrix should know."""
    for warning in warnings:
        print(f"pca: WARNING: {warning}", flush=True)
    return warnings


def split_warnings(test_folder: str, sample: Sample) -> list[str]:
    """What is said of a folder of test images by which nothing is split."""
    if not test_folder or TEST in parts_of(sample.images["path"].to_pylist(), test_folder):
        return []
    said = f"of those looked at, none or all lie below a folder {test_folder!r}, which test_folder names"
    return [f"Nothing is judged as test images: {said}. Name a folder above the labels, in capitals as it is there"]


def scored(passes: BlockPasses, model: PcaModel, images: FeatureImages) -> Iterator[pa.Table]:
    """The matrix in path order, block by block: the same row groups, and so the same bytes, in any cluster."""
    named = images.read(("path", "label"), 0, len(images), BLOCK_IMAGES)
    for some, scores in zip(named, passes.scores(model), strict=True):
        yield matrix_rows(some.combine_chunks(), scores)


def write_results(
    args: PcaArguments,
    settings: StoreSettings,
    given: PcaInput,
    found: PcaModel,
    model: PcaModel,
    matrix: Iterator[pa.Table],
) -> int:
    """Write the files of `results/<slug>/` that this step owes; the rows of the matrix."""
    rows = write_matrix(settings, args.output_uri, model.k, len(given.images), matrix)
    write_explained_variance(settings, args.output_uri, found, model.k)
    write_rejects(settings, args.output_uri, given.outcome.rejected, given.rejects())
    save_model(settings, args.output_uri.child("pca_model"), model, args.model_fingerprint)
    return rows


def metrics(
    args: PcaArguments, settings: StoreSettings, given: PcaInput, model: PcaModel, rows: int, seconds: dict[str, float]
) -> dict[str, Any]:
    """The content of `pca.json`."""
    return {
        "run_id": args.run_id,
        "model_fingerprint": args.model_fingerprint,
        "weights": weights_of_run(args, settings),
        "listed": given.outcome.listed,
        "featurized": given.outcome.featurized,
        "rejected": given.outcome.rejected,
        "rows": rows,
        "k": model.k,
        "requested": args.requested,
        "variance_reached": float(model.explained_variance_ratio.sum()),
        "explained_variance_ratio": [float(share) for share in model.explained_variance_ratio],
        "explained_variance_total": total_variance(model),
        "standardize": model.standardize,
        "fitted": True if args.fitted_model_uri is None else args.fitted_model_uri.uri,
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "finished_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def total_variance(model: PcaModel) -> float:
    """The variance of all components together, kept or not."""
    share = model.explained_variance_ratio.sum()
    return float(model.explained_variance.sum() / share) if share else 0.0


def weights_of_run(args: PcaArguments, settings: StoreSettings) -> str:
    """Where the image model's weights came from, as featurize noted beside our metrics; `unknown` without its note."""
    try:
        return str(read_json(settings, args.metrics_uri.parent.child("featurize.json"))["weights"])
    except (RefusedError, KeyError):
        return "unknown"
