"""What may be copied to the bucket, whatever it is copied from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What is taken for a picture by its name; whether it is one, featurize finds out and writes down.
PICTURE_SUFFIXES = frozenset(
    ".avif .bmp .gif .heic .heif .jfif .jpe .jpeg .jpg .mpo .png .tif .tiff .webp".split()  # noqa: SIM905 -- readable
)
#: S3 refuses longer keys (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
MAX_KEY_BYTES = 1024

NO_PICTURE = "no picture by its name"
BAD_NAME = "its name cannot be a key of S3"


class SourceError(ValueError):
    """The source cannot be used; the message names it and says what to do."""


class UnreadableError(Exception):
    """A picture of the source was listed and then could not be read; the message is the reason to leave it out."""


@dataclass(frozen=True)
class LeftOut:
    """A file or folder of the source that is not copied.

    Attributes:
        name: its name there, as it can be printed.
        reason: why it is left out.
        key: the key that it would have: what the bucket has there, or below, is nothing that the source does not have.
    """

    name: str
    reason: str
    key: str


@dataclass(frozen=True)
class SourcePicture:
    """A picture of the source: its name there, the key that it has in the bucket, its size in bytes."""

    name: str
    key: str
    size: int


@dataclass(frozen=True)
class StoredPicture:
    """A picture as the bucket has it."""

    etag: str
    size: int
    modified: datetime


class Source(Protocol):
    """Where pictures are copied from."""

    def pictures(self) -> tuple[list[SourcePicture], list[LeftOut]]:
        """What is to be in the bucket, and what is left out."""

    def content(self, picture: SourcePicture) -> str:
        """What a picture holds: `md5:` or `etag:` and hex digits; asked from many threads. Raises UnreadableError.

        `md5:` is of its bytes, `etag:` what its own bucket calls it.
        """

    def copy(self, picture: SourcePicture, s3: "S3Client", bucket: str) -> None:
        """Copy a picture to its key, and its `content` with it; called from many threads. Raises UnreadableError."""


def leave_out(name: str, images_prefix: str, reason: str) -> LeftOut:
    """A file or folder of this name, left out."""
    return LeftOut(printable(name), reason, images_prefix + name)


def reason_to_leave_out(name: str, key: str) -> str | None:
    """Why a file is not copied, judged by its name alone; None when it is."""
    path = PurePosixPath(name)
    # What macOS adds to archives and foreign disks for each file, under the file's own name.
    if path.suffix.lower() not in PICTURE_SUFFIXES or path.name.startswith("._"):
        return NO_PICTURE
    return None if is_plain_name(name) and is_usable_key(key) else BAD_NAME


def is_plain_name(name: str) -> bool:
    """Whether a name leads down from where it stands: no `..`, no root, no drive, nothing that Windows reads so."""
    return not any(part in {"", ".", ".."} or part.endswith(":") for part in name.split("/")) and "\\" not in name


def is_usable_key(key: str) -> bool:
    """Whether S3 and every reader can hold the key: valid UTF-8, printable, not too long."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:  # a file name that is no UTF-8
        return False
    return len(encoded) <= MAX_KEY_BYTES and key.isprintable()


def printable(name: str) -> str:
    """A name as it can be written to a log or a file."""
    return name.encode("utf-8", "backslashreplace").decode()


def check_any(pictures: Iterable[SourcePicture], left_out: list[LeftOut], source: str) -> None:
    """Raise SourceError when there is no picture."""
    if not any(True for _ in pictures):
        raise SourceError(
            f"source is {source!r}: there is no picture in it "
            f"({len(left_out)} other files; pictures end in {', '.join(sorted(PICTURE_SUFFIXES))})"
        )
