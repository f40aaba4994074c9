"""Draws the diagrams of the documents from their text: docs/diagrams/*.dot to *.svg beside them.

The picture of the DAG comes from Airflow itself: `airflow dags show` writes docs/diagrams/fruits_features.dot.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.documents.drawing import draw
from tools.local_run.airflow_home import AirflowHome, AirflowHomeError

PROJECT = Path(__file__).resolve().parents[1]
DIAGRAMS = PROJECT / "docs" / "diagrams"
DAG = "fruits_features"
SHOWN = re.compile(r"^digraph .*", re.DOTALL | re.MULTILINE)


def dag_as_text(home: Path) -> str:
    """The DAG as Airflow shows it; raises AirflowHomeError or subprocess.CalledProcessError."""
    airflow = AirflowHome(home / "airflow", PROJECT, Path(sys.executable))
    environment = {**os.environ, **airflow.environment()}
    log = home / "airflow.log"
    airflow.migrate(environment, log)
    # What `dags show` shows is what the database holds.
    _airflow(environment, "dags", "reserialize")
    shown = SHOWN.search(_airflow(environment, "dags", "show", DAG))
    if shown is None:
        raise AirflowHomeError(f"`airflow dags show {DAG}` showed no graph")
    return f"// Written by `airflow dags show {DAG}`; `make diagrams` writes it again.\n{shown.group().strip()}\n"


def _airflow(environment: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "airflow", *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--without-dag", action="store_true", help="leave the DAG's text as it is: a minute less")
    asked = parser.parse_args()
    if not asked.without_dag:
        try:
            with tempfile.TemporaryDirectory() as home:
                (DIAGRAMS / f"{DAG}.dot").write_text(dag_as_text(Path(home)), "utf-8")
        except subprocess.CalledProcessError as error:
            print(f"verger: error: {' '.join(error.cmd)}: {error.stderr.strip()[-1000:]}", file=sys.stderr)
            return 1
        except AirflowHomeError as error:
            print(f"verger: error: {error}", file=sys.stderr)
            return 1
    for source in sorted(DIAGRAMS.glob("*.dot")):
        picture = source.with_suffix(".svg")
        picture.write_text(draw(source.read_text("utf-8")), "utf-8")
        print(picture.relative_to(PROJECT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
