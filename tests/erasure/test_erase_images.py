"""A person asks for erasure: afterwards nothing that was derived from the picture is anywhere in the bucket."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mypy_boto3_s3 import S3Client
from spark_jobs.commit_records import read_commits, visible
from spark_jobs.committed_rows import read_table_rows
from verger.plan.feature_table import list_commits, read_done_images
from verger.storage.aws_clients import arrow_filesystem
from verger.storage.layout import BucketLayout
from verger_rules.addresses import S3Address
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.layout import TableLayout

from spark_jobs.pca.excel_csv import excel_file
from spark_jobs.store.object_store import StoreSettings
from tests.stored_tables import FINGERPRINT, Row, keys_below, parquet, put_commit
from tools import erase_images
from tools.erasure import feature_tables
from tools.erasure.objects import Bucket
from tools.erasure.run_files import erase_from_results

OTHER_MODEL = "fedcba9876543210"


@dataclass(frozen=True)
class House:
    """A bucket in which a person's picture is everywhere."""

    s3: S3Client
    bucket: str
    person: str
    other: str

    def contents(self) -> list[bytes]:
        """Every version of every object, Parquet as the text of its cells."""
        found = []
        for page in self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket):
            for entry in page.get("Versions", ()):
                body = self.s3.get_object(Bucket=self.bucket, Key=entry["Key"], VersionId=entry["VersionId"])[
                    "Body"
                ].read()
                found.append(
                    repr(pq.read_table(io.BytesIO(body)).to_pylist()).encode() if body[:4] == b"PAR1" else body
                )
        return found

    def mentions(self, path: str) -> int:
        """In how many object versions an address stands."""
        forms = {path.encode(), json.dumps(path)[1:-1].encode(), repr(path)[1:-1].encode()}
        return sum(any(form in content for form in forms) for content in self.contents())

    def put(self, key: str, body: bytes | str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def layout(self) -> TableLayout:
        return TableLayout(S3Address(self.bucket, "features"), S3Address(self.bucket, "rejects"), FINGERPRINT)


@pytest.fixture(params=["", "Enabled", "Suspended"], ids=["unversioned", "versioned", "suspended"])
def house(s3: S3Client, bucket: str, request: pytest.FixtureRequest) -> House:
    if request.param:
        status = {"Status": "Enabled"}
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=status)  # type: ignore[arg-type]  # a literal
    person = f"s3://{bucket}/images/Été +100%/Zoë #1 =x'\".jpg"
    other = f"s3://{bucket}/images/Apple/2.jpg"
    house = House(s3, bucket, person, other)
    fill(house)
    if request.param == "Suspended":
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    return house


def fill(house: House) -> None:
    s3, bucket, person, other = house.s3, house.bucket, house.person, house.other
    for path in (person, other):
        house.put(path.removeprefix(f"s3://{bucket}/"), b"a picture")
    mine = Row(person, label="Été +100%")
    old = put_commit(s3, bucket, "first", [Row(person, label="Été +100%", value=None), Row(other, value=None)], at=0)
    put_commit(s3, bucket, "second", [mine, Row(other, value=3.0)], at=1)
    # A table of before has no column of the decoder; a later one may hold rows of any.
    before = [Row(person, label="Été +100%", decoder=None), Row(other, decoder=None)]
    put_commit(s3, bucket, "of before", before, at=0)
    later = [Row(person, label="Été +100%", decoder=DECODER_VERSION + 1), Row(person, label="Été +100%", decoder=1)]
    put_commit(s3, bucket, "of other decoders", [*later, Row("s3://b/images/4.jpg", decoder=1)], at=1)
    put_commit(s3, bucket, "third", [Row(f"s3://{bucket}/images/Apple/3.jpg")], at=2)
    put_commit(s3, bucket, "compacted", [Row(other, value=None)], at=3, replaces=[old])
    put_commit(s3, bucket, "elsewhere", [mine], fingerprint=OTHER_MODEL)
    house.put(f"features/model={FINGERPRINT}/run=killed/chunk=0/part-0.parquet", parquet(pa.table(
        {"path": [person], "etag": ["1"], "label": ["Été +100%"], "features": [np.zeros(3)]}
    )))  # fmt: skip
    both = pa.table({"path": sorted([person, other]), "label": ["x", "y"], "etag": ["1", "1"], "size": [9, 9]})
    for run in ("a", "b"):
        house.put(f"runs/{run}/manifest.parquet", parquet(both))
        notes = {"reject_reasons": [{"example": person, "images": 1}], "listed": 2}
        house.put(f"runs/{run}/featurize.json", json.dumps(notes, ensure_ascii=False))
        house.put(f"results/{run}/matrix.parquet", parquet(both.select(["path", "label"])))
        lines = "".join(f'"{path.replace(chr(34), chr(34) * 2)}","x",1.5\n' for path in sorted([person, other]))
        house.put(f"results/{run}/matrix.csv", f"path,label,pc_1\n{lines}")
        house.put(f"results/{run}/matrix-excel.csv", excel_file(both.select(["path", "label"])))
        house.put(f"results/{run}/rejects-excel.csv", excel_file(both.select(["path", "label"])))
        house.put(f"results/{run}/explained_variance-excel.csv", "component\r\n1\r\n")
        house.put(f"results/{run}/run.json", json.dumps({"featurize": notes}))
        house.put(f"results/{run}/report.html", f"<p>{person}</p>")
        house.put(f"results/{run}/explorer/index.html", f"<img alt={person}>")
        house.put(f"results/{run}/pca_model/model.json", "{}")
        house.put(f"results/{run}/explained_variance.csv", "component\n1\n")
    house.put("results/clean/report.html", "<p>another run</p>")
    house.put("results/latest.json", "{}")
    own = "features/walkthrough/walkthrough-1"
    house.put(f"{own}/features/model={FINGERPRINT}/run=w/chunk=0/part-0.parquet", parquet(both))
    house.put(f"{own}/manifest.parquet", parquet(both))
    house.put(f"{own}/thumbnails/1.jpg", f"a thumbnail of {person}")
    house.put(f"{own}/thumbnails/1.jpg", "another one")


def erase(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, dict[str, Any]]:
    """Run the program here; its exit code and its last line."""
    monkeypatch.setattr(sys, "argv", ["erase_images.py", "--region", "eu-west-1", *words])
    code = erase_images.main()
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_nothing_is_left_and_nothing_else_is_lost(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, aws: str
) -> None:
    assert house.mentions(house.person) > 12
    code, told = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert (code, told["clean"], told["pictures_left"]) == (0, True, 0)
    assert house.mentions(house.person) == 0
    keys = keys_below(house.s3, house.bucket)
    assert house.other.removeprefix(f"s3://{house.bucket}/") in keys
    assert {"results/a/matrix.csv", "results/a/pca_model/model.json", "results/clean/report.html"} <= keys
    assert {"results/a/explained_variance-excel.csv", "results/a/rejects-excel.csv"} <= keys
    twin = house.s3.get_object(Bucket=house.bucket, Key="results/a/matrix-excel.csv")["Body"].read()
    assert twin == f'\ufeffpath;label\r\n"{house.other}";"x"\r\n'.encode()
    assert not {"results/a/report.html", "results/a/explorer/index.html"} & keys
    csv = house.s3.get_object(Bucket=house.bucket, Key="results/a/matrix.csv")["Body"].read().decode()
    assert csv == f'path,label,pc_1\n"{house.other}","x",1.5\n'
    rows = read_table_rows(StoreSettings(aws, "eu-west-1"), house.layout())
    found = [
        (row["path"], rows.files[int(file)].is_features)
        for row, file in zip(rows.keys.to_pylist(), rows.file, strict=True)
    ]
    assert max(found) == (f"s3://{house.bucket}/images/Apple/3.jpg", True)
    assert (house.other, True) in found


@pytest.mark.parametrize("house", ["Enabled"], indirect=True)
def test_both_sides_see_the_same_rows_afterwards(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, aws: str
) -> None:
    erase(capsys, monkeypatch, house.person)
    rows = read_table_rows(StoreSettings(aws, "eu-west-1"), house.layout())
    spark_side = {(row["path"], row["etag"]) for row in rows.keys.to_pylist()}
    layout = BucketLayout(house.bucket)
    commits = list_commits(house.s3, layout, FINGERPRINT)
    done = read_done_images(arrow_filesystem(None, "eu-west-1"), house.bucket, commits)
    assert done.features | done.rejects | done.otherwise == spark_side
    decoders = dict(zip(rows.keys["path"].to_pylist(), rows.keys["decoder"].to_pylist(), strict=True))
    assert decoders["s3://b/images/4.jpg"] == 1, "an erasure does not make an old row a new one"
    assert {path for path, _ in done.otherwise} == {"s3://b/images/4.jpg"}
    assert {record.name for record in visible(read_commits(StoreSettings(aws, "eu-west-1"), house.layout()))} == {
        commit.name for commit in commits
    }


@pytest.mark.parametrize("house", ["Enabled"], indirect=True)
@pytest.mark.parametrize("stop_at", [1, 2, 3, 5, 8, 13, 21])
def test_killed_at_any_moment_it_finishes_when_run_again(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    changes = 0

    def killed_at(change: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            nonlocal changes
            changes += 1
            if changes == stop_at:
                raise KeyboardInterrupt
            return change(*arguments)

        return counted

    with monkeypatch.context() as patched:
        for name in ("put", "put_once", "_delete"):
            patched.setattr(Bucket, name, killed_at(getattr(Bucket, name)))
        with pytest.raises(KeyboardInterrupt):
            erase(capsys, patched, "--with-picture", house.person)
    code, told = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert (code, told["clean"]) == (0, True)
    assert house.mentions(house.person) == 0


@pytest.mark.parametrize("house", ["Enabled"], indirect=True)
def test_a_dry_run_says_what_the_real_one_then_does(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = house.contents()
    _, promised = erase(capsys, monkeypatch, "--with-picture", "--dry-run", house.person)
    assert house.contents() == before
    _, done = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert promised["removed"] == done["removed"]
    assert done["removed"]["features"]["rows"] == 5, "of every decoder"
    assert done["removed"]["rejects"]["rows"] == 0, "the reject was replaced already; its file goes all the same"
    assert done["removed"]["rejects"]["deleted"] == 1
    assert done["removed"]["walkthrough"] == {"rows": 0, "rewritten": 0, "deleted": 3, "versions": 1}


@pytest.mark.parametrize("house", ["Enabled"], indirect=True)
def test_a_second_erasure_finds_nothing(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(capsys, monkeypatch, "--bucket", house.bucket, "--label", "Été +100%")
    code, told = erase(capsys, monkeypatch, "--bucket", house.bucket, "--label", "Été +100%")
    assert code == 0
    assert all(not any(figures.values()) for figures in told["removed"].values())


@pytest.mark.parametrize("house", ["Enabled"], indirect=True)
def test_the_picture_stays_unless_asked_and_that_is_said(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["erase_images.py", house.person])
    assert erase_images.main() == 0
    said = capsys.readouterr().out
    assert "the next run computes them again" in said
    assert json.loads(said.splitlines()[-1])["pictures_left"] == 1


@pytest.mark.parametrize("house", ["Enabled"], indirect=True)
def test_of_an_erasure_and_another_rewrite_the_slower_begins_again(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = feature_tables.plan_rewrite
    done: list[str] = []

    def beaten_once(table: feature_tables.ModelTable) -> Any:
        planned = plan(table)
        if not done and table.fingerprint == FINGERPRINT:
            done.append(put_commit(house.s3, house.bucket, "verger-rewrite", [Row("s3://b/images/9.jpg")], at=9))
        return planned

    monkeypatch.setattr(feature_tables, "plan_rewrite", beaten_once)
    code, told = erase(capsys, monkeypatch, house.person)
    assert done
    assert (code, told["clean"]) == (0, True)
    layout = BucketLayout(house.bucket)
    names = {commit.name for commit in list_commits(house.s3, layout, FINGERPRINT)}
    assert done[0] in names, "the faster rewrite still counts"


def put_in_flight(house: House) -> Callable[[], object]:
    """A chunk whose files are there and whose record is not; what is returned commits it, as featurize would."""
    rows = [Row(house.person, label="Été +100%"), Row("s3://b/images/in flight.jpg", value=None)]
    name = put_commit(house.s3, house.bucket, "under way", rows, at=30)
    key = f"features/model={FINGERPRINT}/_commits/{name}.json"
    content = house.s3.get_object(Bucket=house.bucket, Key=key)["Body"].read()
    house.s3.delete_object(Bucket=house.bucket, Key=key)
    return lambda: house.put(key, content)


def once(first: Callable[[], object], then: Callable[..., Any]) -> Callable[..., Any]:
    """A function that does something else before it, the first time it is called."""
    pending = [first]

    def called(*arguments: Any, **more: Any) -> Any:
        if pending:
            pending.pop()()
        return then(*arguments, **more)

    return called


def paths_read(house: House, aws: str) -> set[str]:
    """What a reader finds in the table."""
    return set(read_table_rows(StoreSettings(aws, "eu-west-1"), house.layout()).keys["path"].to_pylist())


def test_a_chunk_that_is_committed_while_its_file_is_deleted_leaves_the_table_readable(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, aws: str
) -> None:
    commit = put_in_flight(house)
    monkeypatch.setattr(feature_tables, "plan_rewrite", once(commit, feature_tables.plan_rewrite))
    code, told = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert (code, told["clean"], told["removed"]["records"]["rewritten"]) == (0, True, 1)
    assert house.mentions(house.person) == 0
    assert {"s3://b/images/in flight.jpg", house.other} <= paths_read(house, aws), "only the file that went is missing"


def test_a_chunk_that_is_committed_still_later_is_said_and_mended_by_the_next_erasure(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, aws: str
) -> None:
    commit = put_in_flight(house)
    with monkeypatch.context() as patched:
        patched.setattr(erase_images, "erase_from_results", once(commit, erase_from_results))
        code, told = erase(capsys, patched, "--with-picture", house.person)
    assert (code, told["clean"]) == (1, False)
    code, told = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert (code, told["clean"]) == (0, True)
    assert {"s3://b/images/in flight.jpg", house.other} <= paths_read(house, aws)


@pytest.mark.parametrize("house", ["Enabled"], indirect=True)
def test_a_table_of_which_every_file_is_gone_becomes_an_empty_one(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, aws: str
) -> None:
    for key in keys_below(house.s3, house.bucket):
        if key.endswith(".parquet") and f"model={FINGERPRINT}" in key:
            house.s3.delete_object(Bucket=house.bucket, Key=key)
    code, told = erase(capsys, monkeypatch, house.person)
    assert (code, told["clean"], told["removed"]["records"]["rewritten"]) == (0, True, 5)
    assert paths_read(house, aws) == set()


@pytest.mark.parametrize("house", ["Enabled"], indirect=True)
def test_a_file_that_counts_and_cannot_be_read_stops_it(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(key for key in keys_below(house.s3, house.bucket, f"features/model={FINGERPRINT}/run=third"))
    house.put(key, b"PAR1 no more")
    monkeypatch.setattr(sys, "argv", ["erase_images.py", house.person])
    assert erase_images.main() == 1
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert key in error[0]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["s3://verger-no-such-bucket/images/1.jpg"], 1, "NoSuchBucket"),
        (["--from-file", "no such file", "s3://b/images/1.jpg"], 2, "no such file"),
        (["nonsense"], 2, "no S3 address"),
    ],
)
def test_bad_input_is_one_line(project: Path, aws: str, words: list[str], code: int, message: str) -> None:
    done = subprocess.run(
        [sys.executable, project / "tools" / "erase_images.py", *words],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert (done.returncode, len(done.stderr.splitlines())) == (code, 1), done.stderr
    assert message in done.stderr
    assert aws
