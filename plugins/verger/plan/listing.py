"""What lies under the images prefix: listed as Arrow, a page at a time, and told apart by name."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Full, Queue
from typing import TYPE_CHECKING, Any

import obstore
import pyarrow as pa
import pyarrow.compute as pc
from obstore.exceptions import InvalidPathError
from obstore.store import S3Store
from verger_rules.addresses import NEVER_READ

from verger.storage.file_names import MAY_BE_OF_A_SYSTEM, one_form, printable
from verger.storage.layout import BucketLayout
from verger.storage.left_out import LeftOut, LeftOutFiles, count_files, leave_out, system_reason

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Objects as a store lists them.
OBJECTS = pa.schema([("key", pa.string()), ("etag", pa.string()), ("size", pa.int64())])
#: Pictures, and what may be one. `readable`: whether the nodes can read it by its key.
LISTED = pa.schema(
    [
        ("path", pa.string()),
        ("etag", pa.string()),
        ("label", pa.string()),
        ("size", pa.int64()),
        ("readable", pa.bool_()),
    ]
)
BATCH_ROWS = 10_000
#: Prefixes listed at a time. A bucket of more labels than MOST_PREFIXES is listed in one go: S3 takes a request for
#: each prefix, and gives a thousand keys for one.
PREFIXES_AT_ONCE = 16
MOST_PREFIXES = 1000
#: How long a thread waits before it looks whether somebody still reads.
_PATIENCE_SECONDS = 0.1
#: Objects of no bytes that are asked for one by one whether they are folders.
MOST_EMPTY = 5000


class UnlistableKeyError(Exception):
    """A key that the quick way has no path for: the bucket is listed the other way."""


class NoImagesError(ValueError):
    """There is no image to work on."""


@dataclass(frozen=True)
class Listing:
    """What lies under the images prefix, in numbers.

    Attributes:
        images: how many pictures, and what may be one.
        left_out: what systems keep for themselves there, by name.
        why_slow: why it was listed by boto3 after all; empty when it was not.
    """

    images: int
    left_out: list[LeftOut]
    why_slow: str = field(default="", compare=False)


def check_any_image(listing: Listing, layout: BucketLayout) -> Listing:
    """The same listing; raises NoImagesError when it holds no picture."""
    if not listing.images:
        others = count_files(listing.left_out)
        only = f" (but {others:,} hidden files and files of systems)" if others else ""
        raise NoImagesError(
            f"no picture lies under s3://{layout.bucket}/{layout.images_prefix}{only}: copy some there, "
            "or name a folder in the parameter `source`"
        )
    return listing


def images_of(objects: pa.Table, layout: BucketLayout, left_out: LeftOutFiles) -> pa.Table:
    """The pictures among some objects, schema LISTED; what a system keeps for itself is counted in `left_out`.

    What consoles create for an empty folder is nothing at all.
    """
    keys = objects["key"]
    is_folder = pc.and_(pc.ends_with(keys, "/"), pc.equal(objects["size"], 0))
    names = pc.utf8_slice_codeunits(keys, len(layout.images_prefix))
    # Only the few names that may be a system's are looked at one by one.
    suspect = pc.and_(pc.match_substring_regex(names, MAY_BE_OF_A_SYSTEM, ignore_case=True), pc.invert(is_folder))
    reasons = {name: system_reason(name) for name in names.filter(suspect).to_pylist()}
    for name in names.filter(suspect).to_pylist():
        if reason := reasons[name]:
            left_out.add(leave_out(name, layout.images_prefix, reason))
    systems = pa.array([name for name, reason in reasons.items() if reason], pa.string())
    kept = pc.invert(pc.or_(is_folder, pc.is_in(names, value_set=systems)))
    return _listed(objects.filter(kept), names.filter(kept), layout)


def _listed(objects: pa.Table, names: pa.ChunkedArray, layout: BucketLayout) -> pa.Table:
    root = f"s3://{layout.bucket}/"
    columns = {
        "path": pc.binary_join_element_wise(pa.scalar(root), objects["key"], ""),
        "etag": pc.utf8_trim(objects["etag"], '"'),
        "label": _labels(names),
        "size": objects["size"],
        "readable": pc.invert(pc.match_substring_regex(objects["key"], NEVER_READ)),
    }
    return pa.table(columns, schema=LISTED)


def _labels(names: pa.ChunkedArray) -> pa.Array:
    """The label of each name, as `label_of` (storage/layout.py): each spelling is brought to its form once."""
    folders = pc.replace_substring_regex(names, r"(?s)^(?:.*/)?([^/]*)/[^/]*$", r"\1")
    in_one = pc.if_else(pc.match_substring(names, "/"), folders, "").combine_chunks().dictionary_encode()
    spelled = pa.array([one_form(folder) for folder in in_one.dictionary.to_pylist()], pa.string())
    return spelled.take(in_one.indices)


def objects_page_by_page(s3: "S3Client", layout: BucketLayout) -> Iterator[pa.Table]:
    """The objects under the images prefix by boto3, whatever their keys are: schema OBJECTS, a page each."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=layout.bucket, Prefix=layout.images_prefix)
    for page in pages:
        found = page.get("Contents", ())
        columns = ([entry[name] for entry in found] for name in ("Key", "ETag", "Size"))
        yield pa.table(list(columns), OBJECTS)


def objects_at_once(store: S3Store, s3: "S3Client", layout: BucketLayout) -> Iterator[pa.Table]:
    """The same by obstore, many prefixes at a time, a thirtieth of the processor's work, in no order.

    It gives keys without a `/` at their end, so of those without bytes S3 is asked whether they are folders.

    Raises:
        UnlistableKeyError: a key has an empty segment, `.`, `..` or a control character, or there are too many empty
            objects to ask for each.
    """
    try:
        whole, prefixes = _top(store, layout)
        if len(prefixes) > MOST_PREFIXES:
            whole, prefixes = None, [layout.images_prefix.rstrip("/")]
        empty = _Empty(s3, layout)
        if whole is not None:
            yield empty.without_folders(whole)
        for batch in _side_by_side(store, {f"{prefix}/": None for prefix in prefixes}):
            yield empty.without_folders(batch)
    except InvalidPathError as error:
        raise _unlistable(error) from error


def newer_objects(store: S3Store, s3: "S3Client", layout: BucketLayout, last: Mapping[str, str]) -> Iterator[pa.Table]:
    """What a list of an earlier moment lacks, as far as S3 can be asked for it: schema OBJECTS.

    That is what lies directly under the images prefix, all of a label that the list does not know, and of the others
    what comes after the last key that it knows, as cameras number pictures. `last` has that key by folder.

    Raises:
        UnlistableKeyError: as `objects_at_once`, and where there are more labels than can be asked for one by one.
    """
    try:
        whole, prefixes = _top(store, layout)
        if len(prefixes) > MOST_PREFIXES:
            raise UnlistableKeyError(f"there are more than {MOST_PREFIXES} labels")
        empty = _Empty(s3, layout)
        if whole is not None:
            yield empty.without_folders(whole)
        for batch in _side_by_side(store, {f"{prefix}/": last.get(prefix) for prefix in prefixes}):
            yield empty.without_folders(batch)
    except InvalidPathError as error:
        raise _unlistable(error) from error


def _unlistable(error: InvalidPathError) -> UnlistableKeyError:
    said = str(error).partition("\n")[0]
    return UnlistableKeyError(printable(said)[:300])


def _top(store: S3Store, layout: BucketLayout) -> tuple[pa.Table | None, list[str]]:
    """What lies directly under the images prefix, and the prefixes below it."""
    top = obstore.list_with_delimiter(store, layout.images_prefix, return_arrow=True)
    return _objects(top["objects"]), list(top["common_prefixes"])


def _objects(listed: Any) -> pa.Table:  # noqa: ANN401 -- Arrow data of any library
    table = pa.table(listed)
    return pa.table([table["path"], table["e_tag"], table["size"].cast(pa.int64())], OBJECTS)


def _side_by_side(store: S3Store, prefixes: Mapping[str, str | None]) -> Iterator[pa.Table]:
    """The objects under each prefix, after the key that it has; the threads wait when nobody takes what they find."""
    found: Queue[pa.Table | None] = Queue(2 * PREFIXES_AT_ONCE)
    stopped = threading.Event()

    def give(objects: pa.Table | None) -> None:
        while not stopped.is_set():
            with contextlib.suppress(Full):
                return found.put(objects, timeout=_PATIENCE_SECONDS)
        return None

    def list_prefix(prefix: str) -> None:
        listed = obstore.list(store, prefix, offset=prefixes[prefix], chunk_size=BATCH_ROWS, return_arrow=True)
        for batch in listed:
            if stopped.is_set():
                return
            give(_objects(batch))

    def list_all(pool: ThreadPoolExecutor) -> None:
        try:
            list(pool.map(list_prefix, prefixes))
        finally:
            give(None)

    with ThreadPoolExecutor(PREFIXES_AT_ONCE) as pool, ThreadPoolExecutor(1) as head:
        whole = head.submit(list_all, pool)
        try:
            while (batch := found.get()) is not None:
                yield batch
        finally:
            stopped.set()
        whole.result()


class _Empty:
    """Tells empty objects from folders: both are listed without a `/` at their end."""

    def __init__(self, s3: "S3Client", layout: BucketLayout) -> None:
        self._s3, self._layout, self._asked = s3, layout, 0

    def without_folders(self, objects: pa.Table) -> pa.Table:
        """The same objects but for folders."""
        is_empty = pc.equal(objects["size"], 0)
        keys = objects["key"].filter(is_empty).to_pylist()
        if not keys:
            return objects
        self._asked += len(keys)
        if self._asked > MOST_EMPTY:
            raise UnlistableKeyError(f"more than {MOST_EMPTY} objects are empty, or folders")
        with ThreadPoolExecutor(PREFIXES_AT_ONCE) as pool:
            found = pool.map(self._is_object, keys)
            folders = [key for key, is_object in zip(keys, found, strict=True) if not is_object]
        return objects.filter(pc.invert(pc.and_(is_empty, pc.is_in(objects["key"], pa.array(folders, pa.string())))))

    def _is_object(self, key: str) -> bool:
        answer = self._s3.list_objects_v2(Bucket=self._layout.bucket, Prefix=key, MaxKeys=1)
        return any(entry["Key"] == key for entry in answer.get("Contents", ()))
