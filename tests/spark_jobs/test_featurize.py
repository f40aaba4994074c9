"""The featurize step on a real Spark, in this process."""

import io
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile, TablePlace, commit_chunk, live_files, open_table
from verger_rules.layout import run_slug
from verger_rules.schemas import FEATURIZED, REJECTED, TABLE, image_id

from spark_jobs.entry_points.featurize import featurize, parse_args
from spark_jobs.entry_points.pca import parse_args as pca_parse_args
from spark_jobs.entry_points.pca import pca
from spark_jobs.job_errors import CutOffError, RefusedError, StepFailedError
from spark_jobs.pca.spark_passes import spark_passes
from spark_jobs.place.process_pool import ProcessPlace
from spark_jobs.place.spark_place import SparkPlace
from spark_jobs.place.time_limit import TimeLimit
from spark_jobs.place.work_place import WorkPlace
from spark_jobs.steps import chunk_writer
from tests.spark_jobs.job_world import RUN, JobWorld, jpeg, many_jpegs
from tests.stored_tables import Row, keys_below, put_chunk, put_files

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("spark_ready")]

HOSTILE_KEYS = [
    "Apple Braeburn/a b.jpg",
    "Pêche/é+%20 100%.jpg",
    "a=b/c#d&e?.jpg",
    "odd/..up/...jpg",
    "odd/quote'\"<>.jpg",
    "日本/林檎.jpg",
]


SPARK = SparkPlace()


@pytest.fixture(params=[SPARK, ProcessPlace(2)], ids=["cluster", "here"])
def place(request: pytest.FixtureRequest) -> WorkPlace:
    """Where the step works: what decides its rows is the same in both."""
    found: WorkPlace = request.param
    return found


def run(world: JobWorld, *more: str, run_id: str = RUN, place: WorkPlace = SPARK) -> None:
    featurize(parse_args(world.featurize_arguments(*more, run_id=run_id)), place)


def run_pca(world: JobWorld, run_id: str) -> None:
    pca(pca_parse_args(world.pca_arguments("--k", "2", run_id=run_id)), SPARK, spark_passes)


def test_every_image_becomes_one_row_with_its_size_thumbnail_and_features(world: JobWorld, place: WorkPlace) -> None:
    world.put_images(many_jpegs(7))
    run(world, place=place)
    rows = world.table_rows(features=True)
    assert rows.num_rows == 7
    assert rows.column_names == TABLE.names
    first = rows.to_pylist()[0]
    assert (first["image_id"], first["run"]) == (image_id(first["path"]), run_slug(RUN))
    assert first["stage"] is None
    assert (first["width"], first["height"], first["label"]) == (100, 80, "fruit 0")
    assert first["thumbnail"].startswith(b"\xff\xd8")
    assert np.isfinite(np.stack(rows["features"].to_numpy(zero_copy_only=False))).all()
    assert len(first["features"]) == 1280
    metrics = world.get_json("runs/r/featurize.json")
    assert (metrics["listed"], metrics["featurized"], metrics["rejected"]) == (7, 7, 0)
    assert metrics["weights"] == "random"
    assert metrics["bytes"] == sum(len(picture) for picture in many_jpegs(7).values())
    assert world.get_json("runs/r/featurize.progress.json")["images_done"] == 7


def test_keys_that_paths_and_addresses_mangle_are_read_as_they_are(world: JobWorld) -> None:
    pictures = {key: jpeg((number * 20, 90, 10)) for number, key in enumerate(HOSTILE_KEYS)}
    world.put_images(pictures)
    run(world)
    assert world.table_rows(features=True)["path"].to_pylist() == sorted(
        f"s3://{world.bucket}/images/{key}" for key in HOSTILE_KEYS
    )


def test_a_picture_under_a_key_that_cannot_be_read_is_a_reject_and_stops_nothing(world: JobWorld) -> None:
    odd = ["odd//double.jpg", "odd/in/../up.jpg", "odd/./here.jpg", "odd/tab\there.jpg", "odd/last/"]
    mistaken = ["odd/double.jpg", "odd/up.jpg", "odd/here.jpg", "odd/last"]
    world.put_images({key: jpeg() for key in [*odd, *mistaken]})
    run(world, "--max-reject-rate", "0.9")
    rejects = world.table_rows(features=False).to_pylist()
    assert {(row["path"], row["stage"], row["reason"]) for row in rejects} == {
        (f"s3://{world.bucket}/images/{key}", "read", "unsupported_key") for key in odd
    }
    assert world.table_rows(features=True).num_rows == len(mistaken)


def test_a_bad_image_is_a_reject_and_stops_nothing(world: JobWorld, place: WorkPlace) -> None:
    good = jpeg()
    world.put_images(
        {
            "x/good.jpg": good,
            "x/cut.jpg": good[: len(good) // 2],
            "x/empty.jpg": b"",
            "x/gone.jpg": jpeg((1, 2, 3)),
            "x/text.jpg": b"hello",
        }
    )
    world.s3.delete_object(Bucket=world.bucket, Key="images/x/gone.jpg")
    run(world, "--max-reject-rate", "0.9", place=place)
    rejects = world.table_rows(features=False).to_pylist()
    assert {(row["path"].rsplit("/", 1)[1], row["stage"], row["reason"]) for row in rejects} == {
        ("cut.jpg", "decode", "truncated"),
        ("empty.jpg", "decode", "empty"),
        ("gone.jpg", "read", "gone"),
        ("text.jpg", "decode", "not_an_image"),
    }
    assert world.table_rows(features=True).num_rows == 1


def test_too_many_rejects_fail_the_step_and_keep_the_work(world: JobWorld, place: WorkPlace) -> None:
    world.put_images({"x/good.jpg": jpeg(), "x/text.jpg": b"hello"})
    with pytest.raises(StepFailedError, match=r"1 of 2 images \(50.0%\).*decode/not_an_image x 1, as s3://.*text.jpg"):
        run(world, place=place)
    assert world.table_rows(features=True).num_rows == 1


def test_no_image_at_all_fails_whatever_the_allowed_rate(world: JobWorld) -> None:
    world.put_images({"x/text.jpg": b"hello"})
    with pytest.raises(StepFailedError, match="No image has features"):
        run(world, "--max-reject-rate", "1")


def test_what_is_committed_is_not_done_again(world: JobWorld) -> None:
    world.put_images(many_jpegs(4))
    run(world)
    world.put_images(many_jpegs(6))
    run(world, run_id="second")
    metrics = world.get_json("runs/r/featurize.json")
    assert (metrics["done_before"], metrics["featurized"], metrics["total_featurized"]) == (4, 2, 6)
    assert world.table_rows(features=True).num_rows == 6


def put_rows_of_before(world: JobWorld) -> list[str]:
    """Rows of all that the manifest lists, by the decoder of before, one of them a reject; the keys of their files."""
    manifest = world.get_table("runs/r/manifest.parquet").to_pylist()
    rows = [
        Row(image["path"], image["etag"], image["label"], None if "heic" in image["path"] else 9.0, DECODER_VERSION - 1)
        for image in manifest
    ]
    return put_chunk(world.s3, world.bucket, "of before", rows, fingerprint=world.fingerprint)


def test_pictures_decoded_by_older_rules_are_computed_again_once(
    world: JobWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world.put_images(many_jpegs(3) | {"x/was heic.jpg": jpeg()})
    files = put_rows_of_before(world)
    run(world, run_id="first")
    assert "featurize: 4 of them were decoded by other rules and are computed again, once" in capsys.readouterr().out
    metrics = world.get_json("runs/r/featurize.json")
    assert (metrics["done_before"], metrics["featurized"], metrics["total_rejected"]) == (0, 4, 0)
    assert metrics["decoder"] == DECODER_VERSION
    run_pca(world, "first")
    with np.load(io.BytesIO(world.get("results/r/pca_model/model.npz"))) as model:
        assert np.abs(model["mean"]).max() < 9, "no number of an old row is in the matrix"
    run(world, run_id="second")
    assert "computed again" not in capsys.readouterr().out
    assert world.get_json("runs/r/featurize.json")["featurized"] == 0
    assert set(files) < keys_below(world.s3, world.bucket, "features"), "a deployment that is rolled back finds them"


def test_small_files_are_merged_before_the_answers_name_them(world: JobWorld) -> None:
    for count in (2, 4, 6):
        world.put_images(many_jpegs(count))
        run(world, "--compact-above", "2", run_id=f"run {count}")
    assert len(live_files(open_table(world.place))) == 1
    answers = world.answers()
    rows = world.table_rows(features=True)
    assert (answers.num_rows, rows.num_rows) == (6, 6)
    assert len(set(answers["file"].to_pylist())) == 1
    for answer in answers.to_pylist():
        stored = world.get_table(world.place.folder.child(answer["file"]).key)
        assert stored["path"][answer["row"]].as_py() == answer["path"]
    assert len(keys_below(world.s3, world.bucket, f"features/model={world.fingerprint}/outcome=")) > 1, "for readers"
    run_pca(world, "run 6")
    run(world, run_id="again")
    assert world.get_json("runs/r/featurize.json")["featurized"] == 0


def test_each_image_has_one_answer_in_the_order_of_the_manifest(world: JobWorld) -> None:
    world.put_images(many_jpegs(4) | {"fruit 1/text.jpg": b"hello", "x/empty.jpg": b""})
    run(world, "--max-reject-rate", "0.9", "--chunk-images", "2")
    answers = world.answers()
    assert answers["path"].to_pylist() == world.get_table("runs/r/manifest.parquet")["path"].to_pylist()
    reasons = {row["path"].rsplit("/", 1)[1]: row["reason"] for row in answers.to_pylist() if row["file"] is None}
    assert reasons == {"text.jpg": "not_an_image", "empty.jpg": "empty"}


@pytest.mark.parametrize("seen_before", [True, False], ids=["before it computes", "after"])
def test_a_chunk_that_another_try_of_the_run_commits_counts_once(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch, seen_before: bool
) -> None:
    world.put_images(many_jpegs(7))
    listed = world.get_table("runs/r/manifest.parquet").to_pylist()
    commit = commit_chunk
    others = [Row(image["path"], image["etag"], image["label"]) for image in listed[:3]]

    def other_first(place: TablePlace, slug: str, chunk: int, files: list[TableFile]) -> bool:
        if chunk == 0:
            assert commit(place, slug, 0, put_files(world.s3, place, slug, 0, others))
        return commit(place, slug, chunk, files)

    if seen_before:
        assert commit(world.place, run_slug(RUN), 0, put_files(world.s3, world.place, run_slug(RUN), 0, others))
    else:
        monkeypatch.setattr(chunk_writer, "commit_chunk", other_first)
    run(world, "--chunk-images", "4")
    rows = world.table_rows(features=True)
    assert rows["path"].to_pylist() == [image["path"] for image in listed], "none is lost, none is there twice"
    assert world.answers().num_rows == 7


def test_nothing_to_do_is_done_at_once(world: JobWorld) -> None:
    world.put_images(many_jpegs(2))
    run(world)
    run(world)
    metrics = world.get_json("runs/r/featurize.json")
    assert (metrics["featurized"], metrics["chunks"], metrics["total_featurized"]) == (0, 0, 2)


def test_an_image_replaced_after_it_was_listed_is_stored_with_its_real_etag(world: JobWorld) -> None:
    world.put_images({"x/a.jpg": jpeg((1, 1, 1))})
    etag = world.put("images/x/a.jpg", jpeg((2, 200, 2)))
    run(world)
    run(world)
    rows = world.table_rows(features=True)
    listed = world.get_table("runs/r/manifest.parquet")["etag"].to_pylist()
    assert (rows["read_etag"].to_pylist(), rows["etag"].to_pylist()) == ([etag], listed)
    assert world.get_json("runs/r/featurize.json")["featurized"] == 0


def test_rejects_are_tried_again_only_on_request(world: JobWorld, place: WorkPlace) -> None:
    world.put_images({"x/a.jpg": jpeg(), "x/big.jpg": jpeg(size=(200, 200))})
    run(world, "--max-pixels", "10000", "--max-reject-rate", "0.5", place=place)
    run(world, "--max-reject-rate", "0.5", run_id="second", place=place)
    assert world.table_rows(features=True).num_rows == 1
    run(world, "--retry-rejects", run_id="third", place=place)
    metrics = world.get_json("runs/r/featurize.json")
    assert (metrics["featurized"], metrics["total_rejected"]) == (1, 0)


def test_chunks_are_committed_one_by_one_and_each_image_counts_once(world: JobWorld) -> None:
    world.put_images(many_jpegs(10))
    run(world, "--chunk-images", "3")
    assert world.get_json("runs/r/featurize.json")["chunks"] == 4
    assert len(set(world.table_rows(features=True)["path"].to_pylist())) == 10


@pytest.mark.parametrize("outcome", [FEATURIZED, REJECTED])
def test_a_chunk_whose_file_an_erasure_deleted_is_not_committed_and_a_retry_does_it_again(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch, outcome: str, place: WorkPlace
) -> None:
    world.put_images({**many_jpegs(4), "x/text.jpg": b"hello"})
    computed = chunk_writer._computed  # what comes right before a chunk's commit

    def erased_meanwhile(job: chunk_writer.ChunkJob, number: int, images: pa.Table) -> Any:
        written = computed(job, number, images)
        name = next(file.name for file in written if file.outcome == outcome)
        world.s3.delete_object(Bucket=world.bucket, Key=job.place.folder.child(name).key)
        return written

    with monkeypatch.context() as patched:
        patched.setattr(chunk_writer, "_computed", erased_meanwhile)
        with pytest.raises(StepFailedError, match=rf"Chunk 0: s3://.*/outcome={outcome}/.*\.parquet .*not committed"):
            run(world, "--max-reject-rate", "0.5", place=place)
    assert live_files(open_table(world.place)) == []
    run(world, "--max-reject-rate", "0.5", place=place)
    assert (world.table_rows(features=True).num_rows, world.table_rows(features=False).num_rows) == (4, 1)


def test_what_is_cut_off_here_goes_on_on_the_cluster(world: JobWorld) -> None:
    world.put_images(many_jpegs(10))
    looks = iter(range(10))
    arguments = parse_args(world.featurize_arguments("--chunk-images", "2"))
    with pytest.raises(CutOffError, match="3 of 5 chunks are not computed yet; those that are count"):
        featurize(arguments, ProcessPlace(2), TimeLimit(3, lambda: float(next(looks))))
    assert world.table_rows(features=True).num_rows == 4
    run(world)
    metrics = world.get_json("runs/r/featurize.json")
    assert (metrics["done_before"], metrics["featurized"]) == (4, 6)
    assert world.answers().num_rows == 10


def test_features_do_not_depend_on_chunks_batches_neighbours_or_the_place(world: JobWorld, place: WorkPlace) -> None:
    world.put_images(many_jpegs(9))
    run(world)
    once = world.table_rows(features=True)
    keys = [entry["Key"] for entry in world.s3.list_objects_v2(Bucket=world.bucket, Prefix="features")["Contents"]]
    for key in keys:
        world.s3.delete_object(Bucket=world.bucket, Key=key)
    run(world, "--chunk-images", "2", "--batch-size", "1", "--fetch-threads", "1", place=place)
    assert world.table_rows(features=True).select(["path", "features"]).equals(once.select(["path", "features"]))


def test_a_model_that_is_not_what_it_says_is_refused(world: JobWorld) -> None:
    world.put_images(many_jpegs(1))
    world.put(f"models/{world.fingerprint}/model.tflite", b"something else")
    with pytest.raises(RefusedError, match=r"model\.tflite has SHA-256"):
        run(world)
