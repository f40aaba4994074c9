"""`make demo`, as the person who starts it sees it: its words, its exit code, the folder with the results."""

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.e2e.installation import draw
from tools import local_stack
from tools.local_run.results import RESULT_NAMES

pytestmark = [pytest.mark.e2e, pytest.mark.spark]
PICTURES = 12


@dataclass(frozen=True)
class Demo:
    """A demo with a state folder of its own; the first one makes its model, so the order of these tests matters."""

    project: Path
    folder: Path

    @property
    def out(self) -> Path:
        """Where the results go."""
        return self.folder / "out"

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts it, without a terminal."""
        python = self.project / ".venv" / "airflow" / "bin" / "python"
        command = [str(python), "-m", "tools.demo", "--state", str(self.folder / "state"), "--out", str(self.out)]
        environment = local_stack.cleared(os.environ) | {"PYTHONPATH": f"{self.project}:{self.project / 'plugins'}"}
        return subprocess.Popen(
            [*command, *arguments],
            cwd=self.folder,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Runs it; returns the exit code, what it said and what it complained about."""
        with self.start(*arguments) as process:
            said, complained = process.communicate()
        return process.returncode, said, complained

    def processes(self) -> list[str]:
        """Command lines of processes that this demo's servers, steps and runs are."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().decode("utf-8", "replace").replace("\0", " ")
            except OSError:  # it has ended meanwhile
                continue
            if str(self.folder / "state") in words:
                found.append(words)
        return found


@pytest.fixture(scope="module")
def demo(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(project, tmp_path_factory.mktemp("a démo"))
    yield demo
    assert demo.processes() == []


#: What lies among people's pictures and is none of theirs, and in how many files.
LEFT_OUT = {".git/": 2, "label/.ipynb_checkpoints/": 1, "notes.txt": 1}
SCREENSHOT = "Screenshot 2024-05-01 at 10.00.00\u202fAM"  # as macOS names every one


@pytest.fixture(scope="module")
def pictures(demo: Demo) -> Path:
    folder = draw(demo.folder / "my pictures", PICTURES)
    for name in (".git/HEAD", ".git/objects/1.png", "label/.ipynb_checkpoints/1-checkpoint.jpg", "notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    one = min(path for path in folder.rglob("*") if path.stem.isdigit() and ".git" not in path.parts)
    one.rename(one.with_name(SCREENSHOT + one.suffix))
    return folder


@pytest.fixture(scope="module")
def first(demo: Demo, pictures: Path) -> tuple[int, str, str]:
    return demo.run("--images", str(pictures), "--k", "3")


def test_it_ends_well_with_a_matrix_and_a_terminated_cluster(demo: Demo, first: tuple[int, str, str]) -> None:
    code, said, complained = first
    assert (code, complained) == (0, ""), said
    assert {path.name for path in demo.out.iterdir()} == set(RESULT_NAMES)
    assert pq.read_table(demo.out / "matrix.parquet").num_rows == PICTURES
    assert re.search(rf"^Images +{PICTURES} \({PICTURES} computed now\)$", said, re.MULTILINE)
    assert re.search(r"^Cluster +j-\w+ TERMINATED$", said, re.MULTILINE)
    assert f"Results: {demo.out}" in said
    assert demo.processes() == []


def test_what_was_left_out_is_counted_and_named_beside_the_rejects(demo: Demo, first: tuple[int, str, str]) -> None:
    _, said, _ = first
    assert re.search(rf"^Left out +{sum(LEFT_OUT.values())}$", said, re.MULTILINE)
    assert re.search(r"^  3 +in a hidden folder, or one of a system: \.git/, label/\.ipynb_ch", said, re.MULTILINE)
    assert re.search(r"^  1 +no picture by its name: notes\.txt$", said, re.MULTILINE)
    run = json.loads((demo.out / "run.json").read_text())
    assert (run["left_out"]["files"], run["left_out"]["bucket"]["files"]) == (4, 0)
    assert "label/.ipynb_checkpoints/" in (demo.out / "report.html").read_text()
    paths = pq.read_table(demo.out / "matrix.parquet")["path"].to_pylist()
    assert sum(SCREENSHOT in path for path in paths) == 1


def test_duckdb_and_polars_read_the_demos_table(demo: Demo, first: tuple[int, str, str]) -> None:
    """Its S3 server keeps objects as files: its table is a folder. From S3 it is read in tests/docs."""
    (log,) = (demo.folder / "state" / "s3").rglob("_delta_log")
    sql = duckdb.connect().register("images", DeltaTable(log.parent).to_pyarrow_dataset())
    counted = sql.execute("SELECT outcome, count(*), count(features), count(stage) FROM images GROUP BY ALL").fetchall()
    assert counted == [("featurized", PICTURES, PICTURES, 0)], first
    labels = dict(sql.execute("SELECT label, count(*) FROM images GROUP BY ALL").fetchall())
    assert sum(labels.values()) == PICTURES
    table = pl.scan_delta(str(log.parent), use_pyarrow=True)
    assert dict(table.group_by("label").len().collect().iter_rows()) == labels
    lengths = table.select(pl.col("features").list.len().unique()).collect()
    assert lengths.to_series().to_list() == [1280]


def test_random_weights_are_told_loudly(demo: Demo, first: tuple[int, str, str]) -> None:
    weights = json.loads((demo.out / "run.json").read_text())["model"]["weights"]
    assert ("RANDOM WEIGHTS" in first[1]) is (weights == "random")


def test_again_it_says_that_nothing_is_new_and_fills_out_again(
    demo: Demo, pictures: Path, first: tuple[int, str, str]
) -> None:
    before = (demo.out / "matrix.csv").read_bytes()
    shutil.rmtree(demo.out)
    (pictures / "since then.txt").write_text("x")
    code, said, complained = demo.run("--images", str(pictures), "--k", "3")
    assert (code, complained) == (0, ""), first
    assert "Nothing new since" in said
    assert re.search(r"^Cluster +none was needed$", said, re.MULTILINE)
    assert re.search(r"^  2 +no picture by its name: notes\.txt, since then\.txt$", said, re.MULTILINE)
    assert (demo.out / "matrix.csv").read_bytes() == before


def test_ctrl_c_ends_everything_and_the_next_demo_goes_on_with_the_new_folder_alone(
    demo: Demo, pictures: Path, first: tuple[int, str, str]
) -> None:
    other = draw(demo.folder / "other", 6, seed=9)
    before = (demo.out / "matrix.csv").read_bytes()
    with demo.start("--images", str(other), "--k", "2", "--compute", "cluster") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "add_featurize_step" in line:
                break
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, complained = process.communicate()
    assert (process.returncode, complained) == (130, "Interrupted: no cluster is left. Run again to go on.\n"), first
    assert time.monotonic() - began < 120  # the run that it ends goes on for minutes
    assert demo.processes() == []
    assert (demo.out / "matrix.csv").read_bytes() == before

    code, said, complained = demo.run("--images", str(other), "--k", "2")
    assert (code, complained) == (0, ""), said
    with (demo.out / "matrix.csv").open(newline="", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 6, f"no picture of {pictures} is left"


def test_a_run_that_fails_names_the_task_the_reason_and_the_log(
    demo: Demo, pictures: Path, first: tuple[int, str, str]
) -> None:
    code, _, complained = demo.run("--images", str(pictures), "--k", "1000")
    assert code == 1, first
    lines = complained.splitlines()
    assert lines[0].startswith("verger: error: plan_run failed: k is 1000, but there are 12 images")
    assert Path(lines[-1].removeprefix("  log: ")).is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--images", "nowhere"], "IMAGES=.*nowhere: there is no such folder"),
        (["--weights", "nowhere.h5"], "WEIGHTS=.*nowhere.h5 does not exist"),
        (["--k", "many"], "K=many: give a whole number"),
    ],
)
def test_what_cannot_be_done_is_one_line_before_anything_starts(demo: Demo, arguments: list[str], words: str) -> None:
    code, said, complained = demo.run(*arguments)
    assert (code, said) == (1, "")
    assert re.fullmatch(rf"verger: error: {words}.*\n", complained)
