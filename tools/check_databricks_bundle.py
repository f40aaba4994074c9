"""Holds the job of `databricks.yml` against the classes that Databricks generates from the bundle's JSON schema.

Needs the packages databricks-bundles and pyyaml: `make check-databricks` brings them. A field that the schema does not
have, or a value of the wrong kind, is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml
from databricks.bundles.jobs import Job

BUNDLE = Path(__file__).resolve().parent.parent / "databricks.yml"


def main() -> int:
    """The program."""
    jobs = yaml.safe_load(BUNDLE.read_text("utf-8"))["resources"]["jobs"]
    for name, job in jobs.items():
        try:
            same = Job.from_dict(job).as_dict() == job
        except (ValueError, TypeError) as error:
            print(f"verger: error: {BUNDLE.name}, job {name}: {error}", file=sys.stderr)
            return 1
        if not same:
            print(f"verger: error: {BUNDLE.name}, job {name}: not everything in it was understood", file=sys.stderr)
            return 1
    print(f"{BUNDLE.name}: {', '.join(jobs)} as the schema has it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
