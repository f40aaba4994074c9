"""Getting slow beginnings over with, side by side, before the first image is asked for.

The Python workers import their packages and load the model in seconds, a good part of a short step.
"""

from functools import partial

import spark_jobs.worker.partition_work  # noqa: F401 -- a worker that imports us imports all that its loop needs
from spark_jobs.place.work_place import Workers
from spark_jobs.worker.decode import prepare_pillow
from spark_jobs.worker.infer import SharedModel, engine_of_worker
from spark_jobs.worker.telemetry import Totals


def warm_up(workers: Workers, model: SharedModel) -> None:
    """Return when the workers hold the model."""
    workers.hand_out(partial(_load, model), workers.slots)


def _load(model: SharedModel, _: int) -> tuple[None, Totals]:
    prepare_pillow()
    engine_of_worker(model)
    return None, {}
