"""What a run has to do."""

import json
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mypy_boto3_s3 import S3Client
from verger.plan import frozen_list
from verger.plan.frozen_list import deciding, freeze_list
from verger.plan.listing import NoImagesError, check_any_image
from verger.plan.planning import Plan, make_plan, redecoded_warning, write_left_out
from verger.plan.same_bytes import find_same_bytes, same_bytes_warning
from verger.run.settings import SettingError, Settings
from verger.storage.json_objects import read_json
from verger.storage.layout import BucketLayout, RunLayout
from verger.storage.left_out import SYSTEM_FOLDER
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.schemas import MANIFEST

from tests.verger.plan.planned import ListedImage, listed, listed_quickly, space_of

SETTINGS = Settings(bucket="fruits", region="eu-west-1", k=1)
HOSTILE_KEYS = [
    "images/Apple Braeburn/0 100.jpg",
    "images/Pêche/é.jpg",
    "images/a+b/c+d.jpg",
    "images/100%/%20.jpg",
    "images/hash#/x#y.jpg",
    "images/a=b/c=d.jpg",
    "images/<img onerror=alert(1)>/'\".jpg",
    "images//double.jpg",
    "images/🍎/🍏.jpg",
]
NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
ETAGS = st.sampled_from(["1", "2", "3"])


def image(name: str, etag: str = "1") -> ListedImage:
    return ListedImage(f"s3://fruits/images/{name}", etag, "", 7)


def plan_of(images: list[ListedImage], settings: Settings = SETTINGS, left_out: int = 0, **done: Any) -> Plan:
    """The plan; `done` are the arguments of `space_of`."""
    with space_of(images, **done) as space:
        frozen = freeze_list(space, deciding("f" * 16, settings))
        return make_plan(space, frozen, settings, run_id="r", fingerprint="f" * 16, created_at="now", left_out=left_out)


def inputs_digest(images: list[ListedImage], fingerprint: str, settings: Settings) -> str:
    with space_of(images) as space:
        return freeze_list(space, deciding(fingerprint, settings)).inputs_digest


def same_bytes(images: list[ListedImage]) -> dict[str, Any]:
    with space_of(images) as space:
        return find_same_bytes(space)


def pairs(items: dict[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset((image(name).path, etag) for name, etag in items.items())


@given(
    listed=st.dictionaries(NAMES, ETAGS, min_size=1),
    featurized=st.dictionaries(NAMES, ETAGS),
    rejected=st.dictionaries(NAMES, ETAGS),
    otherwise=st.dictionaries(NAMES, ETAGS),
    retry=st.booleans(),
)
def test_every_listed_image_is_either_done_or_to_do(
    listed: dict[str, str],
    featurized: dict[str, str],
    rejected: dict[str, str],
    otherwise: dict[str, str],
    retry: bool,
) -> None:
    settings = replace(SETTINGS, retry_rejects=retry, max_reject_rate=1.0)
    listed = listed | {"y": "1", "z": "1"}  # so that there is something to fit
    images = [image(name, etag) for name, etag in listed.items()]
    plan = plan_of(images, settings, features=pairs(featurized), rejects=pairs(rejected), otherwise=pairs(otherwise))
    assert plan.done + plan.todo == plan.listed == len(listed)
    assert plan.new + plan.changed + plan.redecoded == plan.todo
    expected = {n for n, e in listed.items() if featurized.get(n) != e and (retry or rejected.get(n) != e)}
    assert plan.todo == len(expected)
    assert plan.bytes_todo == 7 * len(expected)
    assert plan.redecoded == sum(otherwise.get(name) == listed[name] for name in expected)
    known = featurized.keys() | rejected.keys() | otherwise.keys()
    assert plan.new == len(expected - known)


def test_pictures_decoded_by_other_rules_are_counted_apart_from_changed_ones() -> None:
    otherwise = pairs({"features": "1", "reject": "1", "changed": "1"})
    images = [image("features"), image("reject"), image("changed", "2"), image("new")]
    plan = plan_of(images, otherwise=otherwise)
    assert (plan.todo, plan.redecoded, plan.changed, plan.new) == (4, 2, 1, 1)
    assert "2 pictures had been decoded by the rules of another version" in redecoded_warning(plan.redecoded)
    assert plan.decoder == DECODER_VERSION


def test_an_image_whose_content_changed_is_to_do_again() -> None:
    images = [image("a", "new"), image("b")]
    plan = plan_of(images, features=pairs({"a": "old", "b": "1"}))
    assert (plan.todo, plan.changed, plan.new) == (1, 1, 0)


def test_what_the_last_run_had_and_the_bucket_lacks_is_gone() -> None:
    plan = plan_of([image("a"), image("c")], previous={image(name).path for name in "abc"})
    assert plan.gone == 1


def test_the_digest_changes_with_whatever_decides_the_matrix() -> None:
    base = inputs_digest([image("a")], "model", SETTINGS)
    others = [
        inputs_digest([image("a", "2")], "model", SETTINGS),
        inputs_digest([image("b")], "model", SETTINGS),
        inputs_digest([image("a"), image("b")], "model", SETTINGS),
        inputs_digest([image("a")], "other", SETTINGS),
        inputs_digest([image("a")], "model", Settings(bucket="fruits", region="eu-west-1", k=2)),
        inputs_digest([image("a")], "model", Settings(bucket="fruits", region="eu-west-1", k=1, variance=0.5)),
        inputs_digest([image("a")], "model", Settings(bucket="fruits", region="eu-west-1", k=1, standardize=True)),
    ]
    assert len({base, *others}) == len(others) + 1
    # What only changes where and how fast it runs does not.
    assert base == inputs_digest(
        [image("a")], "model", Settings(bucket="fruits", region="eu-west-1", k=1, core_nodes=9)
    )


def test_the_digest_changes_with_the_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a run whose features were computed anew, and which then failed, would be followed by "nothing changed"."""
    before = inputs_digest([image("a")], "model", SETTINGS)
    monkeypatch.setattr(frozen_list, "DECODER_VERSION", DECODER_VERSION + 1)
    assert inputs_digest([image("a")], "model", SETTINGS) != before


def test_a_run_that_cannot_have_its_components_is_refused_by_the_plan() -> None:
    with pytest.raises(SettingError, match=r"k is 3, but there are 2 images"):
        plan_of([image("a"), image("b")], replace(SETTINGS, k=3))


def test_hostile_keys_come_through_the_listing_and_the_manifest_unharmed(s3: S3Client, bucket: str) -> None:
    for key in HOSTILE_KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.put_object(Bucket=bucket, Key="images/folder/", Body=b"")
    s3.put_object(Bucket=bucket, Key="other/x.jpg", Body=b"x")
    layout = BucketLayout(bucket)
    _, images = listed_quickly(layout)
    assert images == listed(s3, layout)[1]
    with space_of(images) as space:
        table = pq.read_table(freeze_list(space, b"").file)
    assert table.schema.remove_metadata() == MANIFEST
    assert table["path"].to_pylist() == sorted(f"s3://{bucket}/{key}" for key in HOSTILE_KEYS)
    assert set(table["label"].to_pylist()) >= {"Apple Braeburn", "Pêche", "a+b", "100%", "hash#", "a=b", "", "🍎"}
    assert table["size"].to_pylist() == [
        len(path.removeprefix(f"s3://{bucket}/").encode()) for path in table["path"].to_pylist()
    ]
    assert not any('"' in etag for etag in table["etag"].to_pylist())


def test_an_empty_folder_is_one_clear_error(bucket: str) -> None:
    with pytest.raises(NoImagesError, match=f"s3://{bucket}/images/"):
        check_any_image(listed_quickly(BucketLayout(bucket))[0], BucketLayout(bucket))


def test_files_of_systems_alone_are_no_pictures_and_counted_in_the_error(s3: S3Client, bucket: str) -> None:
    for key in (".DS_Store", "@eaDir/1.jpg", "@eaDir/2.jpg"):
        s3.put_object(Bucket=bucket, Key=f"images/{key}", Body=b"x")
    with pytest.raises(NoImagesError, match="but 3 hidden files and files of systems"):
        check_any_image(listed_quickly(BucketLayout(bucket))[0], BucketLayout(bucket))


def test_what_the_plan_leaves_out_is_counted_named_and_bounded(s3: S3Client, bucket: str) -> None:
    run = RunLayout(BucketLayout(bucket), "manual__1")
    hidden = (*(f".git/{number}" for number in range(30)), *(f"x/._{number}.jpg" for number in range(9)))
    for key in ("a.jpg", "b.jpg", *hidden):
        s3.put_object(Bucket=bucket, Key=f"images/{key}", Body=b"x")
    listing, images = listed_quickly(run.layout)
    summary = write_left_out(s3, run, listing.left_out)
    assert summary["files"] == 39
    assert [(found["files"], len(found["examples"])) for found in summary["reasons"]] == [(30, 1), (9, 5)]
    written = read_json(s3, run.left_out_of_bucket)
    assert written
    assert (written["run_id"], written["left_out"], written["left_out_reasons"]) == (
        "manual__1",
        39,
        summary["reasons"],
    )
    assert written["left_out_files"][0] == {"name": ".git/", "reason": SYSTEM_FOLDER, "files": 30}
    assert sum(entry["files"] for entry in written["left_out_files"]) == 39
    plan = plan_of(images, left_out=summary["files"])
    assert json.loads(plan.to_json())["left_out"] == 39


def test_keys_that_differ_in_their_normal_form_only_are_two_pictures_of_one_label(s3: S3Client, bucket: str) -> None:
    for name in ("P\u00e2tisson", "Pa\u0302tisson"):
        s3.put_object(Bucket=bucket, Key=f"images/{name}/1.jpg", Body=b"x")
    _, images = listed_quickly(BucketLayout(bucket))
    assert [image.label for image in images] == ["P\u00e2tisson"] * 2
    assert len({image.path for image in images}) == 2
    # The same bytes twice under one label are nobody's mistake.
    assert same_bytes(images)["images"] == 0


def test_a_label_that_was_brought_to_its_form_since_is_a_change() -> None:
    macos = ListedImage("s3://fruits/images/Pa\u0302tisson/1.jpg", "1", "Pa\u0302tisson", 7)
    composed = replace(macos, label="P\u00e2tisson")
    assert inputs_digest([macos], "model", SETTINGS) != inputs_digest([composed], "model", SETTINGS)


def labelled(label: str, name: str, etag: str, size: int = 7) -> ListedImage:
    return ListedImage(f"s3://fruits/images/{label}/{name}", etag, label, size)


def test_pictures_of_a_renamed_folder_are_told_by_name() -> None:
    images = [labelled(label, f"{n}.jpg", f"e{n}") for label in ("Apple Red 1", "Apple Red") for n in range(25)]
    images += [labelled("Kiwi", "1.jpg", "k"), labelled("Kiwi", "copy.jpg", "k")]  # twice under one label: no matter
    images += [labelled("Pear", "1.jpg", "k", size=8)]  # another size: other bytes
    images += [labelled("Pear", "empty.jpg", "0", size=0), labelled("Kiwi", "empty.jpg", "0", size=0)]
    same = same_bytes(images)
    assert same["images"] == 50
    assert len(same["examples"]) == 10
    assert same["examples"][0] == ["s3://fruits/images/Apple Red 1/0.jpg", "s3://fruits/images/Apple Red/0.jpg"]
    assert "50 pictures" in same_bytes_warning(same["images"])


def test_what_is_told_of_the_same_bytes_does_not_grow_with_them() -> None:
    many = [labelled(f"label {n % 500:03}", f"{n}.jpg", "one") for n in range(2000)]
    assert same_bytes(many) == {
        "images": 2000,
        "examples": [[min(f"s3://fruits/images/label {n:03}/{m}.jpg" for m in range(n, 2000, 500)) for n in range(10)]],
    }


@given(st.lists(st.tuples(NAMES, ETAGS, st.sampled_from([1, 2])), max_size=30))
def test_the_same_bytes_are_those_that_a_comparison_of_all_finds(listed: list[tuple[str, str, int]]) -> None:
    images = [labelled(label, f"{n}.jpg", etag, size) for n, (label, etag, size) in enumerate(listed)]
    expected = sum(
        any((other.etag, other.size) == (one.etag, one.size) and other.label != one.label for other in images)
        for one in images
    )
    found = same_bytes(images)
    assert found["images"] == expected
    assert bool(found["examples"]) == bool(expected)
