"""The two steps of a run, as AddJobFlowSteps takes them."""

from typing import Any

from verger.artifacts.model_store import Model
from verger.cluster.spec import NODE_PYTHON
from verger.run.settings import AUTO_K, Settings
from verger.storage.layout import RunLayout

FEATURIZE = "featurize"
PCA = "pca"
SHOW_EXECUTORS = "show_executors"


def featurize_arguments(
    settings: Settings, run: RunLayout, model: Model, *, chunk_images: int | None = None
) -> list[str]:
    """The arguments of `featurize.py` (docs/formats.md, "The jobs"); with chunks of another size than the settings'."""
    return [
        "--manifest-uri", run.run_file("manifest.parquet").uri,
        "--features-uri", run.layout.features.uri,
        "--answers-uri", run.answers.uri,
        "--model-uri", model.uri,
        "--metrics-uri", run.run_file("featurize.json").uri,
        "--run-id", run.run_id,
        "--engine", settings.engine,
        "--chunk-images", str(chunk_images or settings.chunk_images),
        "--max-reject-rate", str(settings.max_reject_rate),
        *(["--take-damaged"] if settings.take_damaged else []),
        *(["--retry-rejects"] if settings.retry_rejects else []),
    ]  # fmt: skip


def pca_arguments(settings: Settings, run: RunLayout, model: Model) -> list[str]:
    """The arguments of `pca.py` (docs/formats.md, "The jobs")."""
    wanted = ["--k", str(settings.k)] if settings.variance is None else ["--variance", str(settings.variance)]
    if settings.variance is None and settings.k == AUTO_K:
        wanted += ["--least-k", str(settings.least_k), "--most-k", str(settings.most_k)]
    return [
        "--answers-uri", run.answers.uri,
        "--features-uri", run.layout.features.uri,
        "--model-fingerprint", model.fingerprint,
        "--output-uri", run.results_uri,
        "--metrics-uri", run.run_file("pca.json").uri,
        "--run-id", run.run_id,
        *wanted,
        *(["--standardize"] if settings.standardize else []),
        *([f"--test-folder={settings.test_folder}"] if settings.test_folder else []),
    ]  # fmt: skip


def spark_step(name: str, code_uri: str, arguments: list[str]) -> dict[str, Any]:
    """A step that runs an entry point with spark-submit; a failure ends the cluster."""
    return {
        "Name": name,
        "ActionOnFailure": "TERMINATE_CLUSTER",
        "HadoopJarStep": {
            "Jar": "command-runner.jar",
            "Args": [
                "spark-submit",
                "--deploy-mode", "client",
                "--master", "yarn",
                "--name", f"verger-{name}",
                "--conf", f"spark.pyspark.python={NODE_PYTHON}",
                "--conf", f"spark.pyspark.driver.python={NODE_PYTHON}",
                "--py-files", f"{code_uri}/spark_jobs.zip",
                f"{code_uri}/{name}.py",
                *arguments,
            ],
        },
    }  # fmt: skip
