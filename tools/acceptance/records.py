"""The cost of the clusters, where the weekly report finds it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from verger.cost.run_cost import COST_FILE, RunFacts, cost_record
from verger.storage.json_objects import write_json

from tools.acceptance.orders import IMAGES
from tools.acceptance.probes import Verdict

if TYPE_CHECKING:
    from datetime import datetime

    from tools.acceptance.trial import Trial

log = logging.getLogger(__name__)

#: What `cost.json` calls the program, and what came of it: nothing is published.
DAG_ID, OUTCOME = "accept_on_aws", "acceptance"


def put_cost(trial: Trial, region: str, now: datetime) -> float:
    """Write the run's `cost.json`; US dollars, 0.0 when EMR does not say."""
    try:
        clusters = trial.keeper.budget.costs()
    except (BotoCoreError, ClientError) as error:
        log.warning("the cost is not known: %s", error)
        return 0.0
    ran = any(probe.name == "run" and probe.verdict is Verdict.AS_EXPECTED for probe in trial.probes)
    facts = RunFacts(DAG_ID, region, OUTCOME, IMAGES if ran else 0, None)
    # This program does not ask EC2 for its price history.
    record = cost_record(
        trial.run, facts, clusters, prices_as_of=trial.prices.as_of, spot_prices="typical share", now=now
    )
    if clusters:
        write_json(trial.keeper.s3, trial.run.run_file(COST_FILE), {**record, "measured": None})
    return float(record["usd"])
