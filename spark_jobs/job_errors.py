"""How a step ends: what it refuses, what it could not do, and the exit code of each."""

import re
import sys
import traceback
from collections.abc import Callable

PREFIX = "verger: error:"


class RefusedError(ValueError):
    """An argument or an input is not acceptable; running again changes nothing. Exit code 2."""


class StepFailedError(RuntimeError):
    """The step could not do its work; the message says what to do. Exit code 1."""


class StoreUnavailableError(StepFailedError):
    """The object store kept refusing for a passing reason (throttling, timeouts) until patience ran out."""


def run_step(step: Callable[[], None]) -> int:
    """Run a step and give its exit code; whatever goes wrong ends as one last line on stderr.

    Expected errors print only that line. Anything else prints its traceback first.
    """
    try:
        step()
    except (RefusedError, StepFailedError) as error:
        return _report(str(error), exit_code_of(error))
    except Exception as error:  # noqa: BLE001 - the last line must be ours whatever went wrong
        expected = _message_from_worker(str(error))
        if expected is None:
            traceback.print_exc()
            expected = f"{type(error).__name__}: {_first_line(error)} (unexpected; the traceback is above)"
        return _report(expected, 1)
    return 0


def exit_code_of(error: RefusedError | StepFailedError) -> int:
    """2 for what was refused, 1 for anything else."""
    return 2 if isinstance(error, RefusedError) else 1


def _report(message: str, exit_code: int) -> int:
    sys.stdout.flush()
    print(f"{PREFIX} {' '.join(message.split())}", file=sys.stderr, flush=True)
    return exit_code


def _message_from_worker(text: str) -> str | None:
    """The message of an expected error raised in an executor, out of Spark's nested tracebacks."""
    names = "RefusedError|StepFailedError|StoreUnavailableError"
    found = re.search(rf"job_errors\.(?:{names}): (.+)", text)
    return found.group(1) if found else None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
