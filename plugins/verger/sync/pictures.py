"""What may be copied to the bucket, whatever it is copied from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol

from verger.storage.file_names import harmful_character
from verger.storage.left_out import LeftOut, count_files, system_reason

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: What is taken for a picture by its name; whether it is one, featurize finds out and writes down.
PICTURE_SUFFIXES = frozenset(
    ".avif .bmp .gif .heic .heif .jfif .jpe .jpeg .jpg .mpo .png .tif .tiff .webp".split()  # noqa: SIM905 -- readable
)
#: S3 refuses longer keys (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html).
MAX_KEY_BYTES = 1024

NO_PICTURE = "no picture by its name"
NOT_UTF8 = "its name is not UTF-8"
TOO_LONG = f"its key would have more than the {MAX_KEY_BYTES:,} bytes that S3 takes"
LEADS_ELSEWHERE = "its name would lead elsewhere: it holds a backslash, a drive, an empty part, . or .."


class SourceError(ValueError):
    """The source cannot be used; the message names it and says what to do."""


class UnreadableError(Exception):
    """A picture of the source was listed and then could not be read; the message is the reason to leave it out."""


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


def reason_to_leave_out(name: str, key: str) -> str | None:
    """Why a file is not copied, judged by its name alone; None when it is."""
    if reason := system_reason(name):
        return reason
    if PurePosixPath(name).suffix.lower() not in PICTURE_SUFFIXES:
        return NO_PICTURE
    return reason_not_to_be_a_key(name, key)


def reason_not_to_be_a_key(name: str, key: str) -> str | None:
    """Why a name of a source cannot be below the images prefix in S3; None when every reader can hold it there."""
    try:
        encoded = key.encode()
    except UnicodeEncodeError:
        return NOT_UTF8
    if character := harmful_character(key):
        return f"its name holds {character}, which would act on a terminal or in a page"
    if not is_plain_name(name):
        return LEADS_ELSEWHERE
    return TOO_LONG if len(encoded) > MAX_KEY_BYTES else None


def is_plain_name(name: str) -> bool:
    """Whether a name leads down from where it stands: no `..`, no root, no drive, nothing that Windows reads so."""
    return not any(part in {"", ".", ".."} or part.endswith(":") for part in name.split("/")) and "\\" not in name


def check_any(pictures: Iterable[SourcePicture], left_out: list[LeftOut], source: str) -> None:
    """Raise SourceError when there is no picture."""
    if not any(True for _ in pictures):
        raise SourceError(
            f"source is {source!r}: there is no picture in it "
            f"({count_files(left_out):,} other files; pictures end in {', '.join(sorted(PICTURE_SUFFIXES))})"
        )
