"""How a step ends: what it refuses, what it could not do, and the exit code of each."""

import os
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

from verger_rules.innermost_cause import innermost_cause
from verger_rules.table_error import TableError

PREFIX = "verger: error:"


class RefusedError(ValueError):
    """An argument or an input is not acceptable; running again changes nothing. Exit code 2."""


class MissingObjectError(RefusedError):
    """An object that should be there is not."""


class StepFailedError(RuntimeError):
    """The step could not do its work; the message says what to do. Exit code 1."""


class CutOffError(StepFailedError):
    """The step cannot end in this place: its time is over, or its memory; what it committed counts. Exit code 3."""


class StoreUnavailableError(StepFailedError):
    """The object store kept refusing for a passing reason (throttling, timeouts) until patience ran out."""


def run_step(step: Callable[[], None]) -> int:
    """Run a step and give its exit code; whatever goes wrong ends as one last line on stderr.

    Expected errors print only that line. Anything else prints its traceback first.
    """
    try:
        step()
    except (RefusedError, StepFailedError, TableError) as error:
        return _report(str(error), exit_code_of(error))
    except Exception as error:  # noqa: BLE001 - the last line must be ours whatever went wrong
        expected = error_from_worker(str(error))
        if expected is not None:
            return _report(str(expected), exit_code_of(expected))
        told = traceback.format_exc()
        print(told, end="", file=sys.stderr)
        cause = innermost_cause(told) or f"{type(error).__name__}: {_first_line(error)}"
        return _report(f"{cause} (unexpected; the traceback is in the log)", 1)
    return 0


def exit_code_of(error: RefusedError | StepFailedError | TableError) -> int:
    """2 for what was refused, 3 for what was cut off, 1 for anything else."""
    if isinstance(error, CutOffError):
        return 3
    return 2 if isinstance(error, RefusedError) else 1


def _report(message: str, exit_code: int) -> int:
    line = f"{PREFIX} {' '.join(message.split())}"
    sys.stdout.flush()
    print(line, file=sys.stderr, flush=True)
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        _print_from_jvm(line)
    return exit_code


def _print_from_jvm(line: str) -> None:
    """Under spark-submit our stderr lands in its stdout (PythonRunner joins the two): its stderr is the JVM's."""
    from pyspark import SparkContext  # noqa: PLC0415 - this module is imported where there is no Spark

    try:
        SparkContext._ensure_initialized()  # noqa: SLF001 - the public ways to the JVM start a Spark application
        jvm: Any = SparkContext._jvm  # noqa: SLF001 - the same
        jvm.java.lang.System.err.println(line)
    except Exception as error:  # noqa: BLE001 - a dead JVM must not hide what went wrong
        print(f"(the JVM did not take the line above: {type(error).__name__})", flush=True)


def error_from_worker(text: str) -> RefusedError | StepFailedError | None:
    """The expected error raised in an executor, out of Spark's nested tracebacks."""
    found = re.search(r"job_errors\.(?:(Refused|MissingObject)|StepFailed|StoreUnavailable)Error: (.+)", text)
    if found is None:
        return None
    return RefusedError(found.group(2)) if found.group(1) else StepFailedError(found.group(2))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no message"
