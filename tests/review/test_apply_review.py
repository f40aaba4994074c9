"""A person applies a review: pictures are moved and deleted as it says, and only as it says."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from verger.plan.listing import images_of, objects_page_by_page
from verger.storage.layout import BucketLayout
from verger.storage.left_out import LeftOutFiles
from verger.sync.folder import FolderSource
from verger.sync.synchronize import synchronize

from tests.review.orchards import MEANT, fill
from tools import apply_review

if TYPE_CHECKING:
    from pathlib import Path

    from tests.review.orchards import Events, Orchard


def planned(orchard: Orchard) -> dict[str, str]:
    """The label of each picture that a run would list now, by the code that plans it."""
    layout = BucketLayout(orchard.bucket)
    pages = objects_page_by_page(orchard.s3, layout)
    rows = [row for page in pages for row in images_of(page, layout, LeftOutFiles()).to_pylist()]
    return {row["path"].removeprefix(f"s3://{orchard.bucket}/images/"): row["label"] for row in rows}


@pytest.mark.usefixtures("conditions")
def test_what_was_marked_is_done_and_the_next_run_learns_it(orchard: Orchard) -> None:
    fill(orchard)
    told = orchard.run("--apply")
    assert (told.code, told.complaints) == (0, [])
    assert told.counts == {
        "bucket": orchard.bucket, "applied": True, "moved": 2, "deleted": 1, "unchanged": 1, "gone": 1, "refused": 0,
    }  # fmt: skip
    assert orchard.pictures() == MEANT
    assert planned(orchard) == {
        "Training/Kiwi/1.jpg": "Kiwi",
        "Training/Apple/3.jpg": "Apple",
        "Test/Apple/1.jpg": "Apple",
        "Plum/4.jpg": "Plum",
    }
    assert "moved      images/Training/Apple/1.jpg -> images/Training/Kiwi/1.jpg\n" in told.out
    again = orchard.run("--apply")
    assert (again.code, again.counts["gone"], orchard.pictures()) == (0, 4, MEANT)


def test_without_apply_it_only_tells(orchard: Orchard) -> None:
    fill(orchard)
    before = orchard.pictures()
    told = orchard.run()
    assert (told.code, told.counts["applied"], orchard.pictures()) == (0, False, before)
    lines = told.out.splitlines()
    assert lines[:5] == [
        "move       images/Training/Apple/1.jpg -> images/Training/Kiwi/1.jpg",
        "delete     images/Training/Apple/2.jpg",
        "nothing    images/Training/Apple/3.jpg  (look again)",
        "move       images/4.jpg -> images/Plum/4.jpg",
        "gone       images/Training/Apple/9.jpg",
    ]
    assert lines[5].startswith("would be: 2 moved, 1 deleted, 1 unchanged, 1 gone, 0 refused; nothing was done yet")
    assert lines[6].endswith("written as they are meant? images/Plum/, images/Training/Kiwi/")
    orchard.put("Training/Kiwi/7.jpg")
    assert orchard.run().out.splitlines()[6].endswith("written as they are meant? images/Plum/")


def test_one_bad_row_stops_all_of_them(orchard: Orchard) -> None:
    fill(orchard)
    before = orchard.pictures()
    orchard.review(("Training/Apple/2.jpg", "remove"), ("Training/Apple/1.jpg", "wrong label", "../Kiwi"))
    told = orchard.run("--apply")
    assert (told.code, told.out, len(told.complaints), orchard.pictures()) == (2, "", 1, before)
    assert told.complaints[0].startswith("verger: error: line 3: the new label is '../Kiwi'")


@pytest.mark.usefixtures("conditions")
def test_the_copy_is_the_picture_with_all_that_is_said_of_it(orchard: Orchard) -> None:
    more: Any = {"ContentType": "image/jpeg", "Metadata": {"camera": "left"}, "Tagging": "batch=7"}
    orchard.put("Pe\u0302che +1 #/a b%é.jpg", b"x", StorageClass="STANDARD_IA", CacheControl="no-store", **more)
    orchard.review(("Pe\u0302che +1 #/a b%é.jpg", "wrong label", "=Kiwi & co +%"))
    assert orchard.run("--apply").counts["moved"] == 1
    assert list(orchard.pictures()) == ["=Kiwi & co +%/a b%é.jpg"]
    place: Any = {"Bucket": orchard.bucket, "Key": "images/=Kiwi & co +%/a b%é.jpg"}
    head = orchard.s3.head_object(**place)
    assert (head["ContentType"], head["Metadata"], head["StorageClass"]) == (
        "image/jpeg", {"camera": "left"}, "STANDARD_IA",
    )  # fmt: skip
    assert head["CacheControl"] == "no-store"
    assert orchard.s3.get_object_tagging(**place)["TagSet"] == [{"Key": "batch", "Value": "7"}]


def test_nothing_is_overwritten_and_the_same_picture_is_not_kept_twice(orchard: Orchard) -> None:
    for label, body in (("Apple", b"one"), ("Kiwi", b"another"), ("Plum", b"one")):
        orchard.put(f"{label}/1.jpg", body)
    orchard.review(("Apple/1.jpg", "wrong label", "Kiwi"))
    assert (orchard.run().code, orchard.run().counts["refused"]) == (3, 1)
    told = orchard.run("--apply")
    assert (told.code, told.counts["refused"], len(orchard.pictures())) == (3, 1, 3)
    assert "(another picture has that name there: use --old-label-in-name" in told.out
    orchard.review(("Apple/1.jpg", "wrong label", "Plum"))
    assert orchard.run("--apply").counts["moved"] == 1
    assert orchard.pictures() == {"Kiwi/1.jpg": b"another", "Plum/1.jpg": b"one"}
    orchard.review(("Plum/1.jpg", "wrong label", "Kiwi"))
    assert orchard.run("--apply", "--old-label-in-name").code == 0
    assert orchard.pictures() == {"Kiwi/1.jpg": b"another", "Kiwi/Plum 1.jpg": b"one"}


def test_bytes_count_where_etags_do_not_say_that_they_are_the_same(orchard: Orchard) -> None:
    """An ETag of an upload in parts is not that of the bytes."""
    s3, bucket, key = orchard.s3, orchard.bucket, "images/Apple/1.jpg"
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"one")["ETag"]
    parts: Any = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=parts)
    orchard.put("Kiwi/1.jpg", b"one")
    orchard.put("Plum/1.jpg", b"two")
    orchard.review(("Apple/1.jpg", "wrong label", "Plum"))
    assert orchard.run("--apply").counts["refused"] == 1
    orchard.review(("Apple/1.jpg", "wrong label", "Kiwi"))
    assert orchard.run("--apply").counts["moved"] == 1
    assert orchard.pictures() == {"Kiwi/1.jpg": b"one", "Plum/1.jpg": b"two"}


@pytest.mark.parametrize("mark", [("remove",), ("wrong label", "Kiwi")])
def test_a_picture_that_changed_since_is_left_alone(orchard: Orchard, mark: tuple[str, str]) -> None:
    orchard.put("Apple/1.jpg", b"one")
    etag = orchard.s3.head_object(Bucket=orchard.bucket, Key="images/Apple/1.jpg")["ETag"].strip('"')
    orchard.review(("Apple/1.jpg", *mark), etag=etag)
    orchard.put("Apple/1.jpg", b"two")
    told = orchard.run("--apply")
    assert (told.code, told.counts["refused"], orchard.pictures()) == (3, 1, {"Apple/1.jpg": b"two"})
    assert "it changed since it was reviewed" in told.out
    orchard.review(("Apple/1.jpg", *mark))
    earlier = (datetime.now(UTC) - timedelta(hours=1)).timestamp()
    os.utime(orchard.file, (earlier, earlier))
    told = orchard.run("--apply")
    assert (told.code, told.counts["refused"], orchard.pictures()) == (3, 1, {"Apple/1.jpg": b"two"})
    assert "it was stored after the review was saved" in told.out


def test_it_says_what_a_later_sync_would_undo(orchard: Orchard, tmp_path: Path) -> None:
    (tmp_path / "fruit" / "Apple").mkdir(parents=True)
    (tmp_path / "fruit" / "Apple" / "1.jpg").write_bytes(b"a kiwi")
    layout = BucketLayout(orchard.bucket)
    synchronize(orchard.s3, layout, FolderSource(tmp_path / "fruit", layout.images_prefix))
    orchard.review(("Apple/1.jpg", "wrong label", "Kiwi"))
    for words in ((), ("--apply",)):
        assert "1 of them were copied here from a source. A later run with that source" in orchard.run(*words).out
    synchronize(
        orchard.s3,
        layout,
        FolderSource(tmp_path / "fruit", layout.images_prefix),
        delete_missing=True,
        delete_more_than_half=True,
    )
    assert list(orchard.pictures()) == ["Apple/1.jpg"], "what it says is so"


def test_a_bucket_that_keeps_versions_keeps_what_was_deleted(orchard: Orchard) -> None:
    orchard.s3.put_bucket_versioning(Bucket=orchard.bucket, VersioningConfiguration={"Status": "Enabled"})
    orchard.put("Apple/1.jpg", b"a hand")
    orchard.review(("Apple/1.jpg", "remove"))
    told = orchard.run("--apply", VERGER_SOURCE="/data/\x1b[2J")
    assert "the bucket keeps versions" in told.out
    assert "VERGER_SOURCE is /data/\\x1b[2J. Of pictures that lie there" in told.out
    assert orchard.pictures() == {}
    version = orchard.s3.list_object_versions(Bucket=orchard.bucket)["Versions"][0]
    old = orchard.s3.get_object(Bucket=orchard.bucket, Key=version["Key"], VersionId=version["VersionId"])
    assert old["Body"].read() == b"a hand"


def test_names_cannot_act_on_the_terminal(orchard: Orchard) -> None:
    name = "Apple/\x1b]0;owned\x07 \u202egpj.jpg"
    orchard.put(name)
    orchard.review((name, "remove"))
    told = orchard.run("--apply")
    assert (told.code, orchard.pictures()) == (0, {})
    assert "deleted    images/Apple/\\x1b]0;owned\\x07 \\u202egpj.jpg\n" in told.out
    orchard.review((name, "wrong label", "\x1b[2J"))
    told = orchard.run()
    assert told.code == 2
    assert all(character.isprintable() for character in "".join(told.complaints))


def test_a_bucket_outside_the_eu_is_refused(orchard: Orchard, events: Events, aws: str) -> None:
    elsewhere = boto3.client("s3", endpoint_url=aws, region_name="eu-west-2")
    elsewhere.create_bucket(Bucket="apples-of-london", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    asked = []
    events.on("before-call.s3", lambda model, **_: asked.append(model.name))
    orchard.file.write_text("path,mark,new_label\ns3://apples-of-london/images/Apple/1.jpg,remove,\n")
    told = orchard.run("--apply", "--bucket", "apples-of-london")
    assert (told.code, told.out, len(told.complaints)) == (2, "", 1)
    assert "'eu-west-2', which is not in the EU" in told.complaints[0]
    assert set(asked) <= {"HeadBucket", "GetBucketLocation"}


@pytest.mark.parametrize(
    ("words", "environment", "code", "complaint"),
    [
        ([], {"VERGER_BUCKET": ""}, 2, "which bucket?"),
        (["--bucket", "verger-no-such-bucket"], {}, 2, "cannot be read"),
        (["--images-prefix", "results/"], {}, 2, "--images-prefix is 'results/'"),
        (["--images-prefix", "other/"], {}, 2, "not a picture below"),
        ([], {"VERGER_IMAGES_PREFIX": "results/"}, 2, "VERGER_IMAGES_PREFIX"),
        ([], {"AWS": "down"}, 1, "Could not connect"),
    ],
)
def test_bad_input_is_one_line(
    orchard: Orchard, words: list[str], environment: dict[str, str], code: int, complaint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    orchard.review(("Apple/1.jpg", "remove"))
    if bucket := dict(zip(words[::2], words[1::2], strict=True)).get("--bucket"):
        orchard.file.write_text(f"path,mark,new_label\ns3://{bucket}/images/Apple/1.jpg,remove,\n")
    if environment.pop("AWS", ""):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setattr(apply_review, "Config", lambda **_: None)
    told = orchard.run("--apply", *words, **environment)
    assert (told.code, told.out, len(told.complaints)) == (code, "", 1)
    assert complaint in told.complaints[0]


def test_the_program_runs_from_a_shell(orchard: Orchard, project: Path) -> None:
    fill(orchard)
    command = [sys.executable, "tools/apply_review.py", str(orchard.file), "--bucket", orchard.bucket, "--apply"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr, orchard.pictures()) == (0, "", MEANT)
    missing = subprocess.run([*command[:2], "no-such.csv"], cwd=project, capture_output=True, text=True, check=False,
                             timeout=120, env={**os.environ, "VERGER_BUCKET": orchard.bucket})  # fmt: skip
    assert (missing.returncode, missing.stderr) == (2, "verger: error: no-such.csv: No such file or directory\n")
