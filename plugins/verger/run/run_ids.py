"""Which run ids Verger keeps for itself: in the bucket it goes by them, and by names beside them, as for a run."""

import re

from verger.run.settings import SettingError, shown

#: Run ids of programs that write to the bucket as a run does: tools/accept_on_aws.py and the notebook. Each may have
#: something behind it.
OWN_BEGINNINGS = ("acceptance__", "walkthrough")
#: What lies beside the runs' own folders and records under `runs/`, `results/` and `features/`.
OWN_NAMES = frozenset({"_delta_log", "_temporary", "latest", "latest.json"})
#: The folders of the feature tables have names of this form.
_FOLDER = re.compile(r"(model|outcome)=")
_NOT_IN_A_PATH = re.compile(r"[^A-Za-z0-9._=-]")


def check_run_id(run_id: str) -> None:
    """Raise SettingError for a run id that is called like something of Verger's own, or would be in a path.

    Capitals do not count: servers that keep objects as files may not tell Latest.json from latest.json.
    """
    plain = _NOT_IN_A_PATH.sub("-", run_id.strip()).casefold()
    if not plain or plain in OWN_NAMES or plain.startswith(OWN_BEGINNINGS) or _FOLDER.match(plain):
        raise SettingError(
            f"the run id is {shown(run_id)}: Verger keeps that name for itself in the bucket; trigger with another "
            "run id, or leave it to Airflow"
        )
