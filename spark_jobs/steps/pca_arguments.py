"""The arguments of `pca.py`, checked once."""

from collections.abc import Sequence
from dataclasses import dataclass

from verger_rules.addresses import S3Address
from verger_rules.model import FEATURES

from spark_jobs.steps.argument_types import (
    JobArgumentParser,
    fingerprint,
    folder_address,
    non_empty,
    object_address,
    share,
    whole_number,
)

MAX_K = FEATURES
DEFAULT_K = 10


@dataclass(frozen=True)
class PcaArguments:
    """What a PCA step is asked to do; the fields are the command line's (docs/formats.md).

    `k` and `variance` are never both set. Both are None only with `fitted_model_uri`: then all its components.
    """

    answers_uri: S3Address
    features_uri: S3Address
    model_fingerprint: str
    output_uri: S3Address
    metrics_uri: S3Address
    run_id: str
    k: int | None
    variance: float | None
    standardize: bool
    fitted_model_uri: S3Address | None

    @property
    def requested(self) -> dict[str, int | float]:
        """What was asked for, as `pca.json` tells it."""
        if self.variance is not None:
            return {"variance": self.variance}
        return {} if self.k is None else {"k": self.k}


def parse_args(argv: Sequence[str] | None = None) -> PcaArguments:
    """Parse and check the command line (`sys.argv` when none is given).

    Raises:
        RefusedError: an argument is missing, unknown, out of bounds or contradicts another.
    """
    parser = JobArgumentParser("pca.py", "Reduce the features of a run's images to k components.")
    add = parser.add_argument
    add("--answers-uri", type=folder_address, required=True, help="folder of the run's answers")
    add("--features-uri", type=folder_address, required=True, help="root of the feature tables")
    add("--model-fingerprint", type=fingerprint, required=True)
    add("--output-uri", type=folder_address, required=True, help="folder of the results")
    add("--metrics-uri", type=object_address, required=True, help="where pca.json goes")
    add("--run-id", type=non_empty, required=True)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--k", type=whole_number(1, MAX_K), help=f"components to keep (default {DEFAULT_K})")
    size.add_argument("--variance", type=share(zero_allowed=False), help="keep as many as reach this share")
    add("--standardize", action="store_true", help="scale each feature to variance 1 first")
    add("--fitted-model-uri", type=folder_address, help="project onto this pca_model, fit nothing")
    options = vars(parser.parse_args(argv))
    if options["fitted_model_uri"] is not None and options["standardize"]:
        parser.error("--standardize cannot change a fitted model: leave it out with --fitted-model-uri")
    if options["k"] is None and options["variance"] is None and options["fitted_model_uri"] is None:
        options["k"] = DEFAULT_K
    return PcaArguments(**options)
