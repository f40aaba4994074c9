"""The featurize step from its arguments to `featurize.json`."""

import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from verger_rules.answering import Answering
from verger_rules.answers import AnswersError
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TablePlace, live_files, next_chunk, open_table, version_of
from verger_rules.layout import progress_address, run_slug, table_folder, worker_signs_folder

from spark_jobs.job_errors import StepFailedError
from spark_jobs.place.time_limit import NO_LIMIT, TimeLimit
from spark_jobs.place.work_place import Workers, WorkPlace
from spark_jobs.steps.chunk_writer import ChunkJob, process_chunk
from spark_jobs.steps.featurize_arguments import FeaturizeArguments
from spark_jobs.steps.featurize_report import Outcome, StepTimes, Work, check_outcome, metrics
from spark_jobs.steps.manifest import read_manifest
from spark_jobs.steps.model_files import Model, read_model
from spark_jobs.steps.progress import Progress, StepReporter
from spark_jobs.steps.table_upkeep import Upkeep, keep_small
from spark_jobs.steps.todo_list import TodoList, write_todo
from spark_jobs.steps.warm_up import warm_up
from spark_jobs.store.answers_store import write_answers
from spark_jobs.store.list_database import list_database
from spark_jobs.store.object_store import StoreSettings, store_settings, write_json
from spark_jobs.store.table_store import column_reader, table_place
from spark_jobs.worker.fetch import FetchLimits
from spark_jobs.worker.infer import SharedModel
from spark_jobs.worker.partition_work import WorkLimits
from spark_jobs.worker.telemetry import TotalsByHost, over_hosts

# Bytes fetched ahead by one worker: with photographs of 5 MB a dozen, enough to keep one core busy for a second.
WAITING_BYTES = 64_000_000
# So often another try of the same run may be faster with a chunk.
ROUNDS = 5


@dataclass(frozen=True)
class Working:
    """Where a step works: the store, the place that has the workers, and for how long."""

    settings: StoreSettings
    place: WorkPlace
    limit: TimeLimit


def featurize(args: FeaturizeArguments, place: WorkPlace, limit: TimeLimit = NO_LIMIT) -> None:
    """Give every image of the manifest its row, chunk by chunk; what is committed already is not done again.

    Raises:
        RefusedError: the manifest, the model or the table is not what it must be.
        StepFailedError: the work could not be done, or too many images were rejected.
        CutOffError: the time was over before the last chunk.
    """
    started = time.monotonic()
    settings = store_settings()
    publish = partial(write_json, settings, progress_address(args.metrics_uri))
    with StepReporter("featurize", args.run_id, publish, "read", place.finished) as reporter:
        report = featurized(args, Working(settings, place, limit), reporter, started)
    write_json(settings, args.metrics_uri, report)
    print(
        f"featurize: done, {report['total_featurized']} featurized, {report['total_rejected']} rejected",
        flush=True,
    )


def featurized(args: FeaturizeArguments, working: Working, reporter: StepReporter, started: float) -> dict[str, Any]:
    """Do the step's work, phase by phase; the content of `featurize.json`."""
    settings = working.settings
    model = read_model(settings, args.model_uri, args.engine)
    warn_of_random(model)
    with list_database(args.work_folder, args.list_memory_mib) as database:
        manifest = read_manifest(settings, args.manifest_uri, database.folder)
        answering = Answering(database, manifest, run_slug(args.run_id))
        table = table_place(settings, table_folder(args.features_uri, model.fingerprint))
        version = version_of(open_table(table))
        lists = Lists(settings, table, answering, database.folder)
        todo = lists.todo(args)
        print(f"featurize: {manifest.images} images listed, {todo.images} to do", flush=True)
        if again := answering.decoded_otherwise(retry_rejects=args.retry_rejects):
            print(f"featurize: {again} of them were decoded by other rules and are computed again, once", flush=True)
        began = time.monotonic()
        work = compute(args, working, model, lists, todo, reporter)
        computed = time.monotonic()
        reporter.enter("compact")
        keep_small(table, Upkeep(args.compact_above, args.grace_hours), version)
        reporter.enter("check")
        outcome = decide(args, lists)
    times = StepTimes(time.monotonic() - started, began - started, computed - began)
    report = metrics(args, model, outcome, work, times)
    check_outcome(outcome, args.max_reject_rate)
    return report


@dataclass(frozen=True)
class Lists:
    """The manifest and the table's keys, compared on this machine's disk."""

    settings: StoreSettings
    table: TablePlace
    answering: Answering
    folder: Path

    def compare(self) -> None:
        """Find which row answers each image, of those that readers see now. Raises TableError, StepFailedError."""
        files = live_files(open_table(self.table))
        self.answering.read_keys(files, column_reader(self.settings, self.table.folder))
        self.answering.decide()

    def todo(self, args: FeaturizeArguments) -> TodoList:
        """The images that no row of the table answers now. Raises what `compare` does."""
        self.compare()
        images = self.answering.unanswered(retry_rejects=args.retry_rejects)
        return write_todo(self.folder / "todo.parquet", images, args.chunk_images)


def compute(
    args: FeaturizeArguments, working: Working, model: Model, lists: Lists, todo: TodoList, reporter: StepReporter
) -> Work:
    """Compute and commit what is to do, chunk by chunk."""
    if todo.images == 0:
        return Work({}, 0, 0.0)
    reporter.enter("start")
    with working.place.open(f"verger featurize {args.run_id}") as workers:
        job = chunk_job(args, working.settings, lists.table, model, workers)
        warm_up(workers, job.model)
        began = time.monotonic()
        images = todo.images
        reporter.enter("compute", lambda: progress_of(workers.totals, images, time.monotonic() - began))
        count = 0
        for _ in range(ROUNDS):
            committed, whole = process_chunks(job, todo, working.limit)
            count += committed
            if not whole:
                todo = lists.todo(args)
            if whole or todo.images == 0:
                return Work(workers.totals, count, time.monotonic() - began)
        raise StepFailedError(
            f"another try of run {args.run_id} computes the same images: wait until it has ended, then run again"
        )


def process_chunks(job: ChunkJob, todo: TodoList, limit: TimeLimit) -> tuple[int, bool]:
    """Commit images chunk by chunk: how many chunks count, and whether these are all.

    Where another try of this run committed a chunk meanwhile, ours of that number does not count, and what is left to
    do is no longer what it was.

    Raises:
        CutOffError: the time is over, and there are chunks left.
    """
    first = next_chunk(open_table(job.place), job.slug)
    for number in range(todo.chunks):
        limit.check(f"{todo.chunks - number} of {todo.chunks} chunks are not computed yet; those that are count")
        if not process_chunk(job, first + number, todo.chunk(number)):
            print(f"featurize: another try of this run was faster with chunk {first + number}", flush=True)
            return number, False
    return todo.chunks, True


def chunk_job(
    args: FeaturizeArguments, settings: StoreSettings, table_at: TablePlace, model: Model, workers: Workers
) -> ChunkJob:
    """What every chunk of this step shares; the workers get the model here."""
    fetch = FetchLimits(args.fetch_threads, WAITING_BYTES, args.max_image_bytes)
    content = workers.share(model.content)
    return ChunkJob(
        workers=workers,
        settings=settings,
        place=table_at,
        signs=worker_signs_folder(args.metrics_uri),
        slug=run_slug(args.run_id),
        model=SharedModel(model.fingerprint, model.engine, args.batch_size, content),
        limits=WorkLimits(fetch, args.max_pixels, args.take_damaged, args.batch_size),
    )


def decide(args: FeaturizeArguments, lists: Lists) -> Outcome:
    """Write which row answers each image of the manifest, decided here and nowhere else, and count them.

    Raises:
        StepFailedError: an image has no answer.
    """
    lists.compare()
    outcome = Outcome()
    try:
        write_answers(lists.settings, args.answers_uri, outcome.counting(lists.answering.answers()))
    except AnswersError as error:
        raise StepFailedError(f"{error} (decoder {DECODER_VERSION}): run again") from error
    return outcome


def warn_of_random(model: Model) -> None:
    """Say loudly that features of random weights mean little."""
    if model.weights == "random":
        print("featurize: WARNING: this model has RANDOM weights: the features say little about the images")


def progress_of(totals: TotalsByHost, images: int, seconds: float) -> Progress:
    """How far the workers are; what a lost node makes Spark compute again is counted once."""
    together = over_hosts(totals)
    return Progress(min(int(together.get("images", 0)), images), images, int(together.get("rejected", 0)), seconds)
