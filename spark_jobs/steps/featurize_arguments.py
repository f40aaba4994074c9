"""The arguments of `featurize.py`, checked once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from verger_rules.addresses import S3Address

from spark_jobs.steps.argument_types import (
    JobArgumentParser,
    folder_address,
    non_empty,
    object_address,
    share,
    whole_number,
)

ENGINES = ("litert", "keras")
#: For the lists of a step, of any length: ten million images and rows were compared within it (docs/review.md).
LIST_MEMORY_MIB = 512


@dataclass(frozen=True)
class FeaturizeArguments:
    """What a featurize step is asked to do; the fields are the command line's (docs/formats.md)."""

    manifest_uri: S3Address
    features_uri: S3Address
    answers_uri: S3Address
    model_uri: S3Address
    metrics_uri: S3Address
    run_id: str
    engine: str
    batch_size: int
    chunk_images: int
    fetch_threads: int
    max_reject_rate: float
    max_pixels: int
    max_image_bytes: int
    take_damaged: bool
    retry_rejects: bool
    compact_above: int
    grace_hours: int
    work_folder: Path
    list_memory_mib: int


def parse_args(argv: Sequence[str] | None = None) -> FeaturizeArguments:
    """Parse and check the command line (`sys.argv` when none is given).

    Raises:
        RefusedError: an argument is missing, unknown or out of bounds.
    """
    parser = JobArgumentParser("featurize.py", "Turn the images of a manifest into rows of the feature table.")
    add = parser.add_argument
    add("--manifest-uri", type=object_address, required=True, help="the frozen list of images")
    add("--features-uri", type=folder_address, required=True, help="root of the feature tables")
    add("--answers-uri", type=folder_address, required=True, help="folder of the run's answers")
    add("--model-uri", type=folder_address, required=True, help="folder of model.json and model.tflite")
    add("--metrics-uri", type=object_address, required=True, help="where featurize.json goes")
    add("--run-id", type=non_empty, required=True)
    add("--engine", choices=ENGINES, default="litert", help="keras is the slow reference")
    add("--batch-size", type=whole_number(1, 256), default=1, help="1 is the fastest: it fits the cache")
    add("--chunk-images", type=whole_number(1, 1_000_000), default=20_000, help="images of one commit")
    add("--fetch-threads", type=whole_number(1, 256), default=16, help="reads in flight per worker")
    add("--max-reject-rate", type=share(zero_allowed=True), default=0.05)
    add("--max-pixels", type=whole_number(1, 1_000_000_000), default=100_000_000)
    add("--max-image-bytes", type=whole_number(1, 2_000_000_000), default=100_000_000)
    add("--take-damaged", action="store_true", help="JPEGs that are damaged inside or cut off count as far as they go")
    add("--retry-rejects", action="store_true", help="try the rejects of earlier runs again")
    add("--compact-above", type=whole_number(1, 1_000_000), default=200, help="small files that may pile up")
    add("--grace-hours", type=whole_number(0, 8760), default=24, help="how long readers may need merged files")
    add("--work-folder", type=Path, default=Path(), help="of this machine, for lists that its memory could not hold")
    add("--list-memory-mib", type=whole_number(128, 1_000_000), default=LIST_MEMORY_MIB, help="memory for these lists")
    return FeaturizeArguments(**vars(parser.parse_args(argv)))
