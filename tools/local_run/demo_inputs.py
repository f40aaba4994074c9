"""What `make demo` was asked for, checked before anything starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from verger.run.settings import AUTO_K, COMPUTES, K_BOUNDS
from verger.sync.folder import FolderSource
from verger.sync.pictures import PICTURE_SUFFIXES, SourceError

from tools.local_run.results import RESULT_NAMES
from tools.local_run.s3_server import LONGEST_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

DRAWN_IMAGES = 360
LOCAL, YARN = "local", "yarn"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


class InputError(ValueError):
    """Something that was asked for cannot be done; the message is one line for the person who asked."""


@dataclass(frozen=True)
class DemoInputs:
    """One demo.

    Attributes:
        images: the folder of pictures; None to draw some.
        weights: an .h5 file; None for the ImageNet weights that Keras has or downloads.
        k: how many components, or AUTO_K.
        out: the folder for the results.
        compute: where the run computes; empty for a cluster at first and then the quicker place.
        on_yarn: whether the cluster has a real YARN, or its steps run as `local[cores]`.
    """

    images: Path | None
    weights: Path | None
    k: int | str
    out: Path
    compute: str
    on_yarn: bool


def parse_inputs(words: Mapping[str, str], folder: Path) -> DemoInputs:
    """Checks what was asked for, paths relative to `folder`. Raises InputError for the first that is wrong."""
    images, weights = _path(words.get("IMAGES", ""), folder), _path(words.get("WEIGHTS", ""), folder)
    if images is not None:
        _check_images(images)
    if weights is not None:
        _check_weights(weights)
    out = _path(words.get("OUT", ""), folder) or folder / "demo-output"
    _check_out(out, folder, images)
    cluster = words.get("CLUSTER", "") or LOCAL
    if cluster not in (LOCAL, YARN):
        raise InputError(
            f"CLUSTER={cluster}: give {LOCAL} (steps in one JVM, quick) or {YARN} (a real YARN of two nodes)"
        )
    compute = words.get("COMPUTE", "")
    if compute not in ("", *COMPUTES):
        raise InputError(f"COMPUTE={compute}: give one of {', '.join(COMPUTES)}, or leave it out")
    k = _components("K", words.get("K", "") or "10")
    return DemoInputs(images, weights, k, out, compute or ("cluster" if cluster == YARN else ""), cluster == YARN)


def _path(text: str, folder: Path) -> Path | None:
    # not resolved: a link to a folder is that folder, under the name that the person uses
    return Path(os.path.abspath(folder / Path(text).expanduser())) if text.strip() else None  # noqa: PTH100


def _check_images(images: Path) -> None:
    if not images.exists():
        raise InputError(f"IMAGES={images}: there is no such folder")
    if not images.is_dir():
        raise InputError(f"IMAGES={images} is a file: give the folder that holds one folder of pictures per label")
    try:
        pictures, _ = FolderSource(images, "images/").pictures()
    except SourceError:
        endings = ", ".join(sorted(PICTURE_SUFFIXES))
        raise InputError(f"IMAGES={images} holds no picture (file names that end in {endings})") from None
    for picture in pictures:
        if any(len(name.encode()) > LONGEST_NAME for name in picture.key.split("/")):
            raise InputError(
                f"{images / picture.name}: the local S3 server takes names of at most {LONGEST_NAME} bytes, rename it"
            )


def _check_weights(weights: Path) -> None:
    if not weights.is_file():
        what = "is a folder" if weights.is_dir() else "does not exist"
        raise InputError(f"WEIGHTS={weights} {what}: give an .h5 file of Keras' MobileNetV2 without its top")
    with weights.open("rb") as file:
        if file.read(len(HDF5_SIGNATURE)) != HDF5_SIGNATURE:
            raise InputError(f"WEIGHTS={weights} is no HDF5 file: give Keras' mobilenet_v2_1.0_224_no_top .h5 file")


def _components(name: str, text: str) -> int | str:
    if text == AUTO_K:
        return text
    smallest, largest = K_BOUNDS
    if not (text.isascii() and text.isdigit()) or not smallest <= int(text) <= largest:
        raise InputError(f"{name}={text}: give a whole number from {smallest:,} to {largest:,}, or {AUTO_K}")
    return int(text)


def _check_out(out: Path, project: Path, images: Path | None) -> None:
    """OUT is replaced as a whole, so it must not hold anything but an earlier demo's results."""
    if out.exists() and not out.is_dir():
        raise InputError(f"OUT={out} is a file: give a folder")
    if images is not None and (out == images or images in out.parents):
        raise InputError(f"OUT={out} lies in IMAGES: give another folder")
    if out == project or out in project.parents:
        raise InputError(f"OUT={out} holds Verger itself: give another folder")
    strangers = sorted(path.name for path in out.iterdir() if path.name not in RESULT_NAMES) if out.exists() else []
    if strangers:
        raise InputError(f"OUT={out} holds {strangers[0]!r}, which is no result of Verger: give an empty or new folder")
