"""Copying pictures to the bucket."""

import base64
import contextlib
import hashlib
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st
from moto.s3.models import FakeKey
from mypy_boto3_s3 import S3Client
from verger.run.eu_guard import BucketMissingError, OutsideEuError
from verger.storage.layout import BucketLayout
from verger.storage.left_out import LeftOut
from verger.sync.folder import FolderSource
from verger.sync.pictures import SourceError, SourcePicture, UnreadableError
from verger.sync.source_address import check_source, open_source, shown_source
from verger.sync.stored import list_objects, put_picture
from verger.sync.synchronize import for_each, missing_keys, synchronize
from verger_rules.addresses import S3Address

NAMES = ["Apple Braeburn/0 100.jpg", "Pêche/é.PNG", "a+b/c%20#d=e.jpeg", "loose.webp"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in NAMES:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(name.encode())
    return tmp_path


def sync(s3: S3Client, bucket: str, address: str | Path, **switches: bool) -> dict[str, int]:
    layout = BucketLayout(bucket)
    with open_source(str(address), s3, layout) as opened:
        return synchronize(s3, layout, opened, **switches).counts()


def keys(s3: S3Client, bucket: str) -> set[str]:
    return set(list_objects(s3, BucketLayout(bucket).address("")))


def test_a_second_sync_copies_nothing_and_a_changed_picture_alone_is_copied_again(
    s3: S3Client, bucket: str, source: Path
) -> None:
    assert sync(s3, bucket, source)["copied"] == len(NAMES)
    assert keys(s3, bucket) == {f"images/{name}" for name in NAMES}
    assert sync(s3, bucket, source) == {"copied": 0, "unchanged": len(NAMES), "deleted": 0, "left_out": 0}
    (source / "loose.webp").write_bytes(b"LOOSE.webp")  # the same size
    assert sync(s3, bucket, source)["copied"] == 1
    assert s3.get_object(Bucket=bucket, Key="images/loose.webp")["Body"].read() == b"LOOSE.webp"


def test_pictures_are_deleted_only_when_told_to(s3: S3Client, bucket: str, source: Path) -> None:
    s3.put_object(Bucket=bucket, Key="images/old.jpg", Body=b"x")
    s3.put_object(Bucket=bucket, Key="results/old.jpg", Body=b"x")
    assert sync(s3, bucket, source)["deleted"] == 0
    assert "images/old.jpg" in keys(s3, bucket)
    assert sync(s3, bucket, source, delete_missing=True)["deleted"] == 1
    assert "images/old.jpg" not in keys(s3, bucket)
    assert "results/old.jpg" in keys(s3, bucket)


def test_an_interrupted_sync_goes_on_where_it_was(s3: S3Client, bucket: str, source: Path) -> None:
    class Dying(FolderSource):
        def copy(self, picture: SourcePicture, s3: S3Client, bucket: str) -> None:
            if picture.name == "loose.webp":
                raise ConnectionError("the machine is going down")
            super().copy(picture, s3, bucket)

    with pytest.raises(ConnectionError):
        synchronize(s3, BucketLayout(bucket), Dying(source, "images/"), delete_missing=True)
    done = sync(s3, bucket, source)
    assert done["copied"] + done["unchanged"] == len(NAMES)
    assert keys(s3, bucket) == {f"images/{name}" for name in NAMES}


def test_after_an_error_no_further_picture_is_begun() -> None:
    begun: list[str] = []
    lock = threading.Lock()

    def work(picture: SourcePicture) -> None:
        with lock:
            begun.append(picture.name)
        time.sleep(0.001)
        if picture.name == "5":
            raise OSError("no")

    with pytest.raises(OSError, match="no"):
        for_each([SourcePicture(str(number), "k", 1) for number in range(5000)], work, "done")
    assert len(begun) < 500


def test_each_picture_is_worked_on_exactly_once() -> None:
    done: list[str] = []
    names = [str(number) for number in range(1000)]
    for_each([SourcePicture(name, "k", 1) for name in names], lambda picture: done.append(picture.name), "done")
    assert sorted(done) == sorted(names)


# --- another bucket --------------------------------------------------------------------------------------------------


@contextmanager
def other_bucket(s3: S3Client, name: str, region: str = "eu-west-3") -> Iterator[str]:
    client = boto3.client("s3", endpoint_url=s3.meta.endpoint_url, region_name=region)
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})  # type: ignore[typeddict-item] # any region
    yield name


def test_pictures_of_another_bucket_are_copied_by_s3_and_only_what_changed(s3: S3Client, bucket: str) -> None:
    with other_bucket(s3, f"{bucket}-other") as other:
        for name in ("Pêche 1/a b.jpg", "2.png", "notes.txt"):
            s3.put_object(Bucket=other, Key=f"season/{name}", Body=name.encode(), Metadata={"photographer": "Anna"})
        s3.put_object(Bucket=other, Key="season/folder/", Body=b"")
        s3.put_object(Bucket=other, Key="elsewhere/3.jpg", Body=b"x")
        assert sync(s3, bucket, f"s3://{other}/season") == {"copied": 2, "unchanged": 0, "deleted": 0, "left_out": 1}
        assert keys(s3, bucket) == {"images/Pêche 1/a b.jpg", "images/2.png"}
        etag = s3.head_object(Bucket=other, Key="season/2.png")["ETag"].strip('"')
        # Nothing of the original's own metadata.
        assert s3.head_object(Bucket=bucket, Key="images/2.png")["Metadata"] == {"verger-content": f"etag:{etag}"}
        assert sync(s3, bucket, f"s3://{other}/season/")["copied"] == 0
        s3.put_object(Bucket=other, Key="season/2.png", Body=b"2.PNG")
        assert sync(s3, bucket, f"s3://{other}/season/")["copied"] == 1


def test_what_was_put_in_parts_is_not_copied_again_and_again(s3: S3Client, bucket: str) -> None:
    with other_bucket(s3, f"{bucket}-parts") as other:
        upload = s3.create_multipart_upload(Bucket=other, Key="1.jpg")["UploadId"]
        part = s3.upload_part(Bucket=other, Key="1.jpg", UploadId=upload, PartNumber=1, Body=b"x" * 100)
        s3.complete_multipart_upload(
            Bucket=other, Key="1.jpg", UploadId=upload,
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
        )  # fmt: skip
        time.sleep(1.1)  # S3 counts whole seconds
        assert sync(s3, bucket, f"s3://{other}/")["copied"] == 1
        assert sync(s3, bucket, f"s3://{other}/")["unchanged"] == 1


def test_other_pictures_of_the_same_names_and_sizes_are_copied_though_they_are_older(s3: S3Client, bucket: str) -> None:
    with other_bucket(s3, f"{bucket}-batches") as other:
        s3.put_object(Bucket=other, Key="batch2/1.jpg", Body=b"second")
        s3.put_object(Bucket=other, Key="batch1/1.jpg", Body=b"first.")
        time.sleep(1.1)  # S3 counts whole seconds
        assert sync(s3, bucket, f"s3://{other}/batch1/")["copied"] == 1
        assert sync(s3, bucket, f"s3://{other}/batch2/") == {"copied": 1, "unchanged": 0, "deleted": 0, "left_out": 0}
        assert s3.get_object(Bucket=bucket, Key="images/1.jpg")["Body"].read() == b"second"


def put_in_parts(s3: S3Client, bucket: str, key: str, body: bytes) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=body)
    s3.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )


def test_other_pictures_that_were_put_in_parts_are_copied_though_they_are_older(s3: S3Client, bucket: str) -> None:
    with other_bucket(s3, f"{bucket}-parted") as other:
        put_in_parts(s3, other, "batch2/1.jpg", b"second")
        put_in_parts(s3, other, "batch1/1.jpg", b"first.")
        time.sleep(1.1)
        assert sync(s3, bucket, f"s3://{other}/batch1/")["copied"] == 1
        assert sync(s3, bucket, f"s3://{other}/batch2/")["copied"] == 1
        assert s3.get_object(Bucket=bucket, Key="images/1.jpg")["Body"].read() == b"second"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("PreconditionFailed", "it changed since it was listed"),
        ("NoSuchKey", "it went since it was listed"),
        ("InvalidObjectState", "it is in an archive, restore it first"),
    ],
)
def test_an_original_that_cannot_be_copied_as_it_was_listed_is_left_out(
    s3: S3Client, bucket: str, code: str, reason: str
) -> None:
    """The server of these tests looks at no conditions: what S3 answers to them is put in."""
    s3.put_object(Bucket=bucket, Key="in/1.jpg", Body=b"x")
    etag = s3.head_object(Bucket=bucket, Key="in/1.jpg")["ETag"].strip('"')
    with open_source(f"s3://{bucket}/in/", s3, BucketLayout(bucket)) as opened:
        ((picture,), _) = opened.pictures()
        asked: dict[str, Any] = {}
        s3.meta.events.register("before-parameter-build.s3.CopyObject", lambda params, **_: asked.update(params))
        with Stubber(s3) as answers:
            answers.add_client_error("copy_object", code)
            with pytest.raises(UnreadableError, match=reason):
                opened.copy(picture, s3, bucket)
    assert asked["CopySourceIfMatch"] == etag


# --- buckets whose ETags say nothing of the content ------------------------------------------------------------------


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server gives each object an ETag of its own, as S3 does where a bucket encrypts with KMS by default."""
    put = FakeKey.__init__

    def remember(key: FakeKey, *arguments: Any, **others: Any) -> None:
        put(key, *arguments, **others)
        key.own_etag = f'"{uuid4().hex}"'

    monkeypatch.setattr(FakeKey, "__init__", remember)
    monkeypatch.setattr(FakeKey, "etag", property(lambda key: key.own_etag))


def source_of_kind(kind: str, folder: Path, s3: S3Client, bucket: str) -> str:
    if kind == "folder":
        return str(folder)
    if kind == "zip":
        file = folder.parent / f"{folder.name}.zip"
        with zipfile.ZipFile(file, "w") as made:
            for name in NAMES:
                made.write(folder / name, name)
        return str(file)
    other = f"{bucket}-{kind}"
    with contextlib.suppress(ClientError):
        s3.create_bucket(Bucket=other, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    etags = {key: stored.etag for key, stored in list_objects(s3, S3Address(other, "")).items()}
    for name in NAMES:
        content = (folder / name).read_bytes()
        if name not in etags or s3.get_object(Bucket=other, Key=name)["Body"].read() != content:
            s3.put_object(Bucket=other, Key=name, Body=content)
    return f"s3://{other}/"


@pytest.mark.usefixtures("kms")
@pytest.mark.parametrize("kind", ["folder", "zip", "bucket"])
def test_a_bucket_that_encrypts_with_kms_gets_only_what_changed(
    kind: str, s3: S3Client, bucket: str, source: Path
) -> None:
    assert sync(s3, bucket, source_of_kind(kind, source, s3, bucket))["copied"] == len(NAMES)
    before = {key: stored.etag for key, stored in list_objects(s3, BucketLayout(bucket).address("")).items()}
    md5 = hashlib.md5(NAMES[0].encode(), usedforsecurity=False).hexdigest()
    assert before[f"images/{NAMES[0]}"] != md5, "the server's ETags should say nothing"
    assert sync(s3, bucket, source_of_kind(kind, source, s3, bucket))["unchanged"] == len(NAMES)
    (source / "loose.webp").write_bytes(b"LOOSE.webp")  # the same size
    assert sync(s3, bucket, source_of_kind(kind, source, s3, bucket)) == {
        "copied": 1, "unchanged": len(NAMES) - 1, "deleted": 0, "left_out": 0,
    }  # fmt: skip
    after = {key: stored.etag for key, stored in list_objects(s3, BucketLayout(bucket).address("")).items()}
    assert {key for key in after if after[key] != before[key]} == {"images/loose.webp"}


@pytest.mark.usefixtures("kms")
def test_what_somebody_else_put_in_the_place_of_a_copy_is_copied_again(s3: S3Client, bucket: str, source: Path) -> None:
    sync(s3, bucket, source)
    s3.put_object(Bucket=bucket, Key="images/loose.webp", Body=b"LOOSE.webp")
    assert sync(s3, bucket, source)["copied"] == 1
    assert s3.get_object(Bucket=bucket, Key="images/loose.webp")["Body"].read() == b"loose.webp"


def test_a_file_that_is_written_while_it_is_copied_is_left_out(s3: S3Client, bucket: str) -> None:
    """S3 compares what came with the MD5 that goes with it; the server of these tests does not."""
    asked: dict[str, Any] = {}
    s3.meta.events.register("before-parameter-build.s3.PutObject", lambda params, **_: asked.update(params))
    with Stubber(s3) as answers:
        answers.add_client_error("put_object", "BadDigest")
        with pytest.raises(UnreadableError, match="it changed while it was read"):
            put_picture(s3, bucket, "images/1.jpg", b"x", hashlib.md5(b"x", usedforsecurity=False).hexdigest())
    assert base64.b64decode(asked["ContentMD5"]) == hashlib.md5(b"x", usedforsecurity=False).digest()


# --- what is deleted -------------------------------------------------------------------------------------------------


def test_what_the_source_has_is_never_deleted_though_it_is_left_out(s3: S3Client, bucket: str, source: Path) -> None:
    (source / "dangling.jpg").symlink_to("nowhere.jpg")
    (source / "linked").symlink_to("a+b", target_is_directory=True)
    (source / "notes.txt").write_text("x")
    left_out = ["images/dangling.jpg", "images/linked/1.jpg", "images/notes.txt"]
    for key in [*left_out, "images/linked.jpg", "images/gone.jpg", *(f"images/{name}" for name in NAMES)]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert sync(s3, bucket, source, delete_missing=True)["deleted"] == 2
    assert keys(s3, bucket) == {*left_out, *(f"images/{name}" for name in NAMES)}


def test_what_a_zip_has_is_never_deleted_though_it_is_left_out(s3: S3Client, bucket: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr("1.jpg", b"x")
        made.writestr("bzip2.jpg", b"x", zipfile.ZIP_BZIP2)
        made.writestr("secret.jpg", b"y")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[content.rindex(b"PK\x01\x02") + 8] |= 1  # encrypted
    (tmp_path / "a.zip").write_bytes(content)
    for name in ("1.jpg", "bzip2.jpg", "secret.jpg", "gone.jpg"):
        s3.put_object(Bucket=bucket, Key=f"images/{name}", Body=b"old")
    sync(s3, bucket, tmp_path / "a.zip", delete_missing=True)
    assert keys(s3, bucket) == {"images/1.jpg", "images/bzip2.jpg", "images/secret.jpg"}


def test_more_than_half_is_deleted_only_with_a_second_switch(s3: S3Client, bucket: str, source: Path) -> None:
    for number in range(4):
        s3.put_object(Bucket=bucket, Key=f"images/old/{number}.jpg", Body=b"x")
    with pytest.raises(SourceError, match=r"delete 4 of the bucket's 4 pictures.*set delete_more_than_half"):
        sync(s3, bucket, source, delete_missing=True)
    assert keys(s3, bucket) == {f"images/old/{number}.jpg" for number in range(4)}, "nothing is copied either"
    assert sync(s3, bucket, source)["copied"] == len(NAMES)
    # Half of them is not more than half.
    assert sync(s3, bucket, source, delete_missing=True)["deleted"] == 4
    s3.put_object(Bucket=bucket, Key="images/old.jpg", Body=b"x")
    for name in NAMES[1:]:
        (source / name).unlink()
    done = sync(s3, bucket, source, delete_missing=True, delete_more_than_half=True)
    assert (done["deleted"], keys(s3, bucket)) == (len(NAMES), {f"images/{NAMES[0]}"})
    s3.put_object(Bucket=bucket, Key="images/old.jpg", Body=b"x")
    assert sync(s3, bucket, source, delete_more_than_half=True)["deleted"] == 0, "it alone deletes nothing"


def test_files_of_systems_do_not_hide_that_more_than_half_of_the_pictures_would_go(
    s3: S3Client, bucket: str, source: Path
) -> None:
    for key in ["old/1.jpg", *(f"@eaDir/{number}.jpg" for number in range(9))]:
        s3.put_object(Bucket=bucket, Key=f"images/{key}", Body=b"x")
    (source / "@eaDir").mkdir()
    (source / "@eaDir" / "x.jpg").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"delete 1 of the bucket's 1 pictures"):
        sync(s3, bucket, source, delete_missing=True)


PARTS = st.lists(st.sampled_from(["a", "b", "c.jpg", "", ".."]), min_size=1, max_size=4).map("/".join).filter(bool)


@given(st.sets(PARTS), st.sets(PARTS), st.sets(PARTS))
def test_no_key_of_the_source_is_ever_among_those_that_are_deleted(
    present: set[str], pictures: set[str], left_out: set[str]
) -> None:
    deleted = missing_keys(
        present,
        [SourcePicture(name, name, 1) for name in pictures],
        [LeftOut(name, "a reason", name) for name in left_out],
    )
    assert set(deleted) <= present - pictures - left_out
    for key in deleted:
        assert not any(name and key.startswith(f"{name}/") for name in left_out)


def test_a_bucket_outside_the_eu_is_no_source(s3: S3Client, bucket: str) -> None:
    with other_bucket(s3, f"{bucket}-london", "eu-west-2") as other:
        for use in (sync, lambda s3, bucket, address: check_source(address, s3, BucketLayout(bucket))):
            with pytest.raises(OutsideEuError, match="eu-west-2"):
                use(s3, bucket, f"s3://{other}/")


@pytest.mark.parametrize("place", ["", "images/", "images/apple/"])
def test_the_bucket_s_own_pictures_are_no_source(s3: S3Client, bucket: str, place: str) -> None:
    with pytest.raises(SourceError, match="one lies in the other"):
        sync(s3, bucket, f"s3://{bucket}/{place}")


def test_another_folder_of_the_same_bucket_is_a_source(s3: S3Client, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="incoming/apple/1.jpg", Body=b"x")
    assert sync(s3, bucket, f"s3://{bucket}/incoming/")["copied"] == 1


# --- what cannot be a source -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("http://example.org/a.zip", SourceError, "a folder or a zip file of Airflow's machine"),
        ("ftp://example.org/a.zip", SourceError, "https address of a zip"),
        ("https://anna:secret@example.org/a.zip", SourceError, "leave the password out"),
        ("s3://", SourceError, "write s3://bucket/key"),
        ("s3://not-there-at-all/x/", BucketMissingError, "not-there-at-all"),
        ("/nowhere/at/all", SourceError, "no such folder"),
    ],
)
def test_what_cannot_be_a_source_is_one_clear_error_before_anything_happens(
    s3: S3Client, bucket: str, address: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as raised:
        check_source(address, s3, BucketLayout(bucket))
    assert "secret" not in str(raised.value)
    assert keys(s3, bucket) == set()


def test_an_address_is_shown_without_its_tokens() -> None:
    assert shown_source("https://h.example/a.zip?X-Amz-Signature=abc#t") == "https://h.example/a.zip"
    assert shown_source("s3://b/a?b") == "s3://b/a?b"
    assert shown_source("/srv/a#b") == "/srv/a#b"


def test_a_bucket_that_refuses_the_copy_says_so(s3: S3Client, bucket: str, source: Path) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        for_each(
            [SourcePicture("loose.webp", "images/loose.webp", 1)],
            lambda picture: FolderSource(source, "images/").copy(picture, s3, "not-there-at-all"),
            "copied",
        )
    assert keys(s3, bucket) == set()
