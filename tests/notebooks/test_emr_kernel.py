"""The kernel that the notebook gets on an EMR cluster, made here by the same script."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from verger.cluster.spec import NODE_PYTHON

PROJECT = Path(__file__).resolve().parents[2]
SCRIPT = PROJECT / "notebooks/emr_kernel.sh"
SPARK = PROJECT / ".venv/spark/lib/python3.11/site-packages/pyspark"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """A folder that plays a node's: the bootstrap action's Python, the code, requirements of no package."""
    node = tmp_path / "opt"
    (node / "venv/bin").mkdir(parents=True)
    (node / "venv/bin/python").symlink_to(PROJECT / ".venv/spark/bin/python")
    (tmp_path / "code").mkdir()
    (tmp_path / "code/spark_jobs.zip").write_bytes(b"zip")
    (tmp_path / "requirements.txt").write_text("# none\n")
    return node


def make_kernel(node: Path, *more: str | Path) -> subprocess.CompletedProcess[str]:
    here = node.parent
    command: list[str | Path] = [
        *("bash", SCRIPT, "--requirements", here / "requirements.txt", "--code", here / "code", "--bucket", "fruits"),
        *("--region", "eu-west-1", "--prefix", node, "--spark-home", SPARK, "--kernels", here / "kernels", *more),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def test_the_kernel_runs_the_nodes_python_and_ships_the_jobs(node: Path) -> None:
    model = "s3://fruits/models/0123456789abcdef"
    done = make_kernel(node, "--model", model)
    assert done.returncode == 0, done.stderr
    kernel = json.loads((node.parent / "kernels/verger/kernel.json").read_text())
    assert Path(kernel["argv"][0]).is_file()
    variables = kernel["env"]
    assert variables["PYSPARK_SUBMIT_ARGS"].split("--py-files ")[1] == f"{node}/spark_jobs.zip pyspark-shell"
    assert "--master yarn --deploy-mode client" in variables["PYSPARK_SUBMIT_ARGS"]
    assert (variables["VERGER_BUCKET"], variables["AWS_REGION"], variables["VERGER_MODEL_URI"]) == (
        "fruits",
        "eu-west-1",
        model,
    )
    imports = "import json, os; import py4j; print(os.path.dirname(py4j.__file__))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": variables["PYTHONPATH"]}
    found = subprocess.run(
        [kernel["argv"][0], "-c", imports], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.startswith(str(SPARK / "python/lib/py4j-"))
    assert make_kernel(node).returncode == 0


def test_on_a_cluster_it_is_the_python_that_the_steps_run_on() -> None:
    assert f"prefix={Path(NODE_PYTHON).parents[2]} " in SCRIPT.read_text("utf-8")


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--region", ""], "--region is missing"),
        (["--prefix", "/nowhere"], "needs Verger's bootstrap action"),
        (["--spark-home", "/nowhere"], "is no Spark"),
        (["--regoin", "x"], "unknown argument --regoin"),
    ],
)
def test_what_is_missing_is_said(node: Path, more: list[str], complaint: str) -> None:
    done = make_kernel(node, *more)
    assert done.returncode == 1
    assert complaint in done.stderr
    assert not (node.parent / "kernels").exists()
