"""What docs/feature-table.md reads the feature table with: run as it stands, and every reader says the same."""

import json
import os
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from mypy_boto3_s3 import S3Client
from verger_rules.delta_table import TableFile, commit_chunk, live_files, open_table
from verger_rules.layout import chunk_folder, run_slug
from verger_rules.model import FEATURES
from verger_rules.schemas import FEATURIZED, MANIFEST, REJECTED, TABLE_FILE

from tests.answering_images import answers_now
from tests.docs.documents import PROJECT, Block, blocks
from tests.spark_jobs.job_world import CLASS_PATH, S3A, SPARK_HOME, SPARK_PYTHON
from tests.stored_tables import FINGERPRINT, NOON, Row, parquet, place_of, put_chunk, read_object, table_of

PAGE = PROJECT / "docs" / "feature-table.md"
DELTA_JARS = PROJECT / ".cache" / "jars" / "delta"
#: Pictures with features; the angle of each to the next is a tenth of a right one.
PICTURES = ("Apple/1.jpg", "Apple/2.jpg", "Apple/3.jpg", "Pear/4.jpg", "Pêche/5.jpg")
PER_LABEL = [("Apple", 3), ("Pear", 1), ("Pêche", 1)]
REJECTS = [("decode", "truncated", 2)]


def readers() -> list[Block]:
    return [block for block in blocks(PAGE) if block.run_by == f"tests/docs/{Path(__file__).name}"]


@pytest.fixture
def world(s3: S3Client, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table of two runs between which a picture was replaced and one mended, and the second's answers; the bucket."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    paths = [f"s3://{bucket}/images/{name}" for name in PICTURES]
    broken = [f"s3://{bucket}/images/Apple/{number}.jpg" for number in (8, 9)]
    put_chunk(s3, bucket, "first", [Row(paths[0], etag="0"), Row(paths[1], value=None), Row(broken[0], etag="0")])
    featurized = [Row(path, label=path.split("/")[-2]) for path in paths]
    rejected = [Row(path, value=None) for path in broken]
    put_second_run(s3, bucket, featurized, rejected)
    put_answers(s3, bucket, sorted([*featurized, *rejected], key=lambda row: row.path))
    return bucket


def put_second_run(s3: S3Client, bucket: str, featurized: Sequence[Row], rejected: Sequence[Row]) -> None:
    """Commit rows in which each picture has features of its own."""
    slug, place, later = run_slug("second"), place_of(s3, bucket), NOON + timedelta(seconds=1)
    angles = np.arange(len(featurized)) * np.pi / 20
    vectors = np.zeros((len(featurized), FEATURES), np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    column = TABLE_FILE.get_field_index("features")
    field = TABLE_FILE.field(column)
    turned = table_of(featurized, slug, later).set_column(column, field, pa.array(list(vectors), field.type))
    files = []
    for outcome, rows in ((FEATURIZED, turned), (REJECTED, table_of(rejected, slug, later))):
        name, content = f"{chunk_folder(outcome, slug, 0)}/0.parquet", parquet(rows)
        s3.put_object(Bucket=bucket, Key=place.folder.child(name).key, Body=content)
        files.append(TableFile(name, outcome, rows.num_rows, len(content)))
    assert commit_chunk(place, slug, 0, files)


def put_answers(s3: S3Client, bucket: str, rows: Sequence[Row]) -> None:
    """What featurize decides at the end of the second run."""
    place = place_of(s3, bucket)

    def read(name: str, columns: Sequence[str]) -> pa.Table:
        return read_object(s3, place.folder.child(name)).select(list(columns))

    listed = [{"path": row.path, "etag": row.etag, "label": row.label, "size": 1} for row in rows]
    manifest = pa.Table.from_pylist(listed, MANIFEST)
    answers = answers_now(manifest, live_files(open_table(place)), read, run_slug("second"))
    s3.put_object(Bucket=bucket, Key="runs/SLUG/answers/part-00000.parquet", Body=parquet(answers))


def script_of(block: Block, bucket: str) -> str:
    """A block with its place-holders filled in."""
    return block.content.replace("BUCKET", bucket).replace("FINGERPRINT", FINGERPRINT)


def rows_of(found: Any) -> list[tuple[Any, ...]]:
    """A reader's answer as rows, whatever it is."""
    if isinstance(found, list):
        return [tuple(row) for row in found]
    if isinstance(found, pl.DataFrame):
        return found.rows()
    if isinstance(found, pa.Table):
        return [tuple(row.values()) for row in found.to_pylist()]
    return [(*(key if isinstance(key, tuple) else (key,)), value) for key, value in found.items()]


def check(names: Mapping[str, Any], bucket: str) -> None:
    """The answers to the three questions; one run's answers hold no features."""
    assert rows_of(names["per_label"]) == PER_LABEL
    assert rows_of(names["rejects"]) == REJECTS
    if "neighbours" in names:
        paths, cosines = zip(*rows_of(names["neighbours"]), strict=True)
        assert paths == tuple(f"s3://{bucket}/images/{name}" for name in PICTURES[1:4])
        assert cosines == pytest.approx(np.cos(np.arange(1, 4) * np.pi / 20), abs=1e-6)


IN_PYTHON = [block for block in readers() if "spark." not in block.content]


@pytest.mark.parametrize("reader", IN_PYTHON, ids=lambda block: f"line {block.place.line}")
def test_a_reader_in_python_says_what_the_others_say(reader: Block, world: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(script_of(reader, world), str(reader.place), "exec"), names)  # noqa: S102 -- our own page
    check(names, world)


@pytest.mark.spark
def test_spark_says_what_the_others_say(world: str, aws: str) -> None:
    (block,) = (block for block in readers() if "spark." in block.content)
    answers = ", ".join(f'"{name}": [list(row) for row in {name}]' for name in ("per_label", "neighbours", "rejects"))
    program = f"{SESSION}\n{script_of(block, world)}\nprint(json.dumps({{{answers}}}))\n"
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PY"))}
    done = subprocess.run(
        [SPARK_PYTHON, "-c", program, json.dumps(spark_settings(aws))],
        env={**kept, "SPARK_HOME": str(SPARK_HOME), "SPARK_LOCAL_IP": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    check(json.loads(done.stdout.splitlines()[-1]), world)


SESSION = """\
import json, sys
from pyspark.sql import SparkSession

builder = SparkSession.builder.master("local[2]")
for name, value in json.loads(sys.argv[1]).items():
    builder = builder.config(name, value)
spark = builder.getOrCreate()
"""


def spark_settings(endpoint: str) -> dict[str, str]:
    """What the page asks for, and how this machine's Spark reaches S3."""
    return {
        **S3A,
        "spark.driver.extraClassPath": f"{CLASS_PATH}:{DELTA_JARS}/*",
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.shuffle.partitions": "2",
    }


def test_the_jars_of_the_page_are_those_of_the_test() -> None:
    wanted = tomllib.loads((PROJECT / "requirements" / "jars.toml").read_text("utf-8"))["delta"]["packages"]
    assert all(f"`{package}`" in PAGE.read_text("utf-8") for package in wanted)


def test_every_block_is_run() -> None:
    assert readers() == [block for block in blocks(PAGE) if block.language == "python"]
    assert len(readers()) == len(IN_PYTHON) + 1 == 5
