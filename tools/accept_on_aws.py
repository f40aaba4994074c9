"""Asks an AWS account what only it can answer: three short clusters, for less than a budget, one after the other.

A run of a hundred drawn pictures on two nodes with Spot and a step that fails; a forgotten cluster; a cluster whose
nodes have a clock. Prints what was expected and what was seen, writes it as JSON, here and in the bucket, and ends
every cluster whatever happens. docs/first-run-on-aws.md tells what to do with the answers.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

from botocore.exceptions import BotoCoreError, ClientError
from verger.cost.cluster_times import read_times
from verger.cost.reckoning import describe_estimate
from verger.prices import load_prices
from verger.run.deployment import Deployment
from verger.run.settings import Settings
from verger.storage.json_objects import json_bytes, write_json
from verger.storage.layout import BucketLayout

from tools.acceptance import preparation, report
from tools.acceptance.interruption import Interruption
from tools.acceptance.keeper import Keeper
from tools.acceptance.orders import Part, Planned, lease_of, plan
from tools.acceptance.own_end_parts import OwnEndPart
from tools.acceptance.probes import Stopped, Verdict
from tools.acceptance.records import put_cost
from tools.acceptance.run_part import RunPart
from tools.acceptance.spending import Budget, check_plan
from tools.acceptance.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from verger.cost.cluster_times import ClusterTimes
    from verger.prices import PriceTable

log = logging.getLogger("accept_on_aws")

BUDGET_USD = 2.0
GOOD, BAD, REFUSED, STOPPED = 0, 1, 2, 130


def parse_args(arguments: Sequence[str], deployment: Deployment) -> argparse.Namespace:
    """The command line; what VERGER_* says of the installation is its default."""
    parser = argparse.ArgumentParser(
        prog="accept_on_aws.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bucket", default=deployment.bucket, help="default: VERGER_BUCKET")
    parser.add_argument(
        "--region", default=deployment.region, help="of bucket and clusters, in the EU; default: VERGER_REGION"
    )
    parser.add_argument(
        "--budget", type=float, default=BUDGET_USD, metavar="USD", help="the most that it may cost (%(default)s)"
    )
    parser.add_argument("--instance-type", default=Settings.instance_type, help="of all nodes (%(default)s)")
    parser.add_argument("--release-label", default=Settings.release_label, help="EMR's release (%(default)s)")
    parser.add_argument(
        "--weights", default="", metavar="FILE", help="an .h5 file, here or on S3; default: the bucket's model"
    )
    parser.add_argument("--only", action="append", choices=list(Part), help="one part, or several: default all")
    parser.add_argument(
        "--check", action="store_true", help="check everything, say what it would cost, and create nothing"
    )
    parser.add_argument(
        "--output", type=Path, default=Path("acceptance.json"), metavar="FILE", help="the JSON (%(default)s)"
    )
    return parser.parse_args(arguments)


def plan_parts(asked: argparse.Namespace, settings: Settings, prices: PriceTable, times: ClusterTimes) -> list[Planned]:
    """The clusters that are asked for, the estimate of each on the log. Raises ValueError."""
    planned = [plan(part, settings, prices, times) for part in Part if part in (asked.only or list(Part))]
    for order in planned:
        log.info("%s:\n  %s", order.part, "\n  ".join(describe_estimate(order.estimate)))
    return planned


class Program:
    """One call of the program, from the refusals to the last look."""

    def __init__(self, asked: argparse.Namespace, deployment: Deployment) -> None:
        """Check everything; raises ValueError and botocore's errors. Nothing is created."""
        if not asked.output.absolute().parent.is_dir():
            raise ValueError(f"--output is {str(asked.output)!r}: there is no such folder; name a file in one that is")
        self.asked = asked
        self.settings = Settings(
            bucket=asked.bucket,
            region=asked.region,
            budget_usd=asked.budget,
            instance_type=asked.instance_type,
            release_label=asked.release_label,
            weights=asked.weights,
        )
        self.deployment = replace(deployment, bucket=asked.bucket, region=asked.region)
        self.clients = preparation.Clients.of(asked.region)
        self.prices = load_prices()
        regions = preparation.check(self.clients, self.settings, self.deployment, self.prices)
        log.info("regions: %s", regions)
        self.times = read_times(self.clients.s3, BucketLayout(asked.bucket))
        log.info("%s", self.times.describe())
        self.planned = plan_parts(asked, self.settings, self.prices, self.times)
        self.estimated_usd = check_plan([order.estimate for order in self.planned], asked.budget)
        log.info("all of it: at most %.2f USD; the budget is %.2f", self.estimated_usd, asked.budget)
        self.started = datetime.now(UTC)
        self.run = preparation.new_run(asked.bucket, self.started)

    def go(self) -> int:
        """Do it; the exit code."""
        interruption = Interruption()
        with interruption.handled():
            try:
                prepared = preparation.prepare(self.clients, self.settings, self.deployment, self.run)
            except Stopped as stopped:
                log.error("%s: no cluster was created", stopped)  # noqa: TRY400 -- told, not failed
                return STOPPED
            budget = Budget(self.asked.budget, self.clients.emr, self.asked.region, self.prices, self.times)
            clients = (self.clients.s3, self.clients.emr, self.clients.emr_once)
            keeper = Keeper(*clients, budget, interruption, self.deployment.poll_seconds)
            trial = Trial(
                keeper, self.deployment, self.run, prepared, self.prices, self.times, self.clients.local
            )  # fmt: skip
            stopped_by = self._try(trial)
            return self._account(trial, stopped_by)

    def _try(self, trial: Trial) -> str | None:
        """Every part, and the end of every cluster; what stopped it early, if anything did."""
        parts = [
            RunPart(trial, order) if order.part is Part.RUN else OwnEndPart(trial, order) for order in self.planned
        ]
        nothing_left = trial.probe("nothing is left", "no cluster of this program is alive", only_aws=False)
        stopped_by = None
        try:
            for part in parts:
                try:
                    part.answer()
                except Exception:  # the next cluster's answers do not depend on this one's
                    log.exception("a part came to nothing")
                trial.keeper.end_so_far(lease_of(self.deployment, self.run))
        except Stopped as stopped:
            stopped_by = str(stopped)
            log.warning("%s: ending the clusters", stopped)
        finally:
            left = trial.keeper.end_all(lease_of(self.deployment, self.run), self.run.run_id)
            nothing_left.tell(f"{', '.join(left)} may be alive: end it by hand" if left else "none", good=not left)
            for probe in trial.probes:
                probe.not_reached(stopped_by or "what it needs came to nothing: see the probes before it")
        return stopped_by

    def _account(self, trial: Trial, stopped_by: str | None) -> int:
        """Print and write what was seen; the exit code."""
        usd = put_cost(trial, self.asked.region, datetime.now(UTC))
        outcome = report.Outcome(
            run_id=self.run.run_id,
            slug=self.run.slug,
            region=self.asked.region,
            local=trial.local,
            release_label=self.settings.release_label,
            instance_type=self.settings.instance_type,
            parts=[str(order.part) for order in self.planned],
            started_at=self.started.isoformat(timespec="seconds"),
            finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
            stopped=stopped_by,
            budget_usd=self.asked.budget,
            estimated_usd=self.estimated_usd,
            usd=usd,
            startup_minutes=max(trial.startup_minutes, default=None),
            ending_minutes=trial.ending_minutes,
            clusters=trial.keeper.created,
        )
        content = outcome.to_dict(trial.probes)
        print(report.table(trial.probes))
        print(f"\ncost: {usd:.2f} USD without tax, of {self.asked.budget:.2f}; estimated {self.estimated_usd:.2f}")
        self.asked.output.write_bytes(json_bytes(content))
        address = self.run.layout.acceptance
        try:
            write_json(self.clients.s3, address, content)
        except (ClientError, BotoCoreError) as error:
            print(f"verger: error: {address.uri} could not be written: {error}", file=sys.stderr)
            return BAD
        print(json.dumps({"output": str(self.asked.output), "address": address.uri}))
        if stopped_by:
            return STOPPED
        wanted = (Verdict.AS_EXPECTED, Verdict.ONLY_AWS)
        return GOOD if all(probe.verdict in wanted for probe in trial.probes) else BAD


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """The program."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    logging.getLogger("botocore").setLevel(logging.WARNING)
    try:
        deployment = Deployment.from_environment(environment)
        asked = parse_args(arguments, deployment)
        program = Program(asked, deployment)
        return GOOD if asked.check else program.go()
    except (ValueError, ClientError, BotoCoreError, OSError) as error:
        print(f"verger: error: {' '.join(str(error).split())}", file=sys.stderr)
        return REFUSED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
