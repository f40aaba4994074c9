"""Prepares the model that the cluster runs: Keras' MobileNetV2 as LiteRT, checked against Keras, under its fingerprint.

Runs in the environment `model` (TensorFlow is in no other one). The last line of stdout is one JSON object with the
fingerprint; everything else goes to stderr. Exit code 2 and one line `verger: error: ...` when something was refused.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

from obstore.exceptions import BaseError

from tools.model import preparation, publishing
from tools.model.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def parse_args(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="prepare_model.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--weights", type=Path, metavar="FILE.h5", help="ImageNet weights of MobileNetV2 without its top"
    )
    source.add_argument("--random", action="store_true", help="seeded random weights: to try Verger out, not for use")
    parser.add_argument("--output-dir", metavar="DIR", help="write to DIR/<fingerprint>/")
    parser.add_argument("--models-uri", metavar="s3://BUCKET/models", help="write to s3://BUCKET/models/<fingerprint>/")
    parser.add_argument(
        "--make-default", action="store_true", help="also write default.json: runs without weights use this"
    )
    parser.add_argument("--check-images", metavar="DIR", help="compare with Keras on these pictures too")
    parser.add_argument(
        "--download-seconds", type=float, default=60.0, help="how long Keras may download; 0: not at all"
    )
    parser.add_argument("--precision", choices=("float32", "int8"), default="float32")
    parser.add_argument("--calibration-images", metavar="DIR|s3://...", help="your pictures, for --precision int8")
    parser.add_argument("--min-cosine", type=float, default=0.85, help="int8: refuse below this cosine to float32")
    parser.add_argument("--min-neighbours-kept", type=float, default=0.85, help="int8: refuse below this share")
    keras_home = Path(environment.get("KERAS_HOME") or Path.home() / ".keras")
    parser.set_defaults(keras_home=keras_home)
    parsed = parser.parse_args(arguments)
    if not parsed.output_dir and not parsed.models_uri:
        parser.error("say where to: --output-dir, --models-uri or both")
    return parsed


def run(parsed: argparse.Namespace) -> dict[str, str]:
    """Prepares what is not published yet; returns what the last line of stdout says.

    Raises:
        RefusedError: something is not fit for use; nothing was published.
    """
    wanted = preparation.Wanted(
        weights_file=parsed.weights,
        random=parsed.random,
        keras_home=parsed.keras_home,
        download_seconds=parsed.download_seconds,
        check_images=parsed.check_images,
        precision=parsed.precision,
        calibration=parsed.calibration_images,
        min_cosine=parsed.min_cosine,
        min_neighbours_kept=parsed.min_neighbours_kept,
    )
    places = {"dir": parsed.output_dir, "uri": parsed.models_uri}
    stores = {name: publishing.store_of(address) for name, address in places.items() if address}
    with tempfile.TemporaryDirectory() as scratch:
        chosen = preparation.choose_weights(wanted, Path(scratch))
        calibration = preparation.read_calibration(wanted)
        fingerprint = preparation.fingerprint_of(chosen, wanted, calibration)
        there = {name: publishing.published(store, fingerprint) for name, store in stores.items()}
        files = next((found for found in there.values() if found), None)
        if files is None:
            files = preparation.prepare(chosen, wanted, calibration, Path(scratch))
    for name, store in stores.items():
        if there[name] is None:
            publishing.publish(store, fingerprint, files)
            preparation.say(f"published {places[name].rstrip('/')}/{fingerprint}/")
        else:
            preparation.say(f"{places[name].rstrip('/')}/{fingerprint}/ is there already")
        if parsed.make_default:
            publishing.make_default(store, fingerprint)
    addresses = {name: f"{places[name].rstrip('/')}/{fingerprint}" for name in stores}
    return {"fingerprint": fingerprint, "weights": json.loads(files["model.json"])["weights"], **addresses}


def main() -> int:
    """The program."""
    parsed = parse_args(sys.argv[1:], os.environ)
    try:
        result = run(parsed)
    except (RefusedError, OSError, BaseError) as error:
        print(f"verger: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
