"""Pictures in a folder of this machine."""

import contextlib
import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from verger.storage.left_out import LeftOut, leave_out, system_reason
from verger.sync.inside import NOT_A_FILE, open_inside, scan_inside, target_inside
from verger.sync.pictures import (
    MAX_KEY_BYTES,
    TOO_LONG,
    SourceError,
    SourcePicture,
    UnreadableError,
    check_any,
    reason_to_leave_out,
)
from verger.sync.stored import md5_content, put_picture

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_BLOCK = 1 << 18


class FolderSource:
    """A folder: what is below it is copied under the same names.

    A link to a file in the folder is copied as that file; one that leaves it, and every link to a folder, is left out.
    """

    def __init__(self, folder: Path, images_prefix: str) -> None:
        """Raises SourceError when there is no such folder. The folder itself may be reached by a link."""
        if not folder.is_dir():
            raise SourceError(f"source is {str(folder)!r}: there is no such folder on this machine")
        self.folder = folder
        self.images_prefix = images_prefix
        self._root = folder.resolve()

    def pictures(self) -> tuple[list[SourcePicture], list[LeftOut]]:
        """The pictures, by name; raises SourceError when there is none."""
        pictures: list[SourcePicture] = []
        left_out: list[LeftOut] = []
        for found in self._walk():
            if isinstance(found, LeftOut):
                left_out.append(found)
            else:
                pictures.append(found)
        pictures.sort(key=lambda picture: picture.name)
        left_out.sort(key=lambda entry: entry.name)
        check_any(pictures, left_out, str(self.folder))
        return pictures, left_out

    def content(self, picture: SourcePicture) -> str:
        """The MD5 of the file."""
        with self.open(picture.name) as file:
            return md5_content(md5_of(file))

    def copy(self, picture: SourcePicture, s3: "S3Client", bucket: str) -> None:
        """Put a file."""
        with self.open(picture.name) as file:
            digest = md5_of(file)
            file.seek(0)
            put_picture(s3, bucket, picture.key, file, digest)

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a picture's file, and no other; raises UnreadableError when that cannot be."""
        return open_inside(self._root, name)

    def _walk(self) -> Iterator[SourcePicture | LeftOut]:
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                with scan_inside(self._root, folder) as entries:
                    for entry in entries:
                        name = f"{folder}/{entry.name}" if folder else entry.name
                        if not entry.is_dir(follow_symlinks=False):
                            yield self._judge(name, entry)
                        elif reason := self._reason_to_leave_out_folder(name):
                            yield leave_out(f"{name}/", self.images_prefix, reason, self._count_files(name))
                        else:
                            folders.append(name)
            except (OSError, UnreadableError) as error:
                # Left out with all that is in it: unseen is not gone.
                reason = str(error) if isinstance(error, UnreadableError) else f"it cannot be read ({error.strerror})"
                if not folder:
                    raise SourceError(f"source is {str(self.folder)!r}: {reason}") from error
                yield self._leave_out(folder, reason)

    def _reason_to_leave_out_folder(self, name: str) -> str | None:
        if reason := system_reason(f"{name}/"):
            return reason
        return TOO_LONG if len(os.fsencode(self.images_prefix + name)) >= MAX_KEY_BYTES else None

    def _count_files(self, name: str) -> int:
        """How many files are below a folder that is left out, as far as it can be read; none is opened."""
        files, folders = 0, [name]
        while folders:
            folder = folders.pop()
            with contextlib.suppress(OSError, UnreadableError), scan_inside(self._root, folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(f"{folder}/{entry.name}")
                    else:
                        files += 1
        return files

    def _judge(self, name: str, entry: os.DirEntry[str]) -> SourcePicture | LeftOut:
        try:
            if entry.is_symlink():
                return self._judge_link(name)
            if reason := reason_to_leave_out(name, self.images_prefix + name):
                return self._leave_out(name, reason)
            if not entry.is_file(follow_symlinks=False):
                return self._leave_out(name, NOT_A_FILE)
            size = entry.stat(follow_symlinks=False).st_size
        except OSError as error:
            return self._leave_out(name, f"it cannot be read ({error.strerror})")
        return SourcePicture(name, self.images_prefix + name, size)

    def _judge_link(self, name: str) -> SourcePicture | LeftOut:
        try:
            target = target_inside(self._root, name)
            if (self._root / target).is_dir():
                return self._leave_out(name, "a link to a folder, which is not followed")
            if reason := reason_to_leave_out(name, self.images_prefix + name):
                return self._leave_out(name, reason)
            with open_inside(self._root, target) as file:
                return SourcePicture(name, self.images_prefix + name, os.fstat(file.fileno()).st_size)
        except UnreadableError as error:
            return self._leave_out(name, str(error))

    def _leave_out(self, name: str, reason: str) -> LeftOut:
        return leave_out(name, self.images_prefix, reason)


def md5_of(file: BinaryIO) -> str:
    """The MD5 of a file, in hex: the ETag of an object that was put in one part without KMS."""
    digest = hashlib.md5(usedforsecurity=False)
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
