"""Both steps in one process and one context that is not theirs, as the tasks of a Databricks job run."""

import importlib
import sys

import pytest
from pyspark import SparkConf, SparkContext

from spark_jobs.pca import spark_passes
from spark_jobs.place.spark_context import KEEP_CONTEXT
from tests.spark_jobs.job_world import PROJECT, JobWorld, many_jpegs


@pytest.mark.spark
@pytest.mark.usefixtures("spark_ready")
def test_two_tasks_share_a_context_that_outlives_them(world: JobWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROJECT / "databricks_wheel"))
    monkeypatch.setattr(spark_passes, "DRIVER_IMAGES", 0)  # so few images would need no Spark
    tasks = importlib.import_module("verger_tasks")
    world.put_images(many_jpegs(9))
    context = SparkContext.getOrCreate(SparkConf().setAppName("the cluster's own").set(KEEP_CONTEXT, "true"))
    try:
        monkeypatch.setattr(sys, "argv", ["featurize", *world.featurize_arguments()])
        tasks.featurize()
        monkeypatch.setattr(sys, "argv", ["pca", *world.pca_arguments("--k", "2")])
        tasks.pca()
        assert context.parallelize(range(3)).count() == 3
    finally:
        context.stop()
    assert world.get_json("runs/r/featurize.json")["featurized"] == 9
    assert world.get_table("results/r/matrix.parquet").num_rows == 9
