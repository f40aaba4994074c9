"""The arguments of `pca.py`, checked once."""

from collections.abc import Sequence
from dataclasses import dataclass

from verger_rules.addresses import S3Address
from verger_rules.model import FEATURES

from spark_jobs.quality.number_of_components import AutoK
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
AUTO = "auto"
DEFAULT_BOUNDS = AutoK(2, 100)
_COMPONENTS = whole_number(1, MAX_K)


@dataclass(frozen=True)
class PcaArguments:
    """What a PCA step is asked to do; the fields are the command line's (docs/formats.md).

    At most one of `k`, `auto` and `variance` is set. None of them is only with `fitted_model_uri`: then all its
    components.
    """

    answers_uri: S3Address
    features_uri: S3Address
    model_fingerprint: str
    output_uri: S3Address
    metrics_uri: S3Address
    run_id: str
    k: int | None
    auto: AutoK | None
    variance: float | None
    standardize: bool
    fitted_model_uri: S3Address | None
    test_folder: str

    @property
    def requested(self) -> dict[str, int | float | str]:
        """What was asked for, as `pca.json` tells it."""
        if self.auto is not None:
            return {"k": AUTO, "least_k": self.auto.least, "most_k": self.auto.most}
        if self.variance is not None:
            return {"variance": self.variance}
        return {} if self.k is None else {"k": self.k}

    @property
    def reason(self) -> str:
        """Why the number of components is what it is, unless it is chosen from the images."""
        if self.variance is not None:
            return f"the fewest components that reach {self.variance:.2%} of the variance were asked for"
        return "all components of the stored model" if self.k is None else f"{self.k:,} components were asked for"


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
    size.add_argument("--k", type=_number_or_auto, help=f"components to keep, or {AUTO} (default {DEFAULT_K})")
    size.add_argument("--variance", type=share(zero_allowed=False), help="keep as many as reach this share")
    add("--standardize", action="store_true", help="scale each feature to variance 1 first")
    add("--fitted-model-uri", type=folder_address, help="project onto this pca_model, fit nothing")
    add("--least-k", type=_COMPONENTS, default=DEFAULT_BOUNDS.least, help="the fewest that --k auto may keep")
    add("--most-k", type=_COMPONENTS, default=DEFAULT_BOUNDS.most, help="the most that --k auto may keep")
    add("--test-folder", default="", help="folder of the images that the others judge (default: Test beside Training)")
    options = vars(parser.parse_args(argv))
    bounds = AutoK(options.pop("least_k"), options.pop("most_k"))
    if bounds.least > bounds.most:
        parser.error(f"--least-k {bounds.least} is more than --most-k {bounds.most}: lower it or raise the other")
    options["auto"] = bounds if options["k"] == AUTO else None
    if options["auto"]:
        options["k"] = None
    if options["fitted_model_uri"] is not None and options["standardize"]:
        parser.error("--standardize cannot change a fitted model: leave it out with --fitted-model-uri")
    if all(options[name] is None for name in ("k", "auto", "variance", "fitted_model_uri")):
        options["k"] = DEFAULT_K
    return PcaArguments(**options)


def _number_or_auto(text: str) -> int | str:
    return AUTO if text == AUTO else _COMPONENTS(text)
