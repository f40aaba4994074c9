"""A step that says which executors it got, as Spark and as YARN see them, and does nothing else.

spark-submit --py-files spark_jobs.zip show_executors.py (docs/formats.md)
"""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from pyspark import SparkContext

from spark_jobs.job_errors import run_step
from spark_jobs.place.spark_context import close_context, open_context
from spark_jobs.place.yarn_executors import Yarn, registered, request_of, wait_seconds

#: What stands before the JSON object in the step's stdout.
MARK = "verger: executors: "
_POLL_SECONDS = 0.25


def main() -> int:
    """Run the step; the exit code of docs/formats.md."""
    return run_step(show_executors)


def show_executors() -> None:
    """Print one line: MARK and a JSON object. Raises StepFailedError when no executor came in time."""
    context = open_context("show_executors")
    _wait_for_all(context)
    found: dict[str, Any] = {"executors": list(_executors(context)), "containers": [], "nodes": []}
    if context.getConf().get("spark.master", "") == "yarn":
        yarn = Yarn(context.getConf())
        found["containers"] = yarn.containers(str(context.applicationId))
        found["nodes"] = [
            {"host": node.address, "memory_mib": node.memory, "vcores": node.vcores} for node in yarn.nodes()
        ]
        yarn.close()
    print(f"{MARK}{json.dumps(found)}", flush=True)
    close_context(context)


def _wait_for_all(context: SparkContext) -> None:
    """Wait until as many executors as asked for are there, or for as long as a step waits for its first."""
    conf = context.getConf()
    if conf.get("spark.master", "") != "yarn":
        return
    end = time.monotonic() + wait_seconds(conf)
    while registered(context) < request_of(conf).executors and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)


def _executors(context: SparkContext) -> Iterator[dict[str, Any]]:
    """The executors that live, the driver not counted."""
    listed = context._jsc.sc().statusStore().executorList(True)  # noqa: SLF001 - PySpark does not offer it
    for number in range(listed.size()):
        executor = listed.apply(number)
        if executor.id() != "driver":
            host = str(executor.hostPort()).rpartition(":")[0]
            yield {"id": str(executor.id()), "host": host, "cores": int(executor.totalCores())}


if __name__ == "__main__":
    sys.exit(main())
