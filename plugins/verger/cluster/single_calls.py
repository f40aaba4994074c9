"""Calls that must not be done twice, to an API that has no client tokens: RunJobFlow and AddJobFlowSteps."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError  # noqa: A004 -- botocore's

log = logging.getLogger(__name__)

#: Seconds between attempts. EMR may list a new cluster a moment late.
PAUSES = (5, 10, 20, 40)
_THROTTLED = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"})
_SERVER_ERROR = 500
Made = TypeVar("Made")


def may_pass(error: Exception) -> bool:
    """Whether a call that failed like this may come through later, or has come through without our knowing it."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= _SERVER_ERROR or error.response["Error"]["Code"] in _THROTTLED
    return isinstance(error, HTTPClientError | ConnectionError)


def make_once(
    find: Callable[[], Made | None],
    make: Callable[[], Made],
    *,
    pauses: Sequence[float] = PAUSES,
    sleep: Callable[[float], None] = time.sleep,
) -> Made:
    """Have something made once: before every attempt look whether it is there, made by an attempt that was cut off.

    Args:
        find: what was made before; None when there is nothing.
        make: makes it, with a client that does not itself repeat a call (`aws_clients.ONE_ATTEMPT`).
        pauses: seconds to wait after the first, the second, ... attempt that failed.
        sleep: waits.

    Returns:
        What was found or made. The last attempt's error is raised, and at once one that would come again.
    """
    for pause in (*pauses, None):
        found = find()
        if found is not None:
            log.warning("%s is there already: taking it", found)
            return found
        try:
            return make()
        except (BotoCoreError, ClientError) as error:
            if pause is None or not may_pass(error):
                raise
            log.warning("no answer, or none that counts (%s): looking again in %s s", error, pause)
            sleep(pause)
    raise AssertionError("the last attempt returns or raises")
