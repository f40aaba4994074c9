"""The notebook: it runs from its first cell to its last, shows what it says, and repeats nothing of the jobs."""

import ast
import json
import re
import subprocess
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
NOTEBOOK = PROJECT / "notebooks" / "walkthrough.ipynb"
PYTHON = PROJECT / ".venv/notebook/bin/python"
PLOTS = 6
#: It runs in a minute and a half; beside six other jobs, it took eleven.
pytestmark = pytest.mark.timeout(2400)
#: What Java, Spark and LiteRT say when they start.
STARTING = re.compile(r"incubator modules|log4j|[Ll]og level|setLogLevel|NativeCodeLoader|XNNPACK")


class Executed:
    """A notebook with its outputs."""

    def __init__(self, path: Path) -> None:
        self.cells: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]

    @cached_property
    def outputs(self) -> list[dict[str, Any]]:
        return [output for cell in self.cells for output in cell.get("outputs", [])]

    @cached_property
    def printed(self) -> str:
        return "".join("".join(output["text"]) for output in self.outputs if output.get("name") == "stdout")

    @cached_property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(next(line for line in self.printed.splitlines() if line.startswith('{"')))
        return found


def run(out: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [PYTHON, PROJECT / "tools/walkthrough.py", "run", "--out", out, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """The notebook run on drawn pictures, with the ImageNet weights where they are beside the project."""
    out = tmp_path_factory.mktemp("walkthrough") / "executed.ipynb"
    weights = PROJECT.parent / "shared/weights/mobilenet_v2_1.0_224_no_top.weights.h5"
    done = run(out, *(("--weights", weights) if weights.is_file() else ()))
    assert done.returncode == 0, done.stderr
    return Executed(out)


@pytest.mark.spark
def test_every_picture_gets_its_row_and_the_counts_agree(executed: Executed) -> None:
    summary = executed.summary
    # 240 drawn pictures, six broken files, one picture under a wrong name and one lying on its side.
    assert (summary["listed"], summary["featurized"], summary["rejected"]) == (248, 242, 6)
    assert summary["matrix_rows"] == 242
    assert "248 listed = 242 featurized + 6 rejected" in executed.printed
    assert "0 of 248 pictures left to compute" in executed.printed


@pytest.mark.spark
def test_a_task_carries_a_thousandth_with_the_broadcast(executed: Executed) -> None:
    sizes = executed.summary["bytes_of_a_task"]
    assert sizes["without"] > 8_000_000
    assert sizes["with_broadcast"] < 2_000


@pytest.mark.spark
def test_the_sums_give_what_numpy_gives_from_the_vectors_and_sparks_own_covariance(executed: Executed) -> None:
    """All of it is arithmetic in float64 on the same vectors: rounding stays below 1e-12, whatever the processor.

    What Spark ML's PCA makes of the covariance is shown and not tested: it depends on the last digits of the features
    (docs/spark-ml-pca.md).
    """
    assert executed.summary["same_bits"]
    assert executed.summary["covariance_apart_from_spark"] < 1e-10
    assert executed.summary["apart_from_numpy"]["shares"] < 1e-10
    assert executed.summary["apart_from_numpy"]["smallest_cosine"] > 1 - 1e-6


@pytest.mark.spark
def test_spark_mls_shares_are_shown_beside_what_is_right(executed: Executed) -> None:
    assert executed.summary["spark_ml_shares_apart"] >= 0
    shown = executed.printed
    assert shown.index("Spark ML says:") < shown.index("its components have:") < shown.index("right is:")


@pytest.mark.spark
def test_more_variance_takes_more_components_and_ten_keep_the_labels_apart(executed: Executed) -> None:
    chosen = list(executed.summary["k"].values())
    assert chosen == sorted(chosen)
    assert 1 <= chosen[0] < chosen[-1] < 242
    if executed.summary["weights"] == "random":
        pytest.skip("random weights: neighbours mean nothing")
    own_label = executed.summary["own_label"]
    assert own_label["components, 2"] < own_label["components, 10"]
    assert min(own_label["features"], own_label["components, 10"]) > 0.9


@pytest.mark.spark
def test_it_shows_its_plots_and_no_warning(executed: Executed) -> None:
    assert sum("image/png" in output.get("data", {}) for output in executed.outputs) == PLOTS
    told = "".join("".join(output["text"]) for output in executed.outputs if output.get("name") == "stderr")
    assert not [line for line in told.splitlines() if not STARTING.search(line)]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [(["--images", "no such folder"], "IMAGES=no such folder"), (["--weights", "none.h5"], "WEIGHTS=none.h5")],
)
def test_input_that_is_not_there_is_refused_in_one_line(tmp_path: Path, arguments: list[str], complaint: str) -> None:
    done = run(tmp_path / "out.ipynb", *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("verger: error: ")
    assert complaint in done.stderr
    assert not (tmp_path / "out.ipynb").exists()


def test_it_is_committed_without_outputs() -> None:
    code = [cell for cell in Executed(NOTEBOOK).cells if cell["cell_type"] == "code"]
    dirty = [cell["id"] for cell in code if cell["outputs"] or cell["execution_count"] is not None]
    assert not dirty, "run make clear-notebook"


def test_it_imports_the_jobs_and_defines_nothing_of_its_own() -> None:
    cells = Executed(NOTEBOOK).cells
    source = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    nodes = list(ast.walk(ast.parse(source)))
    assert not [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda)]
    imported = {node.module.partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    assert "spark_jobs" in imported
    assert not imported & {"verger", "tools", "local_emr", "airflow"}
