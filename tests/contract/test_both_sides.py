"""Airflow's side and Spark's side share their rules (`verger_rules`); what each still says itself agrees."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from verger.artifacts.model_store import Model
from verger.cluster import spec, steps
from verger.cluster.step_signs import StepWork, step_work
from verger.plan import components
from verger.run import settings
from verger.storage.layout import BucketLayout, RunLayout
from verger_rules.layout import chunk_folder, progress_address, run_slug, table_folder, worker_signs_folder
from verger_rules.schemas import FEATURIZED, REJECTED

from spark_jobs.pca import pca_model
from spark_jobs.place import yarn_executors
from spark_jobs.quality.number_of_components import AutoK
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
    assert got.manifest_uri == RUN.run_file("manifest.parquet")
    assert got.answers_uri == RUN.answers
    assert table_folder(got.features_uri, MODEL.fingerprint) == RUN.layout.feature_table(MODEL.fingerprint)


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
    assert table_folder(got.features_uri, got.model_fingerprint) == RUN.layout.feature_table(MODEL.fingerprint)
    assert got.output_uri.child("matrix.parquet") == RUN.result_file("matrix.parquet")
    featurize = featurize_arguments.parse_args(steps.featurize_arguments(chosen, RUN, MODEL))
    assert got.answers_uri == featurize.answers_uri


def test_the_jobs_read_how_long_they_may_wait_for_executors_from_what_the_cluster_is_told() -> None:
    assert spec.EXECUTOR_WAIT == yarn_executors.WAIT
    assert float(yarn_executors.DEFAULT_WAIT_SECONDS) == SETTINGS.executor_wait_minutes * 60


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
        assert work.progress == progress_address(RUN.run_file(name))
    table, slug = RUN.layout.feature_table(MODEL.fingerprint), run_slug(RUN.run_id)
    written = [
        worker_signs_folder(RUN.run_file("featurize.json")).child("ip-10-0-0-1-77.json"),
        *(table.child(f"{chunk_folder(outcome, slug, 12)}/0.parquet") for outcome in (FEATURIZED, REJECTED)),
    ]
    for prefix, address in zip(featurized.written, written, strict=True):
        assert address.uri.startswith(prefix.uri)
    assert RUN.result_file("matrix.parquet").uri.startswith(reduced.written[-1].uri)


def test_the_plan_knows_what_the_steps_refuse() -> None:
    arguments = featurize_arguments.parse_args(steps.featurize_arguments(SETTINGS, RUN, MODEL))
    assert arguments.max_image_bytes == components.MOST_IMAGE_BYTES
    assert components.FEWEST_IMAGES == pca_model.FEWEST_IMAGES


def test_a_number_of_components_to_be_found_reaches_the_step_with_its_bounds() -> None:
    chosen = replace(SETTINGS, k=settings.AUTO_K, least_k=3, most_k=40, test_folder="-held")
    got = pca_arguments.parse_args(steps.pca_arguments(chosen, RUN, MODEL))
    assert (got.k, got.auto, got.test_folder) == (None, AutoK(3, 40), "-held")


def test_both_sides_know_the_same_engines_and_numbers_of_components() -> None:
    assert settings.AUTO_K == pca_arguments.AUTO
    assert AutoK(SETTINGS.least_k, SETTINGS.most_k) == pca_arguments.DEFAULT_BOUNDS
    assert set(settings.ENGINES) == set(featurize_arguments.ENGINES)
    assert settings.K_BOUNDS[1] == pca_arguments.MAX_K
    assert SETTINGS.k == pca_arguments.DEFAULT_K
