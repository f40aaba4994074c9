"""The order of a preparation: choose the weights, look whether the model is there, convert, check, describe."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
from typing import TYPE_CHECKING, Any, Literal

from verger_rules.model import FEATURES, INPUT_SIZE, fingerprint

from tools.model import agreement, conversion, pictures, weights
from tools.model.identity import FORMAT, NORMALISATION, precision_name, sha256_of
from tools.model.publishing import file_entry
from tools.model.quiet import quiet
from tools.model.refusal import RefusedError

if TYPE_CHECKING:
    from pathlib import Path

DRAWN_TO_CHECK = 16
MOST_TO_CHECK = 32
MOST_TO_CALIBRATE = 400
FEWEST_TO_CALIBRATE = 40


@dataclasses.dataclass(frozen=True)
class Wanted:
    """Which model to prepare.

    `calibration` (a folder or `s3://bucket/prefix`) belongs to int8. An int8 model whose features, on pictures held
    back from the calibration, fall below `min_cosine` for any picture or keep less than `min_neighbours_kept` of the
    nearest neighbours is refused.
    """

    weights_file: Path | None
    random: bool
    keras_home: Path
    download_seconds: float
    check_images: str | None
    precision: Literal["float32", "int8"]
    calibration: str | None
    min_cosine: float
    min_neighbours_kept: float


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Pictures to calibrate with, pictures held back to judge by, and the SHA-256 of the former."""

    used: tuple[pictures.Picture, ...] = ()
    held_back: tuple[pictures.Picture, ...] = ()
    sha256: str = ""


def say(message: str) -> None:
    """A line for the person who waits; stdout is the caller's."""
    print(f"verger: {message}", file=sys.stderr, flush=True)


def choose_weights(wanted: Wanted, folder: Path) -> weights.Weights:
    """The named file; else Keras' ImageNet weights; else seeded random ones, with a loud warning."""
    if wanted.weights_file is not None:
        return weights.from_file(wanted.weights_file)
    if not wanted.random:
        found = weights.from_keras(wanted.keras_home, wanted.download_seconds)
        if found is not None:
            return found
        say("no ImageNet weights: none in Keras' cache, and Keras could not download them")
    say("WARNING: ***********************************************************************")
    say("WARNING: RANDOM WEIGHTS. The features will tell colours and outlines apart at best;")
    say("WARNING: they are for trying Verger out, not for use. For real features name the")
    say("WARNING: ImageNet weights with --weights FILE.h5 (WEIGHTS=FILE.h5 with make).")
    say("WARNING: ***********************************************************************")
    with quiet():
        conversion.start_tensorflow()
        return weights.save_random(conversion.build(), folder)


def read_calibration(wanted: Wanted) -> Calibration:
    """Every second picture (in the order of their SHA-256, so that labels mix) calibrates; the others are held back.

    Raises:
        RefusedError: there are too few pictures to do both.
    """
    if wanted.precision == "float32":
        return Calibration()
    if wanted.calibration is None:
        raise RefusedError(
            "--precision int8 needs --calibration-images: a folder or s3://bucket/prefix of your pictures"
        )
    found, refused = pictures.read_evenly(wanted.calibration, MOST_TO_CALIBRATE)
    if refused:
        say(f"{len(refused)} files of {wanted.calibration} are no readable pictures, the first {refused[0]!r}")
    different = sorted({picture.sha256: picture for picture in found}.values(), key=lambda picture: picture.sha256)
    if len(different) < FEWEST_TO_CALIBRATE:
        raise RefusedError(
            f"{wanted.calibration} holds {len(different)} different pictures: int8 needs at least "
            f"{FEWEST_TO_CALIBRATE}, half to calibrate with and half to judge by"
        )
    used = tuple(different[::2])
    digest = sha256_of("\n".join(picture.sha256 for picture in used).encode())
    return Calibration(used, tuple(different[1::2]), digest)


def fingerprint_of(chosen: weights.Weights, wanted: Wanted, calibration: Calibration) -> str:
    """The fingerprint of the model that these make."""
    return fingerprint(chosen.sha256, precision_name(wanted.precision, calibration.sha256))


def prepare(chosen: weights.Weights, wanted: Wanted, calibration: Calibration, folder: Path) -> dict[str, bytes]:
    """Converts and checks; returns the three files to publish.

    Raises:
        RefusedError: the weights do not fit, or the converted model is not good enough.
    """
    with quiet():
        versions = conversion.start_tensorflow()
        model = conversion.build()
        weights.load(model, chosen)
    say(f"converting MobileNetV2 ({chosen.source} weights) to LiteRT, {wanted.precision}")
    with quiet():
        flatbuffer = conversion.to_litert(model, calibration.used)
        # Always in Keras 3's layout, whatever the layout of the source: one layout for whoever loads it.
        stored = folder / "stored.weights.h5"
        model.save_weights(stored)
    files = {"model.tflite": flatbuffer, "weights.h5": stored.read_bytes()}
    outcome = _judged(model, flatbuffer, wanted, calibration)
    description = {
        "format": FORMAT,
        "fingerprint": fingerprint_of(chosen, wanted, calibration),
        "weights": chosen.source,
        "weights_sha256": chosen.sha256,
        "precision": precision_name(wanted.precision, calibration.sha256),
        "input_size": INPUT_SIZE,
        "features": FEATURES,
        "normalisation": NORMALISATION,
        "files": {name: file_entry(data) for name, data in files.items()},
        **outcome,
        "versions": versions,
        "created_at": dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    return {**files, "model.json": json.dumps(description, indent=1).encode()}


def _judged(model: Any, flatbuffer: bytes, wanted: Wanted, calibration: Calibration) -> dict[str, Any]:  # noqa: ANN401  # Keras ships no types
    """What `model.json` says about the converted model's quality."""
    if wanted.precision == "int8":
        return _judged_int8(model, flatbuffer, wanted, calibration)
    checked = pictures.drawn(DRAWN_TO_CHECK)
    if wanted.check_images is not None:
        checked += pictures.read_evenly(wanted.check_images, MOST_TO_CHECK)[0]
    with quiet():
        expected = agreement.keras_features(model, checked)
        found = agreement.litert_features(flatbuffer, checked)
    difference = agreement.checked_difference(expected, found)
    say(f"agrees with Keras to {difference:.2g} on {len(checked)} pictures")
    return {"max_difference_from_keras": difference, "checked_on": len(checked)}


def _judged_int8(model: Any, flatbuffer: bytes, wanted: Wanted, calibration: Calibration) -> dict[str, Any]:  # noqa: ANN401  # Keras ships no types
    with quiet():
        expected = agreement.keras_features(model, calibration.held_back)
        found = agreement.litert_features(flatbuffer, calibration.held_back)
    cost = agreement.cost(expected, found)
    say(
        f"int8, calibrated on {len(calibration.used)} pictures, judged on {cost.pictures} others: "
        f"cosine to float32 at least {cost.min_cosine:.3f}, on average {cost.mean_cosine:.3f}; "
        f"{cost.neighbours_kept:.1%} of nearest neighbours kept"
    )
    if cost.min_cosine < wanted.min_cosine or cost.neighbours_kept < wanted.min_neighbours_kept:
        raise RefusedError(
            f"int8 costs too much on these pictures: the smallest cosine is {cost.min_cosine:.3f} (at least "
            f"{wanted.min_cosine:g} with --min-cosine) and {cost.neighbours_kept:.3f} of the nearest neighbours are "
            f"kept (at least {wanted.min_neighbours_kept:g} with --min-neighbours-kept): it was not published. "
            "Calibrate with more pictures, or stay with float32"
        )
    return {
        "max_difference_from_keras": float(abs(expected - found).max()),
        "checked_on": cost.pictures,
        "calibrated_on": {"pictures": len(calibration.used), "sha256": calibration.sha256},
        "cost": dataclasses.asdict(cost),
    }
