"""The PCA step in this process, on a real Spark where there is much to do, over tables as featurize leaves them."""

import csv
import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from pyspark.mllib.linalg.distributed import RowMatrix
from pyspark.sql import SparkSession
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from verger_rules.addresses import S3Address
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.delta_table import TableFile, commit_chunk, next_chunk, open_table
from verger_rules.layout import chunk_folder, run_slug
from verger_rules.schemas import ANSWERS, FEATURIZED, REJECTED, TABLE_FILE

from spark_jobs.entry_points.pca import parse_args, pca
from spark_jobs.job_errors import RefusedError, StepFailedError
from spark_jobs.pca import results_writer, spark_passes
from spark_jobs.pca.feature_blocks import FeatureImages
from spark_jobs.pca.results_writer import write_rejects
from spark_jobs.place.spark_place import SparkPlace
from spark_jobs.quality import sample
from spark_jobs.store.answers_store import read_answers, write_answers
from tests.spark_jobs.job_world import RUN, JobWorld, sha256
from tests.stored_tables import NOON, parquet

pytestmark = [pytest.mark.spark, pytest.mark.usefixtures("spark_ready")]

Vectors = npt.NDArray[np.float32]


def vectors_like_features(images: int, seed: int = 7) -> Vectors:
    """Vectors with a few strong directions, an offset and some constant columns."""
    rng = np.random.default_rng(seed)
    strong = rng.normal(size=(images, 12)) * np.linspace(5, 1, 12)
    vectors = strong @ rng.normal(size=(12, 1280)) + rng.normal(size=(images, 1280)) * 0.1 + 3
    vectors[:, :5] = 0.25
    return vectors.astype(np.float32)


def path_of(world: JobWorld, number: int) -> str:
    return f"s3://{world.bucket}/images/fruit/{number:06d}.jpg"


def put_table(world: JobWorld, vectors: Vectors, *, files: int, shuffle: bool = False, rejects: int = 0) -> None:
    """What featurize leaves of a manifest of vectors, and some rejects behind them: one chunk of files, and answers."""
    total = len(vectors) + rejects
    paths = [path_of(world, number) for number in range(total)]
    world.put_manifest([(path, f"e{path[-10:]}", f"fruit {n % 3}", 10) for n, path in enumerate(paths)])
    order = np.random.default_rng(1).permutation(len(vectors)) if shuffle else np.arange(len(vectors))
    slug = run_slug(RUN)
    chunk = next_chunk(open_table(world.place), slug)
    stored = []
    answers: list[dict[str, Any]] = [{}] * total
    for index, rows in enumerate(np.array_split(order, files)):
        name = f"{chunk_folder(FEATURIZED, slug, chunk)}/part-{index}.parquet"
        size = put_parquet(world, world.place.folder.child(name).key, feature_rows(paths, vectors, rows))
        stored.append(TableFile(name, FEATURIZED, len(rows), size))
        for place, row in enumerate(rows):
            answers[row] = {"file": name, "row": place}
    gone = {"stage": "read", "reason": "gone", "detail": ""}
    answers[len(vectors) :] = [gone] * rejects
    if rejects:
        name = f"{chunk_folder(REJECTED, slug, chunk)}/part-0.parquet"
        rows_of_rejects = [_known(paths, row) | gone for row in range(len(vectors), total)]
        table = pa.Table.from_pylist(rows_of_rejects, schema=TABLE_FILE)
        stored.append(TableFile(name, REJECTED, rejects, put_parquet(world, world.place.folder.child(name).key, table)))
    assert commit_chunk(world.place, slug, chunk, stored)
    told = [_known(paths, row) | answer for row, answer in enumerate(answers)]
    answers_table = pa.Table.from_pylist([{name: row.get(name) for name in ANSWERS.names} for row in told], ANSWERS)
    write_answers(world.settings, S3Address(world.bucket, "runs/r/answers"), [answers_table])


def _known(paths: list[str], row: int) -> dict[str, Any]:
    """What a row of the table and an answer say of a picture."""
    etag = f"e{paths[row][-10:]}"
    return {
        "path": paths[row],
        "etag": etag,
        "read_etag": etag,
        "decoder": DECODER_VERSION,
        "label": f"fruit {row % 3}",
        "run": run_slug(RUN),
        "computed_at": NOON,
    }


def feature_rows(paths: list[str], vectors: Vectors, rows: npt.NDArray[np.int64]) -> pa.Table:
    return pa.Table.from_pylist([_known(paths, row) | {"features": vectors[row]} for row in rows], schema=TABLE_FILE)


def put_parquet(world: JobWorld, key: str, table: pa.Table) -> int:
    stored = io.BytesIO()
    pq.write_table(table, stored, row_group_size=700)
    world.put(key, stored.getvalue())
    return len(stored.getvalue())


def run(world: JobWorld, *more: str, output: str = "results/r") -> None:
    pca(parse_args(world.pca_arguments(*more, output=output)), SparkPlace(), spark_passes.spark_passes)


@pytest.fixture(params=["on the driver", "on the cluster"])
def passes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the features are added up, however few they are."""
    if request.param == "on the cluster":
        monkeypatch.setattr(spark_passes, "DRIVER_IMAGES", 0)


def scores_of(world: JobWorld, output: str = "results/r") -> npt.NDArray[np.float64]:
    table = world.get_table(f"{output}/matrix.parquet")
    return np.stack([column.to_numpy() for column in table.columns[2:]], axis=1)


def assert_equal_up_to_sign(ours: npt.NDArray[np.float64], theirs: npt.NDArray[np.float64]) -> None:
    theirs = theirs * np.sign((ours * theirs).sum(axis=0))
    assert np.abs(ours - theirs).max() <= 1e-6 * np.abs(theirs).max()


@pytest.mark.usefixtures("passes")
def test_the_matrix_equals_scikit_learns_up_to_sign(world: JobWorld) -> None:
    vectors = vectors_like_features(1500)
    put_table(world, vectors, files=3, shuffle=True, rejects=2)
    run(world, "--k", "8")
    reference = PCA(8, svd_solver="full").fit(vectors.astype(np.float64))
    assert_equal_up_to_sign(scores_of(world), reference.transform(vectors.astype(np.float64)))
    with np.load(io.BytesIO(world.get("results/r/pca_model/model.npz"))) as model:
        assert np.allclose(model["explained_variance"], reference.explained_variance_, rtol=1e-6)
        assert np.allclose(model["explained_variance_ratio"], reference.explained_variance_ratio_, rtol=1e-6)
        largest = np.abs(model["components"]).argmax(axis=1)
        assert (model["components"][np.arange(8), largest] > 0).all()
    metrics = world.get_json("runs/r/pca.json")
    assert (metrics["rows"], metrics["rejected"], metrics["k"], metrics["fitted"]) == (1500, 2, 8, True)


def test_the_components_are_eigenvectors_of_sparks_own_covariance(world: JobWorld) -> None:
    """Spark's covariance is right on every processor; what its PCA makes of it is not (docs/spark-ml-pca.md)."""
    vectors = vectors_like_features(400)
    put_table(world, vectors, files=2)
    run(world, "--k", "6")
    spark = SparkSession.builder.appName("Spark's covariance").getOrCreate()
    try:
        rows = spark.sparkContext.parallelize(list(vectors.astype(np.float64)), 2)
        covariance = RowMatrix(rows).computeCovariance().toArray()
    finally:
        spark.stop()
    with np.load(io.BytesIO(world.get("results/r/pca_model/model.npz"))) as model:
        variances, components = model["explained_variance"], model["components"].T
        assert np.abs(covariance @ components - variances * components).max() < 1e-9 * variances[0]
        assert np.allclose(model["explained_variance_ratio"], variances / np.trace(covariance), rtol=1e-9)


def test_standardized_it_equals_scikit_learn_and_constant_features_stay_zero(world: JobWorld) -> None:
    vectors = vectors_like_features(60)
    put_table(world, vectors, files=1)
    run(world, "--k", "5", "--standardize")
    scaled = StandardScaler().fit_transform(vectors.astype(np.float64))
    assert_equal_up_to_sign(scores_of(world), PCA(5, svd_solver="full").fit_transform(scaled))
    with np.load(io.BytesIO(world.get("results/r/pca_model/model.npz"))) as model:
        assert (model["scale"][:5] == 1).all()


def test_the_same_features_give_the_same_bytes_however_the_table_is_cut_and_wherever_they_are_added_up(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors = vectors_like_features(2500)
    digests = []
    for files, shuffle, on_driver in ((1, False, 10_000), (7, True, 10_000), (3, True, 0)):
        monkeypatch.setattr(spark_passes, "DRIVER_IMAGES", on_driver)
        put_table(world, vectors, files=files, shuffle=shuffle)
        # As `pca.py` and the executors do it: on another number of threads the last bits may differ.
        with threadpool_limits(1):
            run(world, "--k", "4", output=f"results/{files}")
        names = ("matrix.parquet", "matrix.csv", "matrix-excel.csv", "explained_variance.csv", "pca_model/model.npz")
        digests.append([sha256(world.get(f"results/{files}/{name}")) for name in names])
    assert digests[0] == digests[1] == digests[2]


def test_the_same_images_are_judged_wherever_the_features_are_added_up(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_table(world, vectors_like_features(2100), files=3, shuffle=True)
    monkeypatch.setattr(sample.choose_sample, "__defaults__", (300,))
    found = []
    for on_driver in (10_000, 0):
        monkeypatch.setattr(spark_passes, "DRIVER_IMAGES", on_driver)
        run(world, "--k", "4")
        found.append((world.get_json("runs/r/quality.json"), world.get_table("runs/r/quality_images.parquet")))
    (told, images), (told_by_spark, images_of_spark) = found
    assert told == told_by_spark
    assert images.equals(images_of_spark)
    assert images.num_rows == 300
    vectors = vectors_like_features(2100)
    numbers = [int(path[-10:-4]) for path in images["path"].to_pylist()]
    assert numbers == sorted(numbers)
    assert np.array_equal(np.stack(images["features"].to_numpy(zero_copy_only=False)), vectors[numbers])


def test_the_number_of_components_is_found_when_it_is_auto(world: JobWorld, capsys: pytest.CaptureFixture[str]) -> None:
    put_table(world, vectors_like_features(120), files=1)
    run(world, "--k", "auto", "--least-k", "3", "--most-k", "30")
    told, metrics = world.get_json("runs/r/quality.json"), world.get_json("runs/r/pca.json")
    by_k = {row["k"]: row["accuracy"]["value"] for row in told["by_k"]}
    within = [k for k in by_k if 3 <= k <= 30 and by_k[k] >= max(by_k.values()) - 0.01]
    assert {3, 30} <= by_k.keys()
    if within:
        assert metrics["k"] == min(within)
    assert metrics["requested"] == {"k": "auto", "least_k": 3, "most_k": 30}
    assert scores_of(world).shape == (120, metrics["k"])
    assert metrics["chosen"] == told["chosen"]
    assert told["chosen"] in capsys.readouterr().out


def test_auto_asked_for_more_components_than_there_are_keeps_all(world: JobWorld) -> None:
    put_table(world, vectors_like_features(15), files=1)
    run(world, "--k", "auto", "--least-k", "20")
    assert world.get_json("runs/r/pca.json")["k"] == 15
    assert [row["k"] for row in world.get_json("runs/r/quality.json")["by_k"]] == [2, 5, 10, 15]


def test_auto_on_a_stored_model_of_one_component_is_judged(world: JobWorld) -> None:
    put_table(world, vectors_like_features(15), files=1)
    run(world, "--k", "1")
    run(world, "--k", "auto", "--fitted-model-uri", f"s3://{world.bucket}/results/r/pca_model", output="results/next")
    told = world.get_json("runs/r/quality.json")
    assert [row["k"] for row in told["by_k"]] == [1]
    assert told["sentence"].startswith("1 component keeps ")


def test_a_test_folder_that_splits_nothing_is_told_loudly(world: JobWorld) -> None:
    put_table(world, vectors_like_features(15), files=1)
    run(world, "--k", "2", "--test-folder=Tset")
    assert "a folder 'Tset'" in world.get_json("runs/r/pca.json")["warnings"][0]
    run(world, "--k", "2")
    assert world.get_json("runs/r/pca.json")["warnings"] == []


def test_images_of_a_stored_model_are_judged_with_its_components(world: JobWorld) -> None:
    put_table(world, vectors_like_features(60), files=1)
    run(world, "--k", "7")
    run(world, "--fitted-model-uri", f"s3://{world.bucket}/results/r/pca_model", output="results/next")
    told = world.get_json("runs/r/quality.json")
    assert [row["k"] for row in told["by_k"]] == [2, 5, 7]
    assert told["chosen"] == "all components of the stored model"


def test_the_csv_holds_the_rows_of_the_parquet_and_rejects_are_listed_apart(world: JobWorld) -> None:
    put_table(world, vectors_like_features(20), files=1, rejects=1)
    run(world, "--k", "3")
    table = world.get_table("results/r/matrix.parquet")
    lines = list(csv.reader(io.StringIO(world.get("results/r/matrix.csv").decode())))
    assert lines[0] == ["path", "label", "pc_1", "pc_2", "pc_3"] == table.column_names
    assert [line[0] for line in lines[1:]] == table["path"].to_pylist() == sorted(table["path"].to_pylist())
    assert [float(line[2]) for line in lines[1:]] == table["pc_1"].to_pylist()
    rejects = list(csv.DictReader(io.StringIO(world.get("results/r/rejects.csv").decode())))
    assert [(row["path"], row["reason"]) for row in rejects] == [(path_of(world, 20), "gone")]


def test_excel_gets_the_same_tables_with_semicolons_and_decimal_commas(
    world: JobWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_table(world, vectors_like_features(1100), files=1, rejects=2)
    run(world, "--k", "3")

    def read(name: str) -> list[list[str]]:
        text = world.get(f"results/r/{name}-excel.csv").decode("utf-8-sig")
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))

    table = world.get_table("results/r/matrix.parquet")
    header, *rows = read("matrix")
    assert header == table.column_names
    assert [row[0] for row in rows] == table["path"].to_pylist()
    assert [float(row[2].replace(",", ".")) for row in rows] == table["pc_1"].to_pylist()
    for name in ("rejects", "explained_variance"):
        plain = list(csv.reader(io.StringIO(world.get(f"results/r/{name}.csv").decode(), newline="")))
        numbers = {"explained_variance", "explained_variance_ratio", "cumulative_ratio"}
        found = [
            [cell.replace(",", ".") if column in numbers else cell for column, cell in zip(plain[0], row, strict=True)]
            for row in read(name)
        ]
        assert [[value_of(cell) for cell in row] for row in found] == [
            [value_of(cell) for cell in row] for row in plain
        ]
    monkeypatch.setattr(results_writer, "MOST_ROWS", 1099)
    run(world, "--k", "3", output="results/large")
    names = {
        entry["Key"] for entry in world.s3.list_objects_v2(Bucket=world.bucket, Prefix="results/large/")["Contents"]
    }
    assert "results/large/matrix.csv" in names
    assert "results/large/matrix-excel.csv" not in names, "Excel would leave the last picture out without a word"
    assert "results/large/rejects-excel.csv" in names


def value_of(cell: str) -> float | str:
    try:
        return float(cell)
    except ValueError:
        return cell


AWKWARD = ["a\rb", "a\nb", "a\r\nb", 'say "a"', "a,b", 'a\rb,"c"\n', "é b", "end\r", ""]


def test_rejects_with_any_key_are_read_back_as_they_were(world: JobWorld) -> None:
    rows = [dict.fromkeys(ANSWERS.names, text) | {"row": None} for text in AWKWARD]
    write_rejects(
        world.settings, S3Address(world.bucket, "results/r"), len(rows), [pa.Table.from_pylist(rows, schema=ANSWERS)]
    )
    stored = world.get("results/r/rejects.csv")
    lines = list(csv.DictReader(io.StringIO(stored.decode(), newline="")))
    assert [line["path"] for line in lines] == [line["detail"] for line in lines] == AWKWARD
    convert = pa_csv.ConvertOptions(column_types=dict.fromkeys(lines[0], pa.string()))
    parse = pa_csv.ParseOptions(newlines_in_values=True)
    table = pa_csv.read_csv(pa.BufferReader(stored), parse_options=parse, convert_options=convert)
    assert table["path"].to_pylist() == table["detail"].to_pylist() == AWKWARD


def test_ordinary_rejects_are_written_without_quotes(world: JobWorld) -> None:
    rows = [{"path": "s3://b/é 1.jpg", "label": "Kiwi", "stage": "read", "reason": "gone", "detail": "-"}]
    write_rejects(
        world.settings, S3Address(world.bucket, "results/r"), len(rows), [pa.Table.from_pylist(rows, schema=ANSWERS)]
    )
    assert world.get("results/r/rejects.csv").decode() == (
        "path,label,stage,reason,detail\ns3://b/é 1.jpg,Kiwi,read,gone,'-\n"
    )


def test_as_many_components_as_reach_the_variance(world: JobWorld) -> None:
    vectors = vectors_like_features(300)
    put_table(world, vectors, files=1)
    run(world, "--variance", "0.9")
    ratios = np.cumsum(PCA(svd_solver="full").fit(vectors.astype(np.float64)).explained_variance_ratio_)
    metrics = world.get_json("runs/r/pca.json")
    assert metrics["k"] == int(np.argmax(ratios >= 0.9)) + 1
    assert metrics["variance_reached"] == pytest.approx(ratios[metrics["k"] - 1], rel=1e-6)
    lines = list(csv.DictReader(io.StringIO(world.get("results/r/explained_variance.csv").decode())))
    assert len(lines) == 300
    assert sum(line["kept"] == "true" for line in lines) == metrics["k"]


def test_new_images_are_projected_onto_a_stored_model(world: JobWorld) -> None:
    vectors = vectors_like_features(100)
    put_table(world, vectors, files=1)
    run(world, "--k", "4")
    once = scores_of(world)
    put_table(world, vectors[:1], files=2)
    fitted = f"s3://{world.bucket}/results/r/pca_model"
    run(world, "--fitted-model-uri", fitted, output="results/next")
    assert np.allclose(scores_of(world, "results/next"), once[:1], rtol=1e-12)
    assert world.get_json("runs/r/pca.json")["fitted"] == fitted


def test_a_stored_model_of_other_features_is_refused(world: JobWorld) -> None:
    put_table(world, vectors_like_features(10), files=1)
    run(world, "--k", "2")
    stored = world.get("results/r/pca_model/model.json")
    world.put("results/r/pca_model/model.json", stored.replace(world.fingerprint.encode(), b"0" * 16))
    with pytest.raises(RefusedError, match="was fitted on features of the model 0000000000000000"):
        run(world, "--fitted-model-uri", f"s3://{world.bucket}/results/r/pca_model")


def test_two_images_have_one_direction(world: JobWorld) -> None:
    vectors = vectors_like_features(2)
    put_table(world, vectors, files=1)
    run(world, "--k", "2")
    apart = np.linalg.norm(vectors[0].astype(float) - vectors[1])
    scores = scores_of(world)
    assert abs(scores[0, 0] - scores[1, 0]) == pytest.approx(apart)
    assert np.abs(scores[:, 1]).max() < 1e-9 * apart


def test_identical_images_vary_in_nothing(world: JobWorld, capsys: pytest.CaptureFixture[str]) -> None:
    put_table(world, np.repeat(vectors_like_features(1), 30, axis=0), files=1)
    run(world, "--variance", "0.5")
    assert "WARNING: Nothing varies: all 30 images" in capsys.readouterr().out
    assert scores_of(world).tolist() == [[0.0]] * 30, "one component of nothing is enough"
    metrics = world.get_json("runs/r/pca.json")
    assert (len(metrics["warnings"]), metrics["k"], metrics["explained_variance_ratio"]) == (1, 1, [0.0])


@pytest.mark.parametrize("standardize", [(), ("--standardize",)], ids=["as they are", "standardized"])
@pytest.mark.parametrize("asked", [("--k", "5"), ("--variance", "0.9")], ids=["k", "variance"])
def test_identical_images_computed_on_two_processors_still_vary_in_nothing(
    world: JobWorld, asked: tuple[str, ...], standardize: tuple[str, ...]
) -> None:
    """What processors differ by would look like a component that explains most of the variance."""
    vectors = np.repeat(vectors_like_features(1), 30, axis=0)
    vectors[::2] += np.float32(4e-6) * np.abs(vectors).max()
    put_table(world, vectors, files=1)
    run(world, *asked, *standardize)
    metrics = world.get_json("runs/r/pca.json")
    assert "Nothing varies" in metrics["warnings"][0]
    assert np.isfinite(metrics["explained_variance_ratio"]).all()
    assert np.isfinite(scores_of(world)).all()


@pytest.mark.usefixtures("passes")
@pytest.mark.parametrize("standardize", [(), ("--standardize",)], ids=["as they are", "standardized"])
def test_components_beyond_what_different_images_span_are_told_loudly(
    world: JobWorld, standardize: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    put_table(world, np.repeat(vectors_like_features(4), 5, axis=0), files=2, shuffle=True)
    run(world, "--k", "6", *standardize)
    told = world.get_json("runs/r/pca.json")["warnings"]
    assert [text.partition(" hold ")[0] for text in told] == ["Only the first 3 of 6 components"]
    assert f"pca: WARNING: {told[0]}" in capsys.readouterr().out
    scores = np.abs(scores_of(world)).max(axis=0)
    assert (scores[3:] < 1e-6 * scores[0]).all()
    run(world, "--k", "3", *standardize)
    assert world.get_json("runs/r/pca.json")["warnings"] == []


@pytest.mark.parametrize(
    ("images", "k", "message"),
    [(1, 1, "at least 2 images, there are 1"), (3, 4, "--k 4 is more than the data has: 3 images")],
)
def test_more_components_than_the_data_has_are_refused(world: JobWorld, images: int, k: int, message: str) -> None:
    put_table(world, vectors_like_features(images), files=1)
    with pytest.raises(RefusedError, match=message):
        run(world, "--k", str(k))


@pytest.mark.usefixtures("passes")
def test_features_that_are_not_finite_are_refused(world: JobWorld) -> None:
    vectors = vectors_like_features(5)
    vectors[3, 7] = np.nan
    put_table(world, vectors, files=1)
    with pytest.raises(Exception, match=r"part-0.parquet row 3 has features that are not finite"):
        run(world, "--k", "2")


def test_without_answers_it_says_what_to_run(world: JobWorld) -> None:
    with pytest.raises(RefusedError, match="runs/r/answers/ holds no answers: run featurize first"):
        run(world, "--k", "2")


def test_answers_that_lack_a_part_are_refused(world: JobWorld) -> None:
    put_table(world, vectors_like_features(5), files=1)
    answers = world.get_table("runs/r/answers/part-00000.parquet")
    for content, told in (
        (b"PAR1", "cannot be used"),
        (parquet(answers.drop_columns("row")), "they do not have the columns"),
        (parquet(answers.take([0, 2, 1, 3, 4])), "answered twice or out of order, first '.*000001.jpg'"),
        (parquet(answers.take([0, 1, 1])), "answered twice"),
    ):
        world.put("runs/r/answers/part-00000.parquet", content)
        with pytest.raises(RefusedError, match=told):
            run(world, "--k", "2")


@pytest.mark.usefixtures("passes")
def test_a_file_that_an_erasure_took_away_meanwhile_is_named(world: JobWorld) -> None:
    put_table(world, vectors_like_features(5), files=1)
    file = world.place.folder.child(world.answers()["file"][0].as_py())
    world.s3.delete_object(Bucket=file.bucket, Key=file.key)
    with pytest.raises(Exception, match=r"part-0.parquet is not there: .* Run featurize again"):
        run(world, "--k", "2")


def test_a_file_of_answers_that_an_erasure_emptied_is_passed_over(world: JobWorld) -> None:
    """The groups are known by what they hold: an empty one must not shift those behind it."""
    answers = S3Address(world.bucket, "runs/r/answers")
    vectors = vectors_like_features(40)
    put_table(world, vectors, files=2, rejects=1)
    whole = world.answers()
    put_parquet(world, answers.child("part-00000.parquet").key, whole.slice(0, 0))
    put_parquet(world, answers.child("part-00001.parquet").key, whole)
    groups = [group for group, _ in read_answers(world.settings, answers)]
    assert [(group.file.key[-13:], group.rows, group.featurized) for group in groups] == [("00001.parquet", 41, 40)]
    images = FeatureImages(world.settings, world.place.folder, tuple(groups))
    (part,) = images.read(["path"], 0, 40, 100)
    assert part["path"].to_pylist() == [path_of(world, number) for number in range(40)]


def test_answers_that_are_written_again_while_pca_reads_them_are_told(world: JobWorld) -> None:
    """A try of featurize that was left over: rows must not shift unseen."""
    answers = S3Address(world.bucket, "runs/r/answers")
    put_table(world, vectors_like_features(40), files=2, rejects=1)
    images = FeatureImages(
        world.settings, world.place.folder, tuple(group for group, _ in read_answers(world.settings, answers))
    )
    changed = world.answers().to_pylist()
    changed[0] |= {"etag": "another"}
    write_answers(world.settings, answers, [pa.Table.from_pylist(changed, ANSWERS)])
    with pytest.raises(StepFailedError, match=r"part-00000\.parquet was written again meanwhile: run again"):
        list(images.read(["path"], 0, 40, 100))
