"""A person asks for erasure: afterwards nothing that was derived from the picture is anywhere in the bucket."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from verger_rules import table_erasure
from verger_rules.delta_table import live_files, open_table
from verger_rules.layout import run_slug
from verger_rules.schemas import FEATURIZED

from tests.erasure.house import LABEL, OTHER_MODEL, TABLE, House, erase
from tests.stored_tables import Row, keys_below, place_of, put_chunk, put_files, visible_rows
from tools import erase_images
from tools.erasure import feature_tables
from tools.erasure.objects import Bucket

versioned = pytest.mark.parametrize("house", ["Enabled"], indirect=True)


def read(house: House, key: str) -> bytes:
    return house.s3.get_object(Bucket=house.bucket, Key=key)["Body"].read()


def test_nothing_is_left_and_nothing_else_is_lost(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(house.traces()) > 25
    code, told = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert (code, told["clean"], told["pictures_left"], told["run_again"]) == (0, True, 0, [])
    assert house.traces() == set()
    keys = keys_below(house.s3, house.bucket)
    assert house.other.removeprefix(f"s3://{house.bucket}/") in keys
    assert {"results/a/matrix.csv", "results/a/pca_model/model.json", "results/clean/report.html"} <= keys
    assert {"results/a/explained_variance-excel.csv", "results/a/rejects-excel.csv"} <= keys
    assert read(house, "results/a/matrix-excel.csv") == f'\ufeffpath;label\r\n"{house.other}";"x"\r\n'.encode()
    assert not {key for key in keys if "/explorer/" in key or key == "results/a/report.html"}
    assert read(house, "results/a/matrix.csv").decode() == f'path,label,pc_1\n"{house.other}","x",1.5\n'
    rows = visible_rows(house.s3, house.bucket)
    third = f"s3://{house.bucket}/images/Apple/3.jpg"
    assert rows["path"].to_pylist() == [house.other] * 3 + [third], "of every decoder, and its reject"
    assert {row["decoder"] for row in rows.to_pylist() if row["path"] == house.other} >= {1}
    assert rows["features"][rows["outcome"].to_pylist().index(FEATURIZED)].as_py() is not None


@versioned
def test_what_counts_stays_as_it_was_for_the_runs_that_wrote_it(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(capsys, monkeypatch, house.person)
    table = open_table(place_of(house.s3, house.bucket))
    assert table is not None
    assert table.transaction_version(run_slug("third")) == 0, "a chunk that counted is not taken a second time"
    assert table.metadata().configuration["delta.logRetentionDuration"] == "interval 30 days"
    untouched = [file.name for file in live_files(table) if run_slug("third") in file.name]
    assert len(untouched) == 1, "files without the picture are not written again"
    assert visible_rows(house.s3, house.bucket, OTHER_MODEL).num_rows == 0


@versioned
def test_tables_of_earlier_releases_go_whoever_is_in_them(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, told = erase(capsys, monkeypatch, "s3://" + house.bucket + "/images/Nobody/1.jpg")
    assert (code, told["clean"], told["removed"]["earlier"]["deleted"]) == (0, True, 4)
    keys = keys_below(house.s3, house.bucket)
    assert not {key for key in keys if "/run=" in key or "_commits/" in key or key.startswith("rejects/")}
    assert told["removed"]["features"]["rows"] == 0
    killed = f"{TABLE}outcome=featurized/{run_slug('killed')}/"
    assert any(key.startswith(killed) for key in keys), "where nothing is erased, runs under way lose nothing"


@pytest.mark.parametrize("house", [""], indirect=True)
def test_a_few_thousand_pictures_are_erased_at_once(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    many = [Row(f"s3://{house.bucket}/images/Crowd/{number}.jpg", value=None) for number in range(4000)]
    put_chunk(house.s3, house.bucket, "crowd", many[:2500], at=9)
    put_chunk(house.s3, house.bucket, "crowd", many[2500:], at=9)
    asked = tmp_path / "addresses.txt"
    asked.write_text("".join(f"{row.path}\n" for row in many[:3999]))
    code, told = erase(capsys, monkeypatch, "--from-file", str(asked))
    assert (code, told["clean"], told["removed"]["rejects"]["rows"]) == (0, True, 3999)
    left = [path for path in visible_rows(house.s3, house.bucket)["path"].to_pylist() if "Crowd" in path]
    assert left == [many[3999].path]


def kill_at(monkeypatch: pytest.MonkeyPatch, stop_at: int) -> None:
    """Have the erasure stop at its n-th change of the bucket."""
    changes = 0

    def killed(change: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **more: Any) -> Any:
            nonlocal changes
            changes += 1
            if changes == stop_at:
                raise KeyboardInterrupt
            return change(*arguments, **more)

        return counted

    for name in ("put", "_delete"):
        monkeypatch.setattr(Bucket, name, killed(getattr(Bucket, name)))
    monkeypatch.setattr(feature_tables, "delete_images", killed(table_erasure.delete_images))
    for name in ("vacuum", "_forget_history"):
        monkeypatch.setattr(table_erasure, name, killed(getattr(table_erasure, name)))


@versioned
@pytest.mark.parametrize("stop_at", [1, 3, 8, 16, 21, 34, 55])
def test_killed_at_any_moment_it_finishes_when_run_again(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    with monkeypatch.context() as patched:
        kill_at(patched, stop_at)
        with pytest.raises(KeyboardInterrupt):
            erase(capsys, patched, "--with-picture", house.person)
    code, told = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert (code, told["clean"]) == (0, True)
    assert house.traces() == set()


@versioned
def test_a_dry_run_says_what_the_real_one_then_does(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = house.contents()
    _, promised = erase(capsys, monkeypatch, "--with-picture", "--dry-run", house.person)
    assert house.contents() == before
    _, done = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert promised["removed"] == done["removed"]
    assert done["removed"]["features"] == {"rows": 3, "rewritten": 2, "deleted": 3, "versions": 0}
    assert done["removed"]["rejects"]["rows"] == 1
    assert done["removed"]["unnamed"]["deleted"] == 1, "a killed run's"
    assert done["removed"]["walkthrough"] == {"rows": 0, "rewritten": 0, "deleted": 3, "versions": 1}
    assert done["removed"]["answers"]["rows"] == 2


@versioned
def test_a_second_erasure_finds_nothing(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    erase(capsys, monkeypatch, "--bucket", house.bucket, "--label", LABEL)
    before = house.contents()
    code, told = erase(capsys, monkeypatch, "--bucket", house.bucket, "--label", LABEL)
    assert code == 0
    assert all(not any(figures.values()) for figures in told["removed"].values())
    assert house.contents() == before


@versioned
def test_the_picture_stays_unless_asked_and_that_is_said(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["erase_images.py", house.person])
    assert erase_images.main() == 0
    said = capsys.readouterr().out
    assert "the next run computes them again" in said
    assert json.loads(said.splitlines()[-1])["pictures_left"] == 1


@pytest.mark.parametrize("house", ["", "Enabled"], indirect=True)
@pytest.mark.parametrize("count", ["1", None])
def test_sheets_that_an_earlier_publishing_left_behind_are_deleted(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, count: str | None
) -> None:
    """The run's tables and the explorer that is shown name the person no more; an old sheet shows the picture."""
    erase(capsys, monkeypatch, "--with-picture", house.person)
    data = "results/a/explorer/data"
    if count:
        house.put(f"{data}/about.json", json.dumps({"sheets": {"count": int(count)}}))
    house.put(f"{data}/sheet-0000.jpg", b"others")
    house.put(f"{data}/sheet-0001.jpg", house.person.encode())
    code, told = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert (code, told["clean"]) == (0, True)
    assert house.traces() == set()
    assert (f"{data}/sheet-0000.jpg" in keys_below(house.s3, house.bucket)) == bool(count)


@versioned
def test_an_explorer_that_names_a_picture_goes_though_the_matrix_does_not(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matrix.parquet", "matrix.csv", "matrix-excel.csv", "rejects-excel.csv", "run.json"):
        for page in house.s3.get_paginator("list_object_versions").paginate(
            Bucket=house.bucket, Prefix=f"results/a/{name}"
        ):
            for entry in page.get("Versions", ()):
                house.s3.delete_object(Bucket=house.bucket, Key=entry["Key"], VersionId=entry["VersionId"])
    code, told = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert (code, told["clean"]) == (0, True)
    assert house.traces() == set()


@versioned
def test_a_folder_without_a_log_is_cleaned(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first chunk of a model's first run, and a table that was deleted, of which versions are left."""
    for key in keys_below(house.s3, house.bucket, f"features/model={OTHER_MODEL}/"):
        house.s3.delete_object(Bucket=house.bucket, Key=key)
    first = place_of(house.s3, house.bucket, "0" * 15 + "1")
    put_files(house.s3, first, "first", 0, [Row(house.person, label=LABEL)])
    code, told = erase(capsys, monkeypatch, "--with-picture", house.person)
    assert (code, told["clean"]) == (0, True)
    assert house.traces() == set()


@versioned
def test_pictures_lie_where_the_environment_says(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERGER_IMAGES_PREFIX", " 2026/summer/ ")
    path = f"s3://{house.bucket}/2026/summer/Kiwi/1.jpg"
    house.put("2026/summer/Kiwi/1.jpg", b"a picture")
    house.put("runs/c/sync.json", json.dumps({"deleted_keys": ["2026/summer/Kiwi/2.jpg", "images/Kiwi/2.jpg"]}))
    put_chunk(house.s3, house.bucket, "elsewhere", [Row(path, label="Kiwi")], at=9)
    code, told = erase(capsys, monkeypatch, "--with-picture", "--bucket", house.bucket, "--label", "Kiwi")
    assert (code, told["clean"], told["pictures_left"]) == (0, True, 0)
    assert told["removed"]["pictures"]["deleted"] == told["removed"]["features"]["rows"] == 1
    assert json.loads(read(house, "runs/c/sync.json"))["deleted_keys"] == ["(erased)", "images/Kiwi/2.jpg"]


def test_a_wrong_prefix_of_the_environment_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERGER_IMAGES_PREFIX", "images")
    monkeypatch.setattr(sys, "argv", ["erase_images.py", "s3://b/images/1.jpg"])
    assert erase_images.main() == 2
    assert "VERGER_IMAGES_PREFIX is 'images'" in capsys.readouterr().err


FORMS = ["P\u00e2tisson", "Pa\u0302tisson"]


@versioned
@pytest.mark.parametrize("typed", FORMS)
@pytest.mark.parametrize("stored", FORMS)
def test_a_label_is_erased_in_whatever_normal_form_it_was_stored(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, typed: str, stored: str
) -> None:
    key = f"images/{stored}/1.jpg"
    house.put(key, b"a picture")
    put_chunk(house.s3, house.bucket, "forms", [Row(f"s3://{house.bucket}/{key}", label=stored)], at=9)
    house.put("runs/c/sync.json", json.dumps({"deleted_keys": [key]}, ensure_ascii=False))
    code, told = erase(capsys, monkeypatch, "--with-picture", "--bucket", house.bucket, "--label", typed)
    assert (code, told["clean"], told["pictures_left"], told["other_forms"]) == (0, True, 0, [])
    assert not any(key.encode() in content for content in house.contents().values())


@versioned
@pytest.mark.parametrize("ending", ["1.jpg", ""])
def test_an_address_is_taken_as_it_is_and_the_other_form_is_named(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    typed, stored = (f"s3://{house.bucket}/images/{form}/{ending}" for form in FORMS)
    row = stored.removesuffix("1.jpg") + "1.jpg"
    put_chunk(house.s3, house.bucket, "forms", [Row(row, label=FORMS[0])], at=9)
    code, told = erase(capsys, monkeypatch, typed)
    assert (code, told["other_forms"], told["removed"]["features"]["rows"]) == (0, [stored], 0)
    code, told = erase(capsys, monkeypatch, stored)
    assert (code, told["other_forms"], told["removed"]["features"]["rows"]) == (0, [], 1)


@versioned
def test_a_file_that_counts_and_cannot_be_read_stops_it(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = next(key for key in keys_below(house.s3, house.bucket, TABLE) if run_slug("third") in key)
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
        (["nonsense"], 2, "not an S3 address"),
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
