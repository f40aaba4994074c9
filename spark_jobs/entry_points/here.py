"""Both steps one after the other on this machine, in a pool of processes: for what needs no cluster.

python here.py --processes 2 --stop-after 600 -- featurize --manifest-uri s3://... -- pca ... (docs/formats.md)
"""

import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass

# One thread each for the model and the matrix products, here and in the workers, and before numpy is imported: a core
# is a worker's, and the eigenvectors have the same bits on any number of cores.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"

from spark_jobs.job_errors import RefusedError, run_step
from spark_jobs.pca.block_passes import block_passes
from spark_jobs.place.process_pool import ProcessPlace
from spark_jobs.place.time_limit import TimeLimit
from spark_jobs.steps.argument_types import JobArgumentParser, whole_number
from spark_jobs.steps.featurize_arguments import FeaturizeArguments
from spark_jobs.steps.featurize_arguments import parse_args as featurize_arguments
from spark_jobs.steps.featurize_step import featurize
from spark_jobs.steps.pca_arguments import PcaArguments
from spark_jobs.steps.pca_arguments import parse_args as pca_arguments
from spark_jobs.steps.pca_step import pca

#: What stands between the arguments of the program and those of each step.
SEPARATOR = "--"


@dataclass(frozen=True)
class HereArguments:
    """What is asked for.

    Attributes:
        processes: how many work at the images.
        stop_after: seconds after which it stops at the next commit; what is left is for another place.
        nice: how much the processes give way to others.
        end_with_stdin: whether the end of stdin ends the program: whoever started it has died then.
        featurize, pca: the steps' own.
    """

    processes: int
    stop_after: int
    nice: int
    end_with_stdin: bool
    featurize: FeaturizeArguments
    pca: PcaArguments


def parse_args(argv: Sequence[str]) -> HereArguments:
    """Parse and check the command line.

    Raises:
        RefusedError: an argument of the program or of a step is not acceptable.
    """
    own, steps = _split(argv)
    parser = JobArgumentParser("here.py", "Do both steps of a run on this machine.")
    parser.add_argument("--processes", type=whole_number(1, 1024), required=True)
    parser.add_argument("--stop-after", type=whole_number(0, 1_000_000), required=True, help="seconds")
    parser.add_argument("--nice", type=whole_number(0, 19), default=10, help="how much it gives way to others")
    parser.add_argument("--end-with-stdin", action="store_true", help="end when whoever holds our stdin has ended")
    options = parser.parse_args(own)
    return HereArguments(
        **vars(options), featurize=featurize_arguments(steps["featurize"]), pca=pca_arguments(steps["pca"])
    )


def _split(argv: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    parts: list[list[str]] = [[]]
    for word in argv:
        if word == SEPARATOR:
            parts.append([])
        else:
            parts[-1].append(word)
    steps = {part[0]: part[1:] for part in parts[1:] if part}
    if set(steps) != {"featurize", "pca"} or len(parts) != len(steps) + 1:
        raise RefusedError("here.py: write its own arguments, then -- featurize ARGUMENTS, then -- pca ARGUMENTS")
    return parts[0], steps


def run(args: HereArguments) -> None:
    """Do both steps. Raises what they raise."""
    limit = TimeLimit(args.stop_after)
    place = ProcessPlace(args.processes)
    featurize(args.featurize, place, limit)
    limit.check("the features are computed, the components are not")
    pca(args.pca, place, block_passes)


def begin(argv: Sequence[str]) -> None:
    """Give way to others, as asked, and do both steps. Raises what they raise."""
    args = parse_args(argv)
    os.nice(args.nice)
    if args.end_with_stdin:
        threading.Thread(target=_end_with_stdin, name="parent watch", daemon=True).start()
    run(args)


def _end_with_stdin() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def main() -> int:
    """Run both steps; the exit code of docs/formats.md."""
    return run_step(lambda: begin(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
