"""What the programs that measure have in common: a clock, an end that cleans up, and a result as JSON and Markdown."""

from __future__ import annotations

import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from tools.benchmarks.measured_process import BenchError
from tools.local_run.processes import ServerError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Result = dict[str, Any]


def run_study(
    name: str, output: Path, measure: Callable[[Callable[[str], None]], Result], as_markdown: Callable[[Result], str]
) -> int:
    """Measure, write `<name>.json` and `<name>.md` into a folder and print the latter; the exit code.

    `measure` gets a function that says what it is at; its BenchError, ServerError or OSError becomes one line.
    """
    # Ended from outside, it still ends what it started.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{(time.monotonic() - started) / 60:5.1f} min] {text}", flush=True)

    try:
        result = measure(say)
        output.mkdir(parents=True, exist_ok=True)
        page = as_markdown(result)
        (output / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", "utf-8")
        (output / f"{name}.md").write_text(page, "utf-8")
    except (BenchError, ServerError, OSError) as error:
        print(f"verger: error: {error}", file=sys.stderr)
        return 1
    print(page)
    print(f"written to {output / name}.json and {name}.md beside it")
    return 0
