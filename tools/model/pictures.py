"""Pictures as the model takes them, for checking and calibrating it."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import obstore
from obstore.store import S3Store
from PIL import Image, ImageOps
from verger_rules.model import INPUT_SIZE

from tools.drawing.catalogue import labels
from tools.drawing.scene import draw
from tools.model.identity import sha256_of
from tools.model.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclasses.dataclass(frozen=True)
class Picture:
    """A picture's name, the SHA-256 of its file, and its pixels (224, 224, 3), uint8 RGB."""

    name: str
    sha256: str
    pixels: NDArray[np.uint8]

    def batch(self) -> NDArray[np.float32]:
        """The model's input: (1, 224, 224, 3) float32 in 0..255."""
        return self.pixels[None].astype(np.float32)


def decoded(name: str, data: bytes) -> Picture:
    """A picture upright, in RGB, squeezed to 224 x 224 (bicubic), white where it is transparent.

    The featurize step does the same, colours brought to sRGB, and is free to take short cuts; this is what it is
    measured against.

    Raises:
        OSError: it is no picture that Pillow reads.
    """
    with Image.open(io.BytesIO(data)) as image:
        upright = ImageOps.exif_transpose(image)
    mode = "RGBA" if upright.has_transparency_data else "RGB"
    small = upright.convert(mode).resize((INPUT_SIZE, INPUT_SIZE), Image.Resampling.BICUBIC)
    if mode == "RGBA":
        ground = Image.new("RGBA", small.size, "white")
        small = Image.alpha_composite(ground, small).convert("RGB")
    return Picture(name, sha256_of(data), np.asarray(small, np.uint8))


def drawn(count: int) -> list[Picture]:
    """Drawn pictures, each of another label as long as there are labels."""
    return [_drawn(label, index) for index, label in enumerate(labels(count))]


def _drawn(label: str, index: int) -> Picture:
    buffer = io.BytesIO()
    draw(label, index, size=INPUT_SIZE).save(buffer, "PNG")
    return decoded(label, buffer.getvalue())


def read_evenly(source: str, limit: int) -> tuple[list[Picture], list[str]]:
    """At most `limit` pictures spread evenly over a folder or `s3://bucket/prefix`, and names of files that are none.

    Raises:
        RefusedError: there is no picture at all.
    """
    names, read = _bucket(source) if source.startswith("s3://") else _folder(Path(source))
    named_so = sorted(name for name in names if name.lower().endswith(SUFFIXES))
    wanted = min(limit, len(named_so))
    pictures: list[Picture] = []
    refused: list[str] = []
    for name in (named_so[place * len(named_so) // wanted] for place in range(wanted)):
        try:
            pictures.append(decoded(name, read(name)))
        except (OSError, Image.DecompressionBombError, SyntaxError):
            refused.append(name)
    if not pictures:
        raise RefusedError(f"no readable picture in {source}: name a folder or s3://bucket/prefix with pictures")
    return pictures, refused


def _folder(folder: Path) -> tuple[list[str], Callable[[str], bytes]]:
    if not folder.is_dir():
        raise RefusedError(f"{folder} is not a folder: name a folder or s3://bucket/prefix with pictures")
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return names, lambda name: (folder / name).read_bytes()


def _bucket(source: str) -> tuple[list[str], Callable[[str], bytes]]:
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    store = S3Store(bucket, client_options={"allow_http": True})
    names = [item["path"] for batch in obstore.list(store, prefix.strip("/") or None) for item in batch]
    return names, lambda name: bytes(obstore.get(store, name).bytes())
