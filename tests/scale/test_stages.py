"""The study's stages do the real work on images that do not exist, and tell what it took."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from verger.storage.layout import BucketLayout

from tools.scale import airflow_stages, listing_server, pca_cluster, synthetic
from tools.scale_study import by_name

STAGES = {
    "airflow_stages": ("plan", "publish"),
    "spark_stages": ("featurize_driver", "pca_driver", "sums"),
}


def run(project: Path, module: str, stage: str, images: int) -> dict[str, Any]:
    command = [sys.executable, "-m", f"tools.scale.{module}", stage, str(images)]
    environment = {**os.environ, "PYTHONPATH": f"{project}:{project / 'plugins'}"}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("result: "))
    found: dict[str, Any] = json.loads(line.removeprefix("result: "))
    return found


@pytest.mark.parametrize(("module", "stage"), [(module, stage) for module in STAGES for stage in STAGES[module]])
def test_each_stage_tells_its_time_and_its_memory(project: Path, module: str, stage: str) -> None:
    found = run(project, module, stage, 2500)
    assert found["images"] == 2500
    assert found["seconds"]
    assert all(seconds >= 0 for seconds in found["seconds"].values())
    assert found["peak_bytes"] > found["start_bytes"] > 10_000_000
    expected = {
        "plan": {"listed": 2500, "to_do": 25, "gone": 0, "requests": 132, "done_files": 3},
        "featurize_driver": {"to_do": 452, "answered": 2500, "chunks": 1},
        "pca_driver": {"tasks": 3},
        "sums": {"packed_bytes": 8 * (1280 + 1280 * 1281 // 2)},
        "publish": {"pictures": 2500, "shown": 2500, "added": 25},
    }[stage]
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("images", [1, 130, 131, 1001, 2400, 131_001])
def test_every_image_is_listed_once_by_the_real_client(images: int) -> None:
    with listing_server.serving(images) as address:
        quick, _ = airflow_stages.listers(address, BucketLayout(synthetic.BUCKET))
        found = pa.concat_tables(quick())
    listed = zip(found["key"].to_pylist(), found["etag"].to_pylist(), strict=True)
    assert sorted(listed) == sorted((synthetic.key_of(n), f'"{synthetic.etag_of(n)}"') for n in range(images))
    assert set(found["size"].to_pylist()) == {synthetic.SIZE}


def test_each_figure_has_a_name_by_stage_and_number() -> None:
    runs = [{"images": 10_000_000, "seconds": {"list": 100.04, "subtract": 20.0}, "peak_bytes": 3 * 2**29}]
    assert by_name({"plan": runs}) == {"plan_10000000_seconds": 120.0, "plan_10000000_peak_mib": 1536}


def test_more_images_than_vectors_are_answered_by_the_same_ones_over_and_over() -> None:
    parts = pca_cluster.answers_of(30_000, ["a", "b", "c"], 2500)
    answers = pa.concat_tables(parts)
    rows = list(zip(answers["file"].to_pylist(), answers["row"].to_pylist(), strict=True))
    assert rows[:2500] == [("abc"[at // 1024], at % 1024) for at in range(2500)]
    assert rows == (rows[:2500] * 12)[:30_000]
    assert answers["path"].to_pylist() == sorted(set(answers["path"].to_pylist()))
