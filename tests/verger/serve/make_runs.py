"""Makes Airflow's database and a run of each kind in it; prints their run ids as one JSON object."""

import json
import os
import sys

from airflow import settings
from airflow.dag_processing.dagbag import DagBag
from airflow.models.dagrun import DagRun
from airflow.sdk import DAG
from airflow.utils.db import initdb
from airflow.utils.session import create_session
from sqlalchemy import select

#: What a run does unless its own conf says otherwise. Given each time: `dag.test` keeps the conf of the run before.
USUAL = {"end": "success", "bucket": "", "published_in": "fruits-tab"}
#: What is run, by a name: the DAG, and the run's conf.
RUNS: dict[str, tuple[str, dict[str, str]]] = {
    "published": ("small", {"bucket": "fruits-tab"}),
    "secret": ("secret", {}),
    "failed": ("small", {"end": "failed"}),
    "skipped": ("small", {"end": "skipped"}),
    "elsewhere": ("small", {"bucket": "fruits-tab", "published_in": "somebody-elses"}),
    "gone": ("small", {"bucket": "no-such-bucket", "published_in": "no-such-bucket"}),
    "running": ("small", {"end": "failed"}),
}


def main() -> None:
    """Run them all."""
    output = os.dup(1)
    os.dup2(2, 1)  # what Airflow prints is no JSON
    initdb()
    bag = DagBag(settings.DAGS_FOLDER)
    ids = {name: run(bag.dags[dag_id], conf) for name, (dag_id, conf) in RUNS.items()}
    with create_session() as session:
        still = session.scalar(select(DagRun).where(DagRun.run_id == ids["running"]))
        assert still
        still.state = "running"
    os.write(output, json.dumps(ids).encode())
    os.close(output)


def run(dag: DAG, conf: dict[str, str]) -> str:
    """Run a DAG once; returns its run id."""
    return str(dag.test(run_conf=USUAL | conf).run_id)


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # Airflow's in-process API server takes seconds to end in good order
