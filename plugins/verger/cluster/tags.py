"""The tags by which a cluster is known as ours, and by which the reaper knows when it has to go."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

#: Marks what is ours: IAM, the reaper and the cost report go by it.
OWNER_TAG = ("application", "verger")
#: AmazonEMRServicePolicy_v2 wants it.
MANAGED_POLICY_TAG = ("for-use-with-amazon-emr-managed-policies", "true")
INSTALLATION_TAG = "verger-installation"
DAG_TAG = "verger-dag"
RUN_TAG = "verger-run"
END_BY_TAG = "verger-end-by"
END_STALLED_TAG = "verger-end-stalled-minutes"
#: The longest value that a tag may have.
_LONGEST = 256
#: For a cluster whose own limit is missing or unreadable.
FALLBACK_HOURS = 12.0


def cluster_tags(
    *, installation: str, dag_id: str, run_id: str, end_by: datetime, end_stalled_minutes: int = 0
) -> dict[str, str]:
    """The tags of a run's cluster; `end_by` is when the reaper ends it whatever it does.

    After `end_stalled_minutes` without progress of its step the cluster is given up; 0 for never.
    """
    return {
        OWNER_TAG[0]: OWNER_TAG[1],
        MANAGED_POLICY_TAG[0]: MANAGED_POLICY_TAG[1],
        INSTALLATION_TAG: installation,
        DAG_TAG: dag_id[:_LONGEST],
        RUN_TAG: run_id[:_LONGEST],
        END_BY_TAG: end_by.astimezone(UTC).isoformat(timespec="seconds"),
        END_STALLED_TAG: str(end_stalled_minutes),
    }


@dataclass(frozen=True)
class OwnCluster:
    """A cluster that has our tag and still costs money.

    Attributes:
        cluster_id: EMR's id.
        name: its leased name.
        state: EMR's state.
        created_at: when it was asked for.
        installation: which installation of Verger asked for it; empty when unknown.
        dag_id: of the DAG that runs on it; empty when unknown.
        run_id: of the run; empty when unknown.
        end_by: when it has to be over.
        end_stalled_minutes: how long its step may stand still; 0 for ever.
    """

    cluster_id: str
    name: str
    state: str
    created_at: datetime
    installation: str
    dag_id: str
    run_id: str
    end_by: datetime
    end_stalled_minutes: int = 0


def own_cluster(cluster: Mapping[str, Any]) -> OwnCluster | None:
    """Read DescribeCluster's answer; None for a cluster without our tag."""
    tags = _tags(cluster.get("Tags", ()))
    if tags.get(OWNER_TAG[0]) != OWNER_TAG[1]:
        return None
    created: datetime = cluster["Status"]["Timeline"]["CreationDateTime"]
    return OwnCluster(
        cluster_id=cluster["Id"],
        name=cluster["Name"],
        state=cluster["Status"]["State"],
        created_at=created,
        installation=tags.get(INSTALLATION_TAG, ""),
        dag_id=tags.get(DAG_TAG, ""),
        run_id=tags.get(RUN_TAG, ""),
        end_by=_end_by(tags.get(END_BY_TAG, ""), created),
        end_stalled_minutes=_whole(tags.get(END_STALLED_TAG, "")),
    )


def _tags(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in tags}


def _whole(value: str) -> int:
    """A tag's number; 0 for one that is missing or unreadable, as on a cluster of an older version."""
    return int(value) if value.isascii() and value.isdigit() else 0


def _end_by(value: str, created: datetime) -> datetime:
    try:
        end_by = datetime.fromisoformat(value)
    except ValueError:
        return created + timedelta(hours=FALLBACK_HOURS)
    # A time without a zone would make every comparison fail, and with it the reaper.
    return end_by if end_by.tzinfo else end_by.replace(tzinfo=UTC)
