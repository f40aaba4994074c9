"""The featurize step from its arguments to `featurize.json`."""

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark import SparkContext

from spark_jobs.chunk_writer import ChunkJob, process_chunk
from spark_jobs.chunking import chunks
from spark_jobs.commit_records import next_chunk, read_commits
from spark_jobs.committed_rows import answering_rows, decoded_otherwise, read_table_rows, rows_to_do
from spark_jobs.compaction import Upkeep, keep_small
from spark_jobs.featurize_arguments import FeaturizeArguments
from spark_jobs.featurize_report import Outcome, StepTimes, Work, check_outcome, metrics, outcome_of
from spark_jobs.fetch import FetchLimits
from spark_jobs.image_rows import WorkLimits
from spark_jobs.infer import BroadcastModel
from spark_jobs.layout import TableLayout, progress_address, worker_signs_folder
from spark_jobs.manifest import read_manifest
from spark_jobs.model_files import Model, read_model
from spark_jobs.object_store import StoreSettings, store_settings, write_json
from spark_jobs.progress import Progress, StepReporter
from spark_jobs.spark_context import close_context, open_context, task_slots
from spark_jobs.telemetry import AddTotals, TotalsByHost, over_hosts
from spark_jobs.warm_up import warm_up

if TYPE_CHECKING:
    from pyspark.accumulators import Accumulator

# Bytes fetched ahead by one worker: with photographs of 5 MB a dozen, enough to keep one core busy for a second.
WAITING_BYTES = 64_000_000


def featurize(args: FeaturizeArguments) -> None:
    """Give every image of the manifest its row, chunk by chunk; what is committed already is not done again.

    Raises:
        RefusedError: the manifest, the model or the table is not what it must be.
        StepFailedError: the work could not be done, or too many images were rejected.
    """
    started = time.monotonic()
    settings = store_settings()
    progress = progress_address(args.metrics_uri)
    with StepReporter("featurize", args.run_id, partial(write_json, settings, progress), "read") as reporter:
        report = featurized(args, settings, reporter, started)
    write_json(settings, args.metrics_uri, report)
    print(
        f"featurize: done, {report['total_featurized']} featurized, {report['total_rejected']} rejected",
        flush=True,
    )


def featurized(
    args: FeaturizeArguments, settings: StoreSettings, reporter: StepReporter, started: float
) -> dict[str, Any]:
    """Do the step's work, phase by phase; the content of `featurize.json`."""
    model = read_model(settings, args.model_uri, args.engine)
    warn_of_random(model)
    manifest = read_manifest(settings, args.manifest_uri)
    layout = TableLayout(args.features_uri, args.rejects_uri, model.fingerprint)
    committed = read_table_rows(settings, layout)
    todo = rows_to_do(manifest, committed, args.run_id, retry_rejects=args.retry_rejects)
    print(f"featurize: {manifest.num_rows} images listed, {todo.num_rows} to do", flush=True)
    if again := decoded_otherwise(todo, committed):
        print(f"featurize: {again} of them were decoded by other rules and are computed again, once", flush=True)
    began = time.monotonic()
    work = compute(args, settings, layout, model, todo, reporter)
    computed = time.monotonic()
    reporter.enter("compact")
    keep_small(settings, layout, Upkeep(args.run_id, args.compact_above, args.grace_hours))
    reporter.enter("check")
    outcome = outcome_after(args, settings, layout, manifest)
    times = StepTimes(time.monotonic() - started, began - started, computed - began)
    report = metrics(args, model, outcome, work, times)
    check_outcome(outcome, args.max_reject_rate)
    return report


def compute(
    args: FeaturizeArguments,
    settings: StoreSettings,
    layout: TableLayout,
    model: Model,
    todo: pa.Table,
    reporter: StepReporter,
) -> Work:
    """Compute and commit what is to do, chunk by chunk."""
    if todo.num_rows == 0:
        return Work({}, 0, 0.0)
    reporter.enter("start")
    spark = open_context(f"verger featurize {args.run_id}")
    try:
        totals = spark.accumulator({}, AddTotals())
        job = chunk_job(args, settings, layout, model, spark, totals)
        warm_up(spark, job.model, job.slots)
        first = next_chunk(read_commits(settings, layout), args.run_id)
        began = time.monotonic()
        reporter.enter("compute", lambda: progress_of(totals, todo.num_rows, time.monotonic() - began))
        cut = list(chunks(todo, args.chunk_images))
        for number, images in enumerate(cut, first):
            process_chunk(job, number, images)
        return Work(totals.value, len(cut), time.monotonic() - began)
    finally:
        close_context(spark)


def chunk_job(
    args: FeaturizeArguments,
    settings: StoreSettings,
    layout: TableLayout,
    model: Model,
    spark: SparkContext,
    totals: "Accumulator[TotalsByHost]",
) -> ChunkJob:
    """What every chunk of this step shares; the model is broadcast here."""
    fetch = FetchLimits(args.fetch_threads, WAITING_BYTES, args.max_image_bytes)
    content = spark.broadcast(model.content)
    return ChunkJob(
        spark=spark,
        settings=settings,
        layout=layout,
        signs=worker_signs_folder(args.metrics_uri),
        run_id=args.run_id,
        model=BroadcastModel(model.fingerprint, model.engine, args.batch_size, content),
        limits=WorkLimits(fetch, args.max_pixels, args.take_damaged, args.batch_size),
        totals=totals,
        slots=task_slots(spark),
    )


def outcome_after(
    args: FeaturizeArguments, settings: StoreSettings, layout: TableLayout, manifest: pa.Table
) -> Outcome:
    """How the manifest is answered now."""
    committed = read_table_rows(settings, layout)
    return outcome_of(settings, answering_rows(manifest, committed, args.run_id), committed)


def warn_of_random(model: Model) -> None:
    """Say loudly that features of random weights mean little."""
    if model.weights == "random":
        print("featurize: WARNING: this model has RANDOM weights: the features say little about the images")


def progress_of(totals: "Accumulator[TotalsByHost]", images: int, seconds: float) -> Progress:
    """How far the workers are; what a lost node makes Spark compute again is counted once."""
    together = over_hosts(totals.value)
    return Progress(min(int(together.get("images", 0)), images), images, int(together.get("rejected", 0)), seconds)
