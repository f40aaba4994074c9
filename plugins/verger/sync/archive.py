"""Pictures in a zip: nothing is unpacked unmeasured, or written under a name that it chose."""

import hashlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from verger.storage.file_names import printable
from verger.storage.left_out import LeftOut, LeftOutFiles, leave_out
from verger.sync.pictures import SourceError, SourcePicture, check_any, reason_to_leave_out
from verger.sync.stored import md5_content, put_picture
from verger.sync.zip_file import ArchiveError, ZipArchive, reason_not_to_read
from verger.sync.zip_names import read_name

if TYPE_CHECKING:
    import zipfile

    from mypy_boto3_s3 import S3Client


log = logging.getLogger(__name__)

REPLACED = "another entry of the same name comes after it in the zip"


class ZipSource:
    """A zip file on this machine; its names become the bucket's."""

    def __init__(self, file: Path, images_prefix: str, shown: str = "") -> None:
        """Open it; raises SourceError when it is not a zip, or a bomb.

        `shown` is how it is called in messages, the file's own path if empty.
        """
        self.images_prefix = images_prefix
        self.shown = shown or str(file)
        try:
            self._archive = ZipArchive(file)
        except ArchiveError as error:
            raise self._wrong(error) from error
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self._replaced: list[str] = []
        self._name_entries()

    def _name_entries(self) -> None:
        guessed: dict[str, list[str]] = {}
        for entry in self._archive.entries():
            name, code_page = read_name(entry)
            # The last of several entries of one name is the one that an unpacker would leave.
            if name in self._entries:
                self._replaced.append(name)
            self._entries[name] = entry
            if code_page:
                guessed.setdefault(code_page, []).append(name)
        for code_page, names in guessed.items():
            log.warning(
                "%s does not say how %d of its names are written, and they are not UTF-8: they are read as %s, for "
                "example %r. If that is wrong, pack the pictures with a program that writes UTF-8",
                self.shown, len(names), code_page, printable(names[0]),
            )  # fmt: skip

    def close(self) -> None:
        """Let the file go."""
        self._archive.close()

    def pictures(self) -> tuple[list[SourcePicture], list[LeftOut]]:
        """The pictures, by name; raises SourceError when there is none."""
        pictures: list[SourcePicture] = []
        found = LeftOutFiles()
        for name in self._replaced:
            found.add(leave_out(name, self.images_prefix, REPLACED))
        for name, entry in sorted(self._entries.items()):
            key = self.images_prefix + name
            if reason := reason_to_leave_out(name, key) or reason_not_to_read(entry):
                found.add(leave_out(name, self.images_prefix, reason))
            else:
                pictures.append(SourcePicture(name, key, entry.file_size))
        left_out = found.entries()
        check_any(pictures, left_out, self.shown)
        return pictures, left_out

    def content(self, picture: SourcePicture) -> str:
        """The MD5 of the unpacked entry; raises SourceError when it is damaged."""
        try:
            return md5_content(self._archive.md5(self._entries[picture.name]))
        except ArchiveError as error:
            raise self._wrong(error) from error

    def copy(self, picture: SourcePicture, s3: "S3Client", bucket: str) -> None:
        """Put an unpacked entry; raises SourceError when it is damaged."""

        def put(content: bytes) -> None:
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            put_picture(s3, bucket, picture.key, content, digest)

        try:
            self._archive.use(self._entries[picture.name], put)
        except ArchiveError as error:
            raise self._wrong(error) from error

    def _wrong(self, error: ArchiveError) -> SourceError:
        return SourceError(f"source is {self.shown!r}: {error}")
