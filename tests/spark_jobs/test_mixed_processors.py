"""Nodes of one cluster may have different processors: the last digits of their features differ, and nothing else."""

import os
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from verger_rules.delta_table import live_files, open_table
from verger_rules.layout import run_slug
from verger_rules.schemas import MANIFEST

from spark_jobs.pca.moments import moments_of
from spark_jobs.pca.pca_model import PROCESSOR_NOISE, fit
from spark_jobs.store.table_store import column_reader
from spark_jobs.worker.decode import decode_image
from spark_jobs.worker.infer import open_engine
from tests.answering_images import answering_images, images_to_do
from tests.spark_jobs.job_world import PROJECT, RUN, SPARK_PYTHON, JobWorld
from tests.spark_jobs.test_pca import put_table, run, scores_of, vectors_like_features

Vectors = npt.NDArray[np.float32]
#: How far a matrix of mixed nodes may be from that of equal ones, as a share of its largest number: the features' own
#: distance, and more for the components, which turn a little with them; more again where small features are scaled up.
MATRIX_TOLERANCE = 5e-4
STANDARDIZED_TOLERANCE = 5e-3


def from_another_processor(vectors: Vectors, rows: slice) -> Vectors:
    """The same features, some rows as far off as another processor may be."""
    noise = np.random.default_rng(5).uniform(-1, 1, vectors.shape) * np.abs(vectors).max(axis=1, keepdims=True)
    other = vectors.copy()
    other[rows] = (vectors + PROCESSOR_NOISE * noise)[rows]
    return other


@pytest.mark.spark
@pytest.mark.usefixtures("spark_ready")
@pytest.mark.parametrize(("scaled", "tolerance"), [([], MATRIX_TOLERANCE), (["--standardize"], STANDARDIZED_TOLERANCE)])
def test_half_of_the_pictures_from_another_processor_give_the_same_answers_and_nearly_the_same_matrix(
    world: JobWorld, scaled: list[str], tolerance: float
) -> None:
    vectors = vectors_like_features(400)
    told = []
    for output, features in (("equal", vectors), ("mixed", from_another_processor(vectors, slice(0, None, 2)))):
        put_table(world, features, files=2, rejects=3)
        run(world, "--k", "6", *scaled, output=f"results/{output}")
        metrics = world.get_json("runs/r/pca.json")
        told.append({name: metrics[name] for name in ("listed", "featurized", "rejected", "rows", "k")})
    assert told[0] == told[1]
    tables = [world.get_table(f"results/{output}/matrix.parquet") for output in ("equal", "mixed")]
    assert tables[0].select(["path", "label"]) == tables[1].select(["path", "label"])
    assert world.get("results/equal/rejects.csv") == world.get("results/mixed/rejects.csv")
    equal, mixed = scores_of(world, "results/equal"), scores_of(world, "results/mixed")
    assert not np.array_equal(equal, mixed)
    assert np.abs(equal - mixed).max() < tolerance * np.abs(equal).max()


def test_a_picture_computed_again_elsewhere_has_one_answer_whatever_its_last_digits(world: JobWorld) -> None:
    """Done is what has the path and the ETag: of two rows, their age and names decide, and no features are compared."""
    vectors = vectors_like_features(30)
    for files, features in ((1, vectors), (2, from_another_processor(vectors, slice(None)))):
        put_table(world, features, files=files)
    manifest = world.get_table("runs/r/manifest.parquet").cast(MANIFEST)
    stored = live_files(open_table(world.place))
    read = column_reader(world.settings, world.place.folder)
    assert (len(stored), sum(file.rows for file in stored)) == (3, 60)
    with answering_images(manifest, stored, read, run_slug(RUN)) as answering:
        assert images_to_do(answering).num_rows == 0
        answers = pa.concat_tables(answering.answers())
    assert len(set(zip(answers["file"].to_pylist(), answers["row"].to_pylist(), strict=True))) == 30


def test_the_difference_between_two_processors_does_not_become_a_component() -> None:
    vectors = np.abs(vectors_like_features(200))[:, :40]
    vectors[:, 7] = 0.25
    vectors[::2, 7] += np.float32(PROCESSOR_NOISE * 0.25)
    model = fit(moments_of(vectors), standardize=True)
    assert model.scale[7] == 1
    assert np.abs(model.components[:30, 7]).max() < 1e-3
    assert (np.delete(model.scale, [0, 1, 2, 3, 4, 7]) != 1).all()


_FEATURES = """
import sys
import numpy as np
from spark_jobs.worker.infer import open_engine
engine = open_engine("litert", open(sys.argv[1], "rb").read(), 1)
np.save(sys.argv[3], np.concatenate([engine(picture[None]) for picture in np.load(sys.argv[2])]))
"""


@pytest.mark.long
def test_features_of_a_processor_with_sse_alone_stay_within_the_tolerance(
    random_model_folder: Path, tmp_path: Path
) -> None:
    """LiteRT asks the processor itself what it can do; QEMU (Debian's package qemu-user) answers for another one."""
    model = random_model_folder / "model.tflite"
    drawn = sorted((Path(__file__).parent / "golden/drawn").iterdir())
    pixels = np.stack([decode_image(picture.read_bytes(), 10**8).pixels for picture in drawn[:2]])
    np.save(tmp_path / "pixels.npy", pixels)
    command: list[str | Path] = [
        "qemu-x86_64",
        "-cpu",
        "Nehalem",
        SPARK_PYTHON,
        "-c",
        _FEATURES,
        model,
        tmp_path / "pixels.npy",
    ]
    try:
        done = subprocess.run(
            [*command, tmp_path / "there.npy"],
            env=os.environ | {"PYTHONPATH": f"{PROJECT}:{PROJECT}/plugins", "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        pytest.skip("qemu-x86_64 is not installed: Debian's package qemu-user")
    assert done.returncode == 0, done.stderr
    here = open_engine("litert", model.read_bytes(), 1)
    ours, theirs = np.concatenate([here(picture[None]) for picture in pixels]), np.load(tmp_path / "there.npy")
    assert (np.abs(ours - theirs).max(axis=1) <= PROCESSOR_NOISE * np.abs(ours).max(axis=1)).all()
