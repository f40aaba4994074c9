"""Copying pictures to the bucket."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from mypy_boto3_s3 import S3Client
from verger.run.eu_guard import BucketMissingError, OutsideEuError
from verger.storage.layout import BucketLayout
from verger.sync.folder import FolderSource
from verger.sync.pictures import SourceError, SourcePicture
from verger.sync.source_address import check_source, open_source, shown_source
from verger.sync.stored import list_objects
from verger.sync.synchronize import for_each, synchronize

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
        for name in ("Pêche 1/a b.jpg", "2.png", "notes.txt", "folder/"):
            s3.put_object(Bucket=other, Key=f"season/{name}", Body=name.encode(), Metadata={"photographer": "Anna"})
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
