"""DAGs whose runs end in a moment, with the operator that the real one publishes with."""

from typing import Any

from airflow.sdk import Param, dag, get_current_context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from verger.serve.publish_operator import PublishResultsOperator
from verger.serve.run_note import SUMMARY_KEY, summarize
from verger.serve.tab import file_path, tab_path
from verger.storage.layout import BucketLayout, RunLayout


def publish() -> str:
    """Ends as the run's params say."""
    context = get_current_context()
    params, run_id, dag_id = context["params"], str(context["run_id"]), context["ti"].dag_id
    if params["end"] == "skipped":
        raise AirflowSkipException
    if params["end"] == "failed":
        raise AirflowFailException("as it was told")
    description: dict[str, Any] = {
        "counts": {"featurized": 148, "rejected": 2},
        "left_out": {"files": 4},
        "pca": {"k": 10, "variance_reached": 0.8312},
        "warnings": ["The model has RANDOM weights: the matrix carries no meaning."],
        "changes": {"images": {"added": 3, "changed": 1, "gone": 0}},
    }
    told = summarize(description, tab=tab_path(dag_id, run_id), picture=file_path(dag_id, run_id, "map.svg"))
    context["ti"].xcom_push(key=SUMMARY_KEY, value=told)
    return RunLayout(BucketLayout(params["published_in"]), run_id).results_uri


for name in ("small", "secret"):

    @dag(
        dag_id=name,
        schedule=None,
        params={"end": Param("success"), "bucket": Param("", type="string"), "published_in": Param("fruits-tab")},
    )
    def small_run() -> None:
        """One task."""
        PublishResultsOperator(task_id="publish_results", python_callable=publish)

    small_run()
