"""The measurements run, and say what they claim to; how fast anything is, no test asserts."""

import itertools
import json
import math
import os
import subprocess
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import perf_counter

import pytest

from tools.benchmarks.comparison import per_image_seconds
from tools.benchmarks.measured_process import BenchError, run_measured
from tools.benchmarks.tables import MEANINGS, costs_table
from tools.local_run import processes

KEYS = ("featurize_vs_keras_udf", "featurize_vs_bare_loop_all_cores", "featurize_slow_s3_vs_fast_s3", "pca_vs_spark_ml")


@pytest.mark.spark
@pytest.mark.timeout(1500)
def test_a_quick_bench_measures_everything(project: Path, tmp_path: Path) -> None:
    python = project / ".venv" / "airflow" / "bin" / "python"
    if not (project / ".venv" / "bench" / ".ready").exists():
        pytest.skip("the environment `bench` is not there: make .venv/bench/.ready")
    done = subprocess.run(
        [python, "-m", "tools.bench", "--quick", "--output", tmp_path],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f"{project}:{project / 'plugins'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "bench.json").read_bytes())
    assert result["quick"]
    for key in KEYS:
        assert result[key] > 0
    assert all(math.isfinite(result[key]) for key in MEANINGS)
    figures = result["figures"]
    for way in ("ours", "keras_udf", "keras_udf_tuned"):
        assert figures["whole_job"][way][0]["rows"] == 48, way
    # Told, not tested: with so few rows, Spark ML's shares may be wrong (docs/spark-ml-pca.md).
    assert figures["pca"]["largest_relative_difference_of_explained_variance"] >= 0
    assert figures["whole_job"]["ours"][0]["peak_mib"] > 100
    assert "the numbers mean nothing" in (tmp_path / "bench.md").read_text()


class _Answer(BaseHTTPRequestHandler):
    """Answers every GET with its path."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        content = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def test_the_slow_proxy_passes_everything_on_and_makes_each_answer_wait(project: Path, tmp_path: Path) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.executable, "-m", "tools.benchmarks.slow_proxy", "--to", f"127.0.0.1:{server.server_port}"]
    proxy = processes.start(
        "the proxy",
        [*command, "--milliseconds", "60"],
        {"PATH": os.environ["PATH"], "PYTHONPATH": str(project)},
        tmp_path / "proxy.log",
    )
    try:
        port = proxy.wait_until(lambda log: log.partition("listening on ")[2].strip() or None, 120)
        started = perf_counter()
        for path in ("/one", "/two%20three"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                assert answer.read().decode() == path
        assert perf_counter() - started >= 0.12
    finally:
        proxy.stop()
        server.shutdown()
        server.server_close()


def test_the_costs_of_a_table_are_those_of_the_rows_that_were_asked_for(project: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tools.benchmarks.table_costs", "--rows", "3000", "--runs", "3"]
    environment = {**os.environ, "PYTHONPATH": f"{project}:{project / 'plugins'}"}
    run = run_measured("table costs", [*command, "--folder", str(tmp_path)], environment, tmp_path / "log")
    costs = run.result()
    large, small = costs["large"], costs["small_runs"]
    assert (large["opening"]["rows"], large["opening"]["files"], large["opening"]["to_do"]) == (3000, 3, 30)
    assert (large["erase_one"]["rows"], large["erase_one"]["rewritten"]["files"]) == (1, 1)
    assert large["erase_label"]["rows"] == 2999
    assert large["bytes_a_row"]["features"] > 4000
    assert large["bytes_a_row"]["keys"] < 100
    assert (small["opening"]["files"], small["opening_merged"]["files"]) == (3, 1)
    assert small["opening"]["to_do"] == small["opening_merged"]["to_do"] == 1
    assert "| erase 1 picture | 1 |" in costs_table(costs)


def test_memory_is_that_of_all_processes_together(tmp_path: Path) -> None:
    child = "b = bytearray(60_000_000); import time; time.sleep(2)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('result: 7')"
    run = run_measured("a program", [sys.executable, "-c", parent], os.environ, tmp_path / "log")
    assert run.result() == 7
    assert run.seconds > 2
    assert run.peak_mib is None or run.peak_mib > 60


def test_a_program_that_fails_is_named_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"the job ended with exit code 3: what went wrong"):
        run_measured("the job", ["sh", "-c", "echo what went wrong >&2; exit 3"], os.environ, tmp_path / "log")


def test_the_cost_of_a_further_image_leaves_out_the_start() -> None:
    scaling = [{"images": images, "process_seconds": 10 + images * 0.01} for images in (100, 200, 1000)]
    assert all(math.isclose(slope, 0.01) for slope in per_image_seconds(scaling))
    assert len(per_image_seconds(scaling)) == len(list(itertools.pairwise(scaling)))
