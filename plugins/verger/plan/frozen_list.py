"""The frozen list of a run's images: written and digested in one pass over it, in its order."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.row_parts import PART_ROWS, in_parts
from verger_rules.schemas import MANIFEST

from verger.plan.plan_space import PlanSpace
from verger.run.settings import AUTO_K, Settings


@dataclass(frozen=True)
class FrozenList:
    """A list on this machine's disk, and what tells it from others.

    Attributes:
        file: the manifest, with a row group for each PART_ROWS images.
        inputs_digest: of all that decides the matrix: equal digests, equal results.
        listing_digest: of which pictures there are and what they hold (`bucket_state.py`).
    """

    file: Path
    inputs_digest: str
    listing_digest: str


def freeze_list(space: PlanSpace, decides: bytes) -> FrozenList:
    """Write the images of the table `listed`, ascending by path; `decides` is what decides the matrix beside them."""
    file = space.folder / "manifest.parquet"
    inputs, listing = hashlib.sha256(decides), hashlib.sha256()
    with pq.ParquetWriter(file, MANIFEST, compression="zstd") as writer:
        for part in list_parts(space):
            inputs.update(of_inputs(part))
            listing.update(of_listing(part))
            writer.write_table(part, row_group_size=PART_ROWS)
    return FrozenList(file, inputs.hexdigest(), listing.hexdigest())


def list_parts(space: PlanSpace) -> Iterator[pa.Table]:
    """The images of the table `listed`, ascending by path, PART_ROWS at a time: schema MANIFEST."""
    query = f"SELECT {', '.join(MANIFEST.names)} FROM listed ORDER BY path"  # noqa: S608 -- our own names
    for batch in in_parts(space.batches(query, PART_ROWS), PART_ROWS):
        yield batch.cast(MANIFEST)


def deciding(fingerprint: str, settings: Settings) -> bytes:
    """What decides the matrix beside the images."""
    decides: dict[str, Any] = {
        "model": fingerprint,
        "decoder": DECODER_VERSION,
        "k": None if settings.variance is not None else settings.k,
        "variance": settings.variance,
        "standardize": settings.standardize,
    }
    if settings.variance is None and settings.k == AUTO_K:
        decides |= {"least_k": settings.least_k, "most_k": settings.most_k}
    if settings.test_folder:
        decides["test_folder"] = settings.test_folder
    return json.dumps(decides, sort_keys=True).encode()


def of_inputs(part: pa.Table) -> bytes:
    """What of some images decides the matrix."""
    return _joined("\0", part["path"], "\0", part["etag"], "\0", part["label"])


def of_listing(part: pa.Table) -> bytes:
    """Path and etag of some images, each after its length, so that no name can imitate the border between two."""
    path, etag = part["path"], part["etag"]
    return _joined(_lengths(path), ":", path, _lengths(etag), ":", etag)


def _lengths(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.utf8_length(texts).cast(pa.string())


def _joined(*texts: str | pa.ChunkedArray) -> bytes:
    """The texts of each row one after the other, row by row: Arrow keeps them so."""
    columns = [pa.scalar(text) if isinstance(text, str) else text for text in texts]
    rows = pc.binary_join_element_wise(*columns, "")
    return b"".join(_content(chunk) for chunk in rows.chunks)


def _content(texts: pa.StringArray) -> bytes:
    _, offsets, content = texts.buffers()
    ends = memoryview(offsets).cast("i")
    return bytes(memoryview(content or b"")[ends[texts.offset] : ends[texts.offset + len(texts)]])


def read_previous(filesystem: pyarrow.fs.FileSystem, address: S3Address | None, space: PlanSpace) -> None:
    """Write the paths of an earlier run's manifest into the table `previous`; none when there is none any more."""
    if address is None:
        return
    with contextlib.suppress(FileNotFoundError), filesystem.open_input_file(f"{address.bucket}/{address.key}") as file:
        for batch in pq.ParquetFile(file).iter_batches(PART_ROWS, columns=["path"]):
            space.add("previous", batch)
