"""The models that several tests look at, each made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tools.model_program import Prepared, prepare, prepared

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A model of random weights; treat its folder as read-only."""
    return prepared(prepare("--random", "--output-dir", tmp_path_factory.mktemp("random")))


@pytest.fixture(scope="session")
def imagenet_model(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> Prepared:
    """The model of the real weights, checked on real photographs; treat its folder as read-only."""
    weights = shared / "weights" / "mobilenet_v2_1.0_224_no_top.weights.h5"
    folder = tmp_path_factory.mktemp("imagenet")
    return prepared(prepare("--weights", weights, "--check-images", shared / "photos", "--output-dir", folder))
