"""Airflow's side and Spark's side meet in paths, schemas and arguments: each declares them once, and they agree."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from verger.artifacts.model_store import Model
from verger.cluster import spec, steps
from verger.cluster.step_signs import StepWork, step_work
from verger.plan import components, feature_table, planning
from verger.run import settings
from verger.storage import layout as dag_layout
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.addresses import S3Address

from spark_jobs import decoder_column, decoder_version, schemas
from spark_jobs import layout as spark_layout
from spark_jobs.pca import pca_model
from spark_jobs.place import yarn_executors
from spark_jobs.steps import featurize_arguments, pca_arguments

SETTINGS = settings.Settings(bucket="fruits", region="eu-west-1")
RUN = RunLayout(BucketLayout("fruits"), "scheduled__2026-11-21T00:00:00+00:00")
MODEL = Model("0123456789abcdef", "s3://fruits/models/0123456789abcdef", "imagenet")


@given(
    engine=st.sampled_from(settings.ENGINES),
    chunk_images=st.integers(*settings.CHUNK_BOUNDS),
    max_reject_rate=st.floats(0, 1),
    retry_rejects=st.booleans(),
    take_damaged=st.booleans(),
)
def test_featurize_takes_the_arguments_that_the_dag_renders(
    engine: str, chunk_images: int, max_reject_rate: float, retry_rejects: bool, take_damaged: bool
) -> None:
    chosen = replace(
        SETTINGS,
        engine=engine,
        chunk_images=chunk_images,
        max_reject_rate=max_reject_rate,
        retry_rejects=retry_rejects,
        take_damaged=take_damaged,
    )
    got = featurize_arguments.parse_args(steps.featurize_arguments(chosen, RUN, MODEL))
    assert (got.engine, got.chunk_images) == (engine, chunk_images)
    assert (got.max_reject_rate, got.retry_rejects, got.take_damaged) == (max_reject_rate, retry_rejects, take_damaged)
    assert got.run_id == RUN.run_id
    assert got.manifest_uri == S3Address("fruits", f"runs/{RUN.slug}/manifest.parquet")


@given(
    k=st.integers(*settings.K_BOUNDS),
    variance=st.none() | st.floats(0, 1, exclude_min=True),
    standardize=st.booleans(),
)
def test_pca_takes_the_arguments_that_the_dag_renders(k: int, variance: float | None, standardize: bool) -> None:
    chosen = replace(SETTINGS, k=k, variance=variance, standardize=standardize)
    got = pca_arguments.parse_args(steps.pca_arguments(chosen, RUN, MODEL))
    assert (got.k, got.variance) == ((k, None) if variance is None else (None, variance))
    assert got.standardize == standardize
    assert got.model_fingerprint == MODEL.fingerprint


def test_the_jobs_read_how_long_they_may_wait_for_executors_from_what_the_cluster_is_told() -> None:
    assert spec.EXECUTOR_WAIT == yarn_executors.WAIT
    assert float(yarn_executors.DEFAULT_WAIT_SECONDS) == SETTINGS.executor_wait_minutes * 60


@given(st.text())
def test_both_sides_make_the_same_slug(run_id: str) -> None:
    assert spark_layout.run_slug(run_id) == dag_layout.run_slug(run_id)


@given(st.text(), st.integers(0, 99_999))
def test_a_commit_record_is_written_where_it_is_looked_for(run_id: str, chunk: int) -> None:
    slug = spark_layout.run_slug(run_id)
    table = spark_layout.TableLayout(S3Address("fruits", "features"), S3Address("fruits", "rejects"), MODEL.fingerprint)
    prefix = RUN.layout.commits_prefix(MODEL.fingerprint)
    assert table.commit(slug, chunk).key == f"{prefix}{spark_layout.commit_name(slug, chunk)}.json"
    assert f"{table.features.key}/" == RUN.layout.features_prefix(MODEL.fingerprint)
    assert f"{table.rejects.key}/" == RUN.layout.rejects_prefix(MODEL.fingerprint)


def test_progress_is_looked_for_where_it_is_written() -> None:
    metrics = RUN.run_file("featurize.json")
    written = spark_layout.progress_address(S3Address(metrics.bucket, metrics.key))
    assert (written.bucket, written.key) == RUN.run_file("featurize.progress.json")


def test_signs_of_work_are_looked_for_where_they_are_written() -> None:
    """From the arguments that the step was given, as EMR tells them."""
    of_featurize = steps.spark_step("featurize", "s3://fruits/code/x", steps.featurize_arguments(SETTINGS, RUN, MODEL))
    of_pca = steps.spark_step("pca", "s3://fruits/code/x", steps.pca_arguments(SETTINGS, RUN, MODEL))

    def found(step: dict[str, Any]) -> StepWork:
        status = {"State": "RUNNING", "Timeline": {"StartDateTime": datetime(2026, 11, 21, tzinfo=UTC)}}
        work = step_work({"Id": "s-1", "Name": step["Name"], "Config": step["HadoopJarStep"], "Status": status})
        assert work is not None
        return work

    featurized, reduced = found(of_featurize), found(of_pca)
    for work, name in ((featurized, "featurize.json"), (reduced, "pca.json")):
        metrics = S3Address("fruits", RUN.run_file(name).key)
        assert work.progress.uri == spark_layout.progress_address(metrics).uri
    metrics = S3Address("fruits", RUN.run_file("featurize.json").key)
    table = spark_layout.TableLayout(S3Address("fruits", "features"), S3Address("fruits", "rejects"), MODEL.fingerprint)
    written = [
        spark_layout.worker_signs_folder(metrics).child("ip-10-0-0-1-77.json"),
        table.commit(spark_layout.run_slug(RUN.run_id), 12),
    ]
    for prefix, address in zip(featurized.written, written, strict=True):
        assert address.uri.startswith(prefix.uri)
    matrix = S3Address("fruits", RUN.result_file("matrix.parquet").key)
    assert matrix.uri.startswith(reduced.written[-1].uri)


def test_the_manifest_has_one_schema() -> None:
    assert [(field.name, field.type) for field in planning.MANIFEST_SCHEMA] == [
        (field.name, field.type) for field in schemas.MANIFEST
    ]


def test_both_sides_know_the_same_version_of_the_decoder() -> None:
    """Else the plan would say that nothing is to do where the step computes everything again."""
    assert feature_table.DECODER_VERSION == decoder_version.DECODER_VERSION
    assert feature_table.UNRECORDED_DECODER == decoder_column.UNRECORDED < decoder_version.DECODER_VERSION
    assert decoder_column.DECODER in schemas.FEATURE_COLUMNS
    assert decoder_column.DECODER in schemas.REJECT_COLUMNS


def test_the_plan_knows_what_the_steps_refuse() -> None:
    arguments = featurize_arguments.parse_args(steps.featurize_arguments(SETTINGS, RUN, MODEL))
    assert arguments.max_image_bytes == components.MOST_IMAGE_BYTES
    assert components.FEWEST_IMAGES == pca_model.FEWEST_IMAGES


def test_both_sides_know_the_same_engines_and_number_of_features() -> None:
    assert set(settings.ENGINES) == set(featurize_arguments.ENGINES)
    assert settings.FEATURES == schemas.FEATURES
