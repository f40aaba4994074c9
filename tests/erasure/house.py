"""A bucket in which a person's picture is everywhere, and a search for what is left of it."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mypy_boto3_s3 import S3Client
from verger_rules.excel_csv import excel_file
from verger_rules.layout import run_slug
from verger_rules.schemas import ANSWERS, image_id

from tests.stored_tables import FINGERPRINT, Row, parquet, place_of, put_chunk, put_files
from tools import erase_images

OTHER_MODEL = "fedcba9876543210"
TABLE = f"features/model={FINGERPRINT}/"
LABEL = "Été +100%"
#: What all the features of the person's picture are.
VALUE = 7.625


@dataclass(frozen=True)
class House:
    """A bucket in which a person's picture is everywhere."""

    s3: S3Client
    bucket: str

    @property
    def person(self) -> str:
        """The address of the picture that is to be erased."""
        return f"s3://{self.bucket}/images/{LABEL}/Zoë #1 =x'\".jpg"

    @property
    def other(self) -> str:
        """The address of a picture that stays."""
        return f"s3://{self.bucket}/images/Apple/2.jpg"

    def put(self, key: str, body: bytes | str) -> None:
        """Store an object."""
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def contents(self) -> dict[tuple[str, str], bytes]:
        """Every version of every object by key and version; of Parquet, its bytes and the text of its cells."""
        found = {}
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket):
            for entry in page.get("Versions", ()):
                key, version = entry["Key"], entry["VersionId"]
                body = self.s3.get_object(Bucket=self.bucket, Key=key, VersionId=version)["Body"].read()
                found[key, version] = body + (cells(body) if body[:4] == b"PAR1" else b"")
        return found

    def traces(self) -> set[str]:
        """The keys of the versions in which something of the person stands: path, thumbnail, features, image id."""
        return {key for (key, _), content in self.contents().items() if any(form in content for form in self.forms)}

    @property
    def forms(self) -> set[bytes]:
        """The forms in which the person's path, thumbnail, features and id may stand in an object."""
        key = self.person.removeprefix(f"s3://{self.bucket}/")
        texts = {json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1], repr(key)[1:-1], quote(key)}
        texts |= {key, quote(key, safe=""), key.replace('"', '""'), image_id(self.person)}
        found = {text.encode() for text in texts} | {thumbnail_of(self.person)}
        return found | {np.full(4, VALUE, np.float32).tobytes(), repr([VALUE] * 4)[1:-1].encode()}


def cells(content: bytes) -> bytes:
    """The cells of a Parquet file as text, and its binary ones as they are."""
    table = pq.read_table(io.BytesIO(content))
    names = [
        name for name, kind in zip(table.column_names, table.schema.types, strict=True) if pa.types.is_binary(kind)
    ]
    raw = b"".join(cell or b"" for name in names for cell in table[name].to_pylist())
    return repr(table.to_pylist()).encode() + raw


def thumbnail_of(path: str) -> bytes:
    """What the tables of the tests hold for a thumbnail."""
    return b"thumbnail of " + path.encode()


def fill(house: House) -> None:
    """Put the person's picture everywhere."""
    s3, bucket, person, other = house.s3, house.bucket, house.person, house.other
    for path in (person, other):
        house.put(path.removeprefix(f"s3://{bucket}/"), b"a picture")
    mine = Row(person, label=LABEL, value=VALUE)
    put_chunk(s3, bucket, "first", [Row(person, label=LABEL, value=None), Row(other, value=None)], at=0)
    put_chunk(s3, bucket, "second", [mine, Row(other, value=3.0)], at=1)
    put_chunk(s3, bucket, "of other decoders", [Row(person, label=LABEL, decoder=1), Row(other, decoder=1)], at=2)
    put_chunk(s3, bucket, "third", [Row(f"s3://{bucket}/images/Apple/3.jpg")], at=3)
    put_chunk(s3, bucket, "elsewhere", [mine], fingerprint=OTHER_MODEL)
    put_files(s3, place_of(s3, bucket), run_slug("killed"), 0, [mine])
    fill_earlier(house)
    fill_runs(house)


def fill_earlier(house: House) -> None:
    """Tables of earlier releases and of the notebook."""
    rows = parquet(pa.table({"path": [house.person], "etag": ["1"], "label": [LABEL]}))
    house.put(f"{TABLE}run=old/chunk=0/part-0.parquet", rows)
    house.put(f"{TABLE}_commits/old.00000.json", json.dumps({"run_id": "old"}))
    house.put(f"rejects/model={FINGERPRINT}/run=old/chunk=0/part-0.parquet", rows)
    house.put("features/model=00000000000000aa/run=old/chunk=0/part-0.parquet", rows)
    own = "features/walkthrough/walkthrough-1"
    house.put(f"{own}/features/model={FINGERPRINT}/run=w/chunk=0/part-0.parquet", rows)
    house.put(f"{own}/manifest.parquet", rows)
    house.put(f"{own}/thumbnails.html", "<p>of before</p>")
    house.put(f"{own}/thumbnails.html", f"<p>{house.person}</p>")


def fill_runs(house: House) -> None:
    """Two runs and their results."""
    both = sorted([house.person, house.other])
    table = pa.table({"path": both, "label": ["x", "y"], "etag": ["1", "1"], "size": [9, 9]})
    answers = pa.Table.from_pylist(
        [{"path": path, "label": "x", "etag": "1", "file": "f", "row": 0} for path in both], schema=ANSWERS
    )
    key = house.person.removeprefix(f"s3://{house.bucket}/")
    notes: dict[str, Any] = {"reject_reasons": [{"example": house.person, "images": 1}], "listed": 2}
    for run in ("a", "b"):
        house.put(f"runs/{run}/manifest.parquet", parquet(table))
        house.put(f"runs/{run}/answers/part-00000.parquet", parquet(answers))
        house.put(f"runs/{run}/featurize.json", json.dumps(notes, ensure_ascii=False))
        house.put(f"runs/{run}/plan.json", json.dumps({"same_bytes": {"images": 2, "examples": [both]}}))
        house.put(f"runs/{run}/sync.json", json.dumps({"deleted_keys": [key]}))
        left_out = {"name": key.removeprefix("images/"), "reason": "hidden", "files": 1}
        house.put(f"runs/{run}/left_out.json", json.dumps({"left_out_files": [left_out]}))
        house.put(f"results/{run}/matrix.parquet", parquet(table.select(["path", "label"])))
        lines = "".join(f'"{path.replace(chr(34), chr(34) * 2)}","x",1.5\n' for path in both)
        house.put(f"results/{run}/matrix.csv", f"path,label,pc_1\n{lines}")
        house.put(f"results/{run}/matrix-excel.csv", excel_file(table.select(["path", "label"])))
        house.put(f"results/{run}/rejects-excel.csv", excel_file(table.select(["path", "label"])))
        house.put(f"results/{run}/explained_variance-excel.csv", "component\r\n1\r\n")
        house.put(f"results/{run}/run.json", json.dumps({"featurize": notes}))
        house.put(f"results/{run}/report.html", f"<p>{house.person}</p>")
        house.put(f"results/{run}/pca_model/model.json", "{}")
        house.put(f"results/{run}/explained_variance.csv", "component\n1\n")
        fill_explorer(house, run, both)
    house.put("results/clean/report.html", "<p>another run</p>")
    house.put("results/latest.json", "{}")


def fill_explorer(house: House, run: str, paths: list[str]) -> None:
    """The explorer of a run, with one sheet, in which the person is."""
    folder = f"results/{run}/explorer"
    house.put(f"{folder}/index.html", "<html></html>")
    house.put(f"{folder}/data/about.json", json.dumps({"sheets": {"count": 1}}))
    house.put(f"{folder}/data/points.parquet", parquet(pa.table({"path": paths, "label": ["x"] * len(paths)})))
    house.put(f"{folder}/data/sheet-0000.jpg", b"".join(thumbnail_of(path) for path in paths))


def erase(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, dict[str, Any]]:
    """Run the program here; its exit code and its last line."""
    monkeypatch.setattr(sys, "argv", ["erase_images.py", "--region", "eu-west-1", *words])
    code = erase_images.main()
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def once(first: Callable[[], object], then: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does something else before it, the first time it is called."""
    pending = [first]

    def called(*arguments: Any, **more: Any) -> Any:
        if pending:
            pending.pop()()
        return then(*arguments, **more)

    return called
