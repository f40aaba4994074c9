"""Who may import whom: the table of the house, kept true."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

#: Beside the standard library. `verger` and the like are our own packages.
AIRFLOW = {"airflow", "verger"}
MAY_IMPORT = {
    "dags": AIRFLOW,
    "plugins/verger_plugin.py": AIRFLOW,
    "plugins/verger": AIRFLOW
    | {"aiobotocore", "boto3", "botocore", "pyarrow", "mypy_boto3_s3", "mypy_boto3_emr", "mypy_boto3_sns"}
    # the report and its plots
    | {"jinja2", "markupsafe", "matplotlib"},
    "spark_jobs": {
        "spark_jobs", "pyspark", "numpy", "PIL", "pyarrow", "obstore", "ai_edge_litert", "keras", "tensorflow",
    },
    "local_emr": {"local_emr", "moto", "boto3", "botocore", "flask", "werkzeug"},
}  # fmt: skip


def imported_packages(source: str) -> Iterator[str]:
    """The top-level packages that a module imports, wherever in it the import stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def modules_of(place: str) -> list[Path]:
    path = PROJECT / place
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_a_folder_imports_only_what_the_table_allows(place: str) -> None:
    allowed = MAY_IMPORT[place] | sys.stdlib_module_names
    modules = modules_of(place)
    assert modules, f"{place} holds no module"
    forbidden = {
        f"{module.relative_to(PROJECT)} imports {package}"
        for module in modules
        for package in imported_packages(module.read_text(encoding="utf-8"))
        if package not in allowed
    }
    assert not forbidden


def test_an_import_inside_a_function_counts() -> None:
    assert list(imported_packages("def f():\n    from pyspark.sql import Row\n    import a.b\n")) == ["pyspark", "a"]


@pytest.mark.parametrize("word", ["utils", "util", "helpers", "helper", "common", "manager", "misc"])
def test_no_module_has_a_name_that_says_nothing(word: str) -> None:
    ours = [place for place in PROJECT.iterdir() if place.is_dir() and not place.name.startswith(".")]
    found = [
        path
        for place in ours
        for path in place.rglob("*.py")
        if word in path.stem.split("_") and "node_modules" not in path.parts
    ]
    assert not found
