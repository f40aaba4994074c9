"""Who may import whom: the table of the house, kept true."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow._shared.module_loading import find_path_from_directory

PROJECT = Path(__file__).resolve().parents[2]

#: Beside the standard library. `verger` and the like are our own packages; the sides share `verger_rules` alone.
AIRFLOW = {"airflow", "verger"}
MAY_IMPORT = {
    "dags": AIRFLOW,
    "plugins/verger_plugin.py": AIRFLOW,
    "plugins/verger_rules": {"verger_rules", "deltalake", "duckdb", "numpy", "pyarrow"},
    "plugins/verger": AIRFLOW
    | {"verger_rules"}
    | {"aiobotocore", "boto3", "botocore", "pyarrow", "mypy_boto3_s3", "mypy_boto3_emr", "mypy_boto3_sns"}
    # lists of millions: listed as Arrow, sorted and subtracted on the disk
    | {"duckdb", "obstore"}
    # the report and its plots
    | {"jinja2", "markupsafe", "matplotlib"}
    # the explorer's data
    | {"PIL", "faiss", "numpy"}
    # the app that Airflow's API server mounts, and its database
    | {"fastapi", "sqlalchemy"},
    "spark_jobs": {
        "spark_jobs", "verger_rules", "pyspark", "numpy", "PIL", "simplejpeg", "pyarrow", "obstore",
        "ai_edge_litert", "keras", "tensorflow",
    },
    "databricks_wheel": {"spark_jobs"},
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


#: The parts of our packages from what knows least to what knows all; each may import those before it, and itself.
LAYERS = {
    "verger_rules": (
        "decoder_version", "model", "innermost_cause", "instance_metadata", "csv_text", "addresses", "layout",
        "schemas", "table_error", "delta_table", "table_erasure", "row_parts", "manifest_file", "disk_database",
        "answers", "answering", "accuracy", "split", "excel_csv", "path_hashes", "unit_vectors",
    ),
    "verger": (
        "storage", "prices", "run", "sync", "plan", "arrivals", "artifacts", "cluster", "quality", "publish", "serve",
        "mail", "cost", "here", "preflight", "tasks", "plan_tasks", "housekeeping", "cluster_tasks", "place_tasks",
    ),
    "spark_jobs": ("job_errors", "store", "worker", "place", "pca", "quality", "steps", "entry_points"),
}  # fmt: skip
#: Where each package lies.
HOME = {"verger_rules": "plugins", "verger": "plugins", "spark_jobs": "."}
PARTS = [(package, part) for package, parts in LAYERS.items() for part in parts]


def imported_parts(source: str, package: str) -> Iterator[str]:
    """The parts of a package that a module imports when it runs: what is needed for its types alone does not count."""
    tree = ast.parse(source)
    for_types = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node in for_types or not node.module:
            continue
        found, _, inside = node.module.partition(".")
        if found == package:
            yield from [inside.partition(".")[0]] if inside else (alias.name for alias in node.names)


@pytest.mark.parametrize(("package", "part"), PARTS)
def test_the_parts_of_a_package_know_one_another_in_one_direction_only(package: str, part: str) -> None:
    folder = PROJECT / HOME[package] / package / part
    modules = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
    may = set(LAYERS[package][: LAYERS[package].index(part) + 1])
    wrong = {
        f"{module.name} imports {name}"
        for module in modules
        for name in imported_parts(module.read_text(encoding="utf-8"), package)
        if name not in may
    }
    assert not wrong


@pytest.mark.parametrize("package", LAYERS)
def test_every_part_of_a_package_has_its_place_in_the_order(package: str) -> None:
    inside = [path for path in (PROJECT / HOME[package] / package).iterdir() if not path.name.startswith("__")]
    parts = {path.stem for path in inside if path.is_dir() or path.suffix == ".py"}
    assert parts == set(LAYERS[package])


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # Airflow's own
def test_airflow_looks_for_plugins_in_none_of_our_packages() -> None:
    """It would run each module of theirs in every one of its processes."""
    found = {Path(path).name for path in find_path_from_directory(str(PROJECT / "plugins"), ".airflowignore", "glob")}
    assert {name for name in found if name.endswith(".py")} == {"verger_plugin.py"}


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
