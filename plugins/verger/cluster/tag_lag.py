"""A new cluster's tags, by which IAM lets its maker see it, may reach EMR a while after the cluster."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient

log = logging.getLogger(__name__)

#: Seconds between looks: two and a half minutes in all. AWS states no bound for tags; its own tools wait for seconds.
PAUSES = (1, 2, 5, 10, 20, 20, 30, 30, 30)
_DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})


class NotShownError(RuntimeError):
    """A cluster was made and its maker may not look at it."""


def is_denied(error: ClientError) -> bool:
    """Whether IAM refused a call."""
    return error.response["Error"]["Code"] in _DENIED


@contextmanager
def shown_later(made: Callable[[], str | None]) -> Iterator[None]:
    """Pass over a refusal after something was made (`made` gives its id): it exists, and can be seen later.

    The provider's operator asks for the new cluster's log folder right after RunJobFlow.
    """
    try:
        yield
    except ClientError as error:
        if made() is None or not is_denied(error):
            raise
        log.info("%s is made, and EMR does not show it yet: %s", made(), error)


def wait_until_shown(emr: "EMRClient", cluster_id: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """Wait until a cluster may be described, which a policy that goes by tags allows once the tags are there.

    Raises NotShownError after two and a half minutes of refusals.
    """
    for pause in (*PAUSES, None):
        try:
            emr.describe_cluster(ClusterId=cluster_id)
        except ClientError as error:
            if not is_denied(error):
                raise
            if pause is None:
                raise NotShownError(
                    f"cluster {cluster_id} was made, and DescribeCluster is still refused after {sum(PAUSES)} s: allow"
                    " elasticmapreduce:DescribeCluster for clusters with the tag application=verger"
                    f" (infra/template.yaml, RunMarkedClusters): {error}"
                ) from error
            log.info("cluster %s is not shown yet, its tags may lag: looking again in %s s", cluster_id, pause)
            sleep(pause)
        else:
            return
