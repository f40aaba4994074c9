"""Writes TIFFs and BigTIFFs of strips or tiles, in every compression that is read here, pages within pages too."""

from __future__ import annotations

import io
import itertools
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests.spark_jobs.picture_files import Samples, packed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: A tag's number, its format and its values.
Tag = tuple[int, int, "Sequence[int]"]

LZW, DEFLATE, PACKBITS, LZMA, ZSTD = 5, 8, 32_773, 34_925, 50_000
_BY_PILLOW = {LZW: "tiff_lzw", PACKBITS: "packbits", LZMA: "lzma", ZSTD: "zstd"}
_LETTERS = {1: "B", 3: "H", 4: "I", 7: "B", 16: "Q"}
_OFFSETS = frozenset({273, 324})


@dataclass(frozen=True)
class Way:
    """How a page's samples are stored; `tile` of (width, height), else strips of `rows`."""

    order: str = "<"
    is_big: bool = False
    planar: bool = False
    tile: tuple[int, int] | None = None
    rows: int | None = None
    compression: int = 1
    predicted: bool = False
    more: Sequence[Tag] = field(default=())


def stored_as(samples: Samples, depth: int, photometric: int, way: Way) -> bytes:
    """A TIFF of one page of samples [height, width(, channels)]."""
    rows = samples.reshape(*samples.shape[:2], -1)
    blocks = [_compressed(block, depth, way) for block in _blocks(rows, way)]
    return written([[*page_tags(rows, depth, photometric, way, [len(block) for block in blocks])]], way, blocks)


def page_tags(rows: Samples, depth: int, photometric: int, way: Way, sizes: Sequence[int]) -> list[Tag]:
    """The tags of a page whose blocks have these sizes; the blocks' offsets are numbered from the first."""
    height, width, channels = rows.shape
    place: list[Tag] = [(273, 4, range(len(sizes))), (278, 4, [way.rows or height]), (279, 4, sizes)]
    if way.tile:
        tile_width, tile_height = way.tile
        place = [(322, 4, [tile_width]), (323, 4, [tile_height]), (324, 4, range(len(sizes))), (325, 4, sizes)]
    tags: list[Tag] = [
        (256, 4, [width]), (257, 4, [height]), (258, 3, [depth] * channels), (259, 3, [way.compression]),
        (262, 3, [photometric]), (277, 3, [channels]), (284, 3, [2 if way.planar else 1]), *place,
    ]  # fmt: skip
    if way.predicted:
        tags.append((317, 3, [2]))
    replaced = {tag[0] for tag in way.more}
    return [tag for tag in tags if tag[0] not in replaced] + list(way.more)


def written(pages: Sequence[Sequence[Tag]], way: Way, blocks: Sequence[bytes] = ()) -> bytes:
    """A TIFF of these pages, the blocks of the first behind the header; a LONG8 330 of (page,) becomes its place."""
    offset, head = ("Q", 16) if way.is_big else ("I", 8)
    data = b"".join(blocks)
    starts = [head + sum(len(block) for block in blocks[:number]) for number in range(len(blocks))]
    content = bytearray(head) + data
    places: list[int] = []
    for tags in pages:
        places.append(len(content))
        real = [
            (n, kind, [starts[v] for v in values] if n in _OFFSETS and starts else values) for n, kind, values in tags
        ]
        content += _directory(sorted(real, key=lambda tag: tag[0]), way, len(content))
    order = way.order
    for number, following in itertools.pairwise(places):
        count = struct.unpack_from(order + ("Q" if way.is_big else "H"), content, number)[0]
        at = number + (8 + 20 * count if way.is_big else 2 + 12 * count)
        struct.pack_into(order + offset, content, at, following)
    magic = struct.pack(order + ("HHH" if way.is_big else "H"), *((43, 8, 0) if way.is_big else (42,)))
    content[:head] = (b"II" if order == "<" else b"MM") + magic + struct.pack(order + offset, places[0])
    return bytes(content)


def _directory(tags: Sequence[Tag], way: Way, start: int) -> bytes:
    offset, inline, entry = ("Q", 8, 20) if way.is_big else ("I", 4, 12)
    after = start + (8 if way.is_big else 2) + entry * len(tags) + inline
    entries, beyond = b"", b""
    for number, kind, values in tags:
        data = struct.pack(f"{way.order}{len(values)}{_LETTERS[kind]}", *values)
        if len(data) > inline:
            data, beyond = struct.pack(way.order + offset, after + len(beyond)), beyond + data
        entries += struct.pack(f"{way.order}HH{offset}", number, kind, len(values)) + data.ljust(inline, b"\0")
    return struct.pack(way.order + ("Q" if way.is_big else "H"), len(tags)) + entries + bytes(inline) + beyond


def _blocks(rows: Samples, way: Way) -> Iterator[Samples]:
    planes = [rows[..., n : n + 1] for n in range(rows.shape[2])] if way.planar else [rows]
    for plane in planes:
        height, width = plane.shape[:2]
        across, down = way.tile or (width, way.rows or height)
        for top in range(0, height, down):
            for left in range(0, width, across):
                block = plane[top : top + down, left : left + across]
                if way.tile:
                    beyond = [(0, down - block.shape[0]), (0, across - block.shape[1]), (0, 0)]
                    block = np.pad(block, beyond, mode="edge")
                yield block


def _compressed(block: Samples, depth: int, way: Way) -> bytes:
    if way.predicted:
        block = np.diff(block, axis=1, prepend=0) % (1 << depth)
    data = packed(block.reshape(len(block), -1), depth, way.order)
    if way.compression == DEFLATE:
        return zlib.compress(data)
    if way.compression not in _BY_PILLOW:
        return data
    stored = io.BytesIO()
    Image.frombytes("L", (len(data) // len(block), len(block)), data).save(
        stored, "TIFF", compression=_BY_PILLOW[way.compression]
    )
    with Image.open(io.BytesIO(stored.getvalue())) as picture:
        at, size = picture.tag_v2[273], picture.tag_v2[279]  # type: ignore[attr-defined]
        assert len(at) == 1, "one strip"
        return stored.getvalue()[at[0] : at[0] + size[0]]
