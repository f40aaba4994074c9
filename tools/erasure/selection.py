"""Which pictures a request means."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from verger.storage.file_names import one_form
from verger.storage.layout import label_of
from verger_rules.addresses import parse_uri

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class RequestError(ValueError):
    """The request cannot be understood or would reach too far; one line for the person who asked."""


@dataclass(frozen=True)
class Selection:
    """The pictures of one bucket that are to be erased.

    Attributes:
        bucket: the bucket of all of them.
        images_prefix: the prefix of the pictures, ending in `/`.
        paths: whole addresses.
        prefixes: addresses ending in `/`: everything below.
        labels: names of labels, in the form NFC: every picture in a folder of that name.
    """

    bucket: str
    images_prefix: str
    paths: frozenset[str]
    prefixes: tuple[str, ...]
    labels: frozenset[str]

    def means(self, path: str) -> bool:
        """Whether a picture's address is selected."""
        if path in self.paths or path.startswith(self.prefixes):
            return True
        own = f"s3://{self.bucket}/{self.images_prefix}"
        return path.startswith(own) and label_of(path, own) in self.labels

    def means_text(self, text: str) -> bool:
        """Whether a text is a selected picture's address, or its key alone (as `sync.json` names what was deleted)."""
        return self.means(text) or (text.startswith(self.images_prefix) and self.means(f"s3://{self.bucket}/{text}"))

    def means_left_out(self, name: str) -> bool:
        """Whether a file or folder that was left out, named below the images prefix, lies where erased pictures do."""
        return self.means(f"s3://{self.bucket}/{self.images_prefix}{name.rstrip('/')}")

    def mask(self, paths: pa.ChunkedArray, labels: pa.ChunkedArray) -> pa.ChunkedArray:
        """Which rows of a table are selected; never null."""
        found = pc.is_in(paths, value_set=pa.array(sorted(self.paths), pa.string()))
        for prefix in self.prefixes:
            found = pc.or_(found, pc.fill_null(pc.starts_with(paths, prefix), fill_value=False))
        if self.labels:
            # A table may hold a label as its folder was written. Python's form, as of all that is no column.
            named = [label for label in pc.unique(labels).to_pylist() if label and one_form(label) in self.labels]
            found = pc.or_(found, pc.is_in(labels, value_set=pa.array(named, pa.string())))
        return found

    def in_other_forms(self) -> Selection | None:
        """The same addresses in the other forms that Unicode has for their letters; None when there are none.

        An address is a key, and two keys of the same letters are two pictures: an erasure takes the one that is named.
        """
        paths, prefixes = (_other_forms(addresses) for addresses in (self.paths, self.prefixes))
        if not (paths or prefixes):
            return None
        return Selection(self.bucket, self.images_prefix, paths, tuple(sorted(prefixes)), frozenset())


def _other_forms(addresses: Collection[str]) -> frozenset[str]:
    forms = {unicodedata.normalize(form, address) for address in addresses for form in ("NFC", "NFD")}
    return frozenset(forms - set(addresses))


def parse_selection(uris: Iterable[str], labels: Iterable[str], bucket: str, images_prefix: str) -> Selection:
    """Check a request. Raises RequestError for what is no picture's address, of two buckets, or empty."""
    if not images_prefix.endswith("/") or images_prefix == "/":
        raise RequestError(f"--images-prefix is {images_prefix!r}: write it like images/")
    paths: set[str] = set()
    prefixes: set[str] = set()
    buckets = {bucket} if bucket else set()
    for uri in uris:
        try:
            address = parse_uri(uri)
        except ValueError as error:
            raise RequestError(str(error)) from error
        if not address.key.startswith(images_prefix):
            raise RequestError(
                f"{uri!r} does not lie under {images_prefix}, where the pictures are: name pictures or folders "
                "of them, or say where they lie with --images-prefix"
            )
        buckets.add(address.bucket)
        (prefixes if uri.endswith("/") else paths).add(uri)
    named = frozenset(map(one_form, labels))
    if "" in named:
        raise RequestError("a label is empty: name the folder that holds the pictures")
    if not (paths or prefixes or named):
        raise RequestError("nothing to erase: give s3://bucket/key, s3://bucket/folder/, --label or --from-file")
    if len(buckets) > 1:
        raise RequestError(
            f"the pictures lie in {len(buckets)} buckets ({', '.join(sorted(buckets))}): erase each alone"
        )
    if not buckets:
        raise RequestError("no bucket is known: give --bucket")
    return Selection(buckets.pop(), images_prefix, frozenset(paths), tuple(sorted(prefixes)), named)


def parse_lines(text: str) -> list[str]:
    """The addresses of a file, one a line; a line that begins with `"` is a JSON string, for keys with line breaks.

    Raises RequestError for a line that begins like one and is none.
    """
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        content = line.removesuffix("\r")
        if not content:
            continue
        if content.startswith('"'):
            try:
                content = json.loads(content)
            except ValueError as error:
                raise RequestError(f"line {number} is no JSON string: {content[:80]}") from error
        found.append(content)
    return found
