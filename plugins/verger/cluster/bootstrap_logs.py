"""Reads what a failed bootstrap action wrote to its stderr, which EMR keeps by node and not by step.

https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-manage-view-web-log-files.html:
`<log folder>/<cluster>/node/<instance>/bootstrap-actions/<n>/stderr.gz`.
"""

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from verger_rules.addresses import S3Address

from verger.cluster.step_logs import log_root, read_log

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: EMR's code for a cluster that ended because of a bootstrap action (ClusterStateChangeReasonCode).
BOOTSTRAP_FAILURE = "BOOTSTRAP_FAILURE"
#: EMR's sentence names the node and the action: "On the master instance (i-0f), bootstrap action 1 returned a ...".
_INSTANCE = re.compile(r"\bi-[0-9a-zA-Z]+\b")
_ACTION = re.compile(r"bootstrap action (\d+)", re.IGNORECASE)
_KEY = re.compile(r".*/node/([^/]+)/bootstrap-actions/(\d+)/stderr\.gz", re.DOTALL)
_COMPLAINT = re.compile(r"\berror\b[: ]", re.IGNORECASE)


class BootstrapLog(NamedTuple):
    """What a bootstrap action wrote to its stderr, and where that lies."""

    address: S3Address
    text: str


def may_have_a_log(reason: Mapping[str, Any]) -> bool:
    """Whether a cluster's StateChangeReason is that of a bootstrap action that ran: one not fetched wrote nothing."""
    return reason.get("Code") == BOOTSTRAP_FAILURE and "download" not in reason.get("Message", "")


def last_complaint(text: str) -> str:
    """The last line that speaks of an error, else the last line; empty for an empty log."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    complaints = [line for line in lines if _COMPLAINT.search(line)]
    return (complaints or lines or [""])[-1]


def find_bootstrap_log(s3: "S3Client", log_uri: str, cluster_id: str, message: str) -> BootstrapLog | None:
    """The stderr of the action and node that EMR's message names, else the first one that has any words.

    None while there is none in the log folder.
    """
    root = log_root(log_uri)
    instances, actions = set(_INSTANCE.findall(message)), set(_ACTION.findall(message))
    prefix = f"{root.key}/{cluster_id}/node/".lstrip("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=root.bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
    logs = [found for key in keys if (found := _KEY.fullmatch(key))]
    named = [log for log in logs if log[1] in instances and (not actions or log[2] in actions)]
    for log in named or logs:
        address = S3Address(root.bucket, log[0])
        content = read_log(s3, address)
        if content and content.text.strip():
            return BootstrapLog(address, content.text)
    return None


def wait_for_bootstrap_log(
    look: Callable[[], BootstrapLog | None],
    *,
    patience_seconds: float,
    poll_seconds: float,
    sleep: Callable[[float], None] = time.sleep,
) -> BootstrapLog | None:
    """Look until there is a log, and once more for its end; None after `patience_seconds` without one."""
    found = None
    for _ in range(max(1, int(patience_seconds / poll_seconds))):
        before, found = found, look()
        if found is not None and (_COMPLAINT.search(found.text) or found == before):
            break
        sleep(poll_seconds)
    return found
