"""The program `prepare_model.py`, run as its users run it, and the models it makes."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
MODEL_PYTHON = PROJECT / ".venv" / "model" / "bin" / "python"


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run of a program left: its exit code and what it said."""

    code: int
    stdout: str
    stderr: str

    def result(self) -> dict[str, str]:
        """The JSON object of the last line of stdout."""
        assert self.code == 0, self.stderr
        found: dict[str, str] = json.loads(self.stdout.splitlines()[-1])
        return found


def run_model_python(*arguments: object, environment: dict[str, str] | None = None) -> Run:
    """Runs the model environment's Python."""
    if not MODEL_PYTHON.exists():
        pytest.skip("the environment `model` is not there: make .venv/model/.ready")
    done = subprocess.run(
        [MODEL_PYTHON, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **(environment or {})},
    )
    return Run(done.returncode, done.stdout, done.stderr)


def prepare(*arguments: object, environment: dict[str, str] | None = None) -> Run:
    """Runs `tools/prepare_model.py`."""
    return run_model_python(PROJECT / "tools" / "prepare_model.py", *arguments, environment=environment)


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A model in a folder, and the run that made it."""

    folder: Path
    run: Run
    fingerprint: str

    @property
    def flatbuffer(self) -> bytes:
        """The LiteRT model."""
        return (self.folder / "model.tflite").read_bytes()

    def description(self) -> dict[str, Any]:
        """What `model.json` says."""
        found: dict[str, Any] = json.loads((self.folder / "model.json").read_bytes())
        return found


def prepared(run: Run) -> Prepared:
    """The model that a run put into a folder."""
    result = run.result()
    return Prepared(Path(result["dir"]), run, result["fingerprint"])
