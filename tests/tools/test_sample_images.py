"""Samples: the same seed takes the same pictures, more adds to fewer, from and to folders and buckets alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import sample_images
from tools.sampling.choice import SampleSize, by_label, choose
from tools.sampling.places import BucketPlace, FolderPlace

if TYPE_CHECKING:
    from pathlib import Path

    from mypy_boto3_s3 import S3Client

LABELS = ["Apple Braeburn", "Pêche Plate", "100% Orange", "Kaki+", "Grape Blue #2", "Cherry=Rainier"]
COLLECTIONS = st.dictionaries(
    st.sampled_from(LABELS), st.sets(st.integers(0, 99), min_size=1, max_size=12), min_size=2
).map(lambda found: {label: [f"{label}/{number}.jpg" for number in numbers] for label, numbers in found.items()})


def names_of(chosen: dict[str, list[str]]) -> set[str]:
    return {name for names in chosen.values() for name in names}


@given(COLLECTIONS, st.integers(1, 12), st.integers(0, 5))
def test_every_label_gives_what_was_asked_for_or_all_it_has(
    labels: dict[str, list[str]], per_label: int, seed: int
) -> None:
    chosen = choose(labels, SampleSize(per_label, seed=seed))
    assert {label: len(names) for label, names in chosen.items()} == {
        label: min(per_label, len(names)) for label, names in labels.items()
    }
    assert all(set(chosen[label]) <= set(labels[label]) for label in labels)


@given(COLLECTIONS, st.integers(1, 8), st.integers(0, 4), st.integers(0, 5))
def test_a_larger_sample_holds_the_smaller_one(
    labels: dict[str, list[str]], per_label: int, more: int, seed: int
) -> None:
    small = choose(labels, SampleSize(per_label, labels=1, seed=seed))
    large = choose(labels, SampleSize(per_label + more, labels=2, seed=seed))
    assert names_of(small) <= names_of(large)


@given(COLLECTIONS, st.integers(1, 8), st.randoms())
def test_the_order_in_which_pictures_are_listed_does_not_matter(
    labels: dict[str, list[str]], per_label: int, random: object
) -> None:
    mixed = {label: sorted(names, key=lambda _: random.random()) for label, names in labels.items()}  # type: ignore[attr-defined]
    assert choose(labels, SampleSize(per_label)) == choose(mixed, SampleSize(per_label))


def test_another_seed_takes_others() -> None:
    labels = {label: [f"{label}/{number}.jpg" for number in range(50)] for label in LABELS}
    assert choose(labels, SampleSize(5, seed=1)) != choose(labels, SampleSize(5, seed=2))
    assert set(choose(labels, SampleSize(1, labels=3, seed=1))) != set(choose(labels, SampleSize(1, labels=3, seed=2)))


def test_the_label_is_the_last_folder_and_what_lies_in_none_is_left_out() -> None:
    found = by_label(["Training/Kiwi/1.jpg", "Test/Kiwi/1.jpg", "Pear/2.jpg", "3.jpg"])
    assert found == {"Kiwi": ["Training/Kiwi/1.jpg", "Test/Kiwi/1.jpg"], "Pear": ["Pear/2.jpg"]}


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A folder of pictures under hostile names, and files that are none."""
    folder = tmp_path / "all"
    for label in LABELS:
        (folder / label).mkdir(parents=True)
        for number in range(6):
            (folder / label / f"été #{number} + 100%=x.jpg").write_bytes(f"{label} {number}".encode())
    (folder / "readme.txt").write_text("no picture")
    return folder


def run(*arguments: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(sample_images.__file__), *arguments]
    variables = dict(os.environ) | (environment or {})
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=variables)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    last: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return last


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_from_folder_to_folder_and_again_nothing_is_copied_twice(collection: Path, tmp_path: Path) -> None:
    first = run(collection, tmp_path / "few", "--labels", "3", "--per-label", "4")
    assert (told(first)["copied"], told(first)["labels"], told(first)["short"]) == (12, 3, [])
    found = contents(tmp_path / "few")
    assert len(found) == 12
    assert all(contents(collection)[name] == content for name, content in found.items())
    next(iter(sorted((tmp_path / "few").rglob("*.jpg")))).write_bytes(b"spoilt")
    assert told(run(collection, tmp_path / "few", "--labels", "3", "--per-label", "4"))["copied"] == 1
    assert contents(tmp_path / "few") == found


def test_labels_by_name_and_a_dry_run_that_copies_nothing(collection: Path, tmp_path: Path) -> None:
    asked: list[str | Path] = [collection, tmp_path / "few", "--per-label", "9"]
    asked += ["--label", "Kaki+", "--label", "100% Orange"]
    assert told(run(*asked, "--dry-run"))["copied"] == 12
    assert not (tmp_path / "few").exists()
    assert told(run(*asked))["short"] == ["100% Orange", "Kaki+"]
    assert {name.partition("/")[0] for name in contents(tmp_path / "few")} == {"100% Orange", "Kaki+"}


def test_through_a_bucket_and_back(collection: Path, tmp_path: Path, s3: S3Client, bucket: str) -> None:
    there = f"s3://{bucket}/images/"
    assert told(run(collection, there, "--per-label", "5"))["copied"] == 30
    assert told(run(collection, there, "--per-label", "6"))["copied"] == 6
    assert told(run(there, f"s3://{bucket}/few", "--per-label", "2", "--labels", "2"))["copied"] == 4
    assert told(run(there, f"s3://{bucket}/few", "--per-label", "2", "--labels", "2"))["copied"] == 0
    assert told(run(f"s3://{bucket}/few/", tmp_path / "back", "--per-label", "2"))["copied"] == 4
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix="few/")["Contents"]]
    back = contents(tmp_path / "back")
    assert sorted(back) == sorted(key.removeprefix("few/") for key in keys)
    assert all(contents(collection)[name] == content for name, content in back.items())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["{all}", "{few}", "--per-label", "0"], "at least 1 picture"),
        (["{all}", "{few}", "--per-label", "1", "--labels", "7"], "there are only 6"),
        (["{all}", "{few}", "--per-label", "1", "--label", "Durian"], "'Durian' is not there"),
        (["{few}", "{all}", "--per-label", "1"], "there is no such folder"),
        (["{all}", "{all}/few", "--per-label", "1"], "lie in each other"),
        (["gs://x/y", "{few}", "--per-label", "1"], "neither a folder nor"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    collection: Path, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    places = {"all": str(collection), "few": str(tmp_path / "few")}
    done = run(*(word.format(**places) for word in arguments))
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("verger: error: ")
    assert complaint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "few").exists()


def test_a_bucket_outside_the_eu_is_refused(collection: Path, aws: str) -> None:
    s3 = boto3.client("s3", endpoint_url=aws, region_name="us-west-2")
    s3.create_bucket(Bucket="fruits-overseas", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    done = run(collection, "s3://fruits-overseas/images/", "--per-label", "1")
    assert done.returncode == 2
    assert "not in the EU" in done.stderr
    assert "Contents" not in s3.list_objects_v2(Bucket="fruits-overseas")


def test_a_name_that_leads_out_of_the_folder_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="outside"):
        FolderPlace(tmp_path / "few").write("../outside.jpg", b"x")
    assert not (tmp_path / "outside.jpg").exists()


def test_a_bucket_lists_pictures_only(s3: S3Client, bucket: str) -> None:
    for key in ("images/Kiwi/1.jpg", "images/Kiwi/", "images/Kiwi/notes.txt", "other/Kiwi/2.jpg"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert BucketPlace(s3, bucket, "images/").names() == ["Kiwi/1.jpg"]
