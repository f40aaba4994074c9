"""The study's stages do the real work on images that do not exist, and tell what it took."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from verger.plan.planning import list_images
from verger.storage.layout import BucketLayout

from tools.scale import canned_listing, synthetic

STAGES = {
    "airflow_stages": ("plan", "draw", "sheets"),
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
        "plan": {"to_do": 25, "pages": 3, "done_files": 3},
        "featurize_driver": {"to_do": 25, "answered": 2500, "chunks": 1},
        "pca_driver": {"tasks": 3},
        "sums": {"packed_bytes": 8 * (1280 + 1280 * 1281 // 2)},
        "draw": {},
        "sheets": {"sheets": 10},
    }[stage]
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("images", [1, 999, 1000, 1001, 2400])
def test_every_image_is_listed_once_by_the_real_client(images: int) -> None:
    listed = list_images(canned_listing.client(images), BucketLayout(synthetic.BUCKET))
    assert len({image.path for image in listed}) == images
    assert sorted((image.path, image.etag) for image in listed) == sorted(map(synthetic.identity, range(images)))
    assert {image.size for image in listed} == {synthetic.SIZE}
