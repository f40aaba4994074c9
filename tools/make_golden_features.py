"""Makes the golden vectors: what Keras says about a dozen pictures, for the tests of the two engines.

Runs in the environment `model`. Writes to `--output-dir` (tests/spark_jobs/golden):

- `drawn/*.png` and `drawn/*.jpg`: drawn pictures, stored so that the tests depend on no generator;
- `golden.npz` with
    `names` (n, str): `drawn/<file>` relative to the folder, or `photos/<label>/<file>` in the shared pictures,
    `sha256` (n, str): of the picture's file,
    `features` (n, 1280) float32: Keras' features of the picture turned upright, in RGB, squeezed to 224 x 224 (Pillow,
    bicubic), normalised to -1..1,
    `weights_sha256` (str): of the weights file, so that a test with other weights skips instead of failing.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

import numpy as np

from tools.drawing.broken import encoded
from tools.drawing.scene import draw
from tools.model import agreement, conversion, pictures, weights
from tools.model.quiet import quiet
from tools.model.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

# Label, index, width and height, format: small and large, wide and tall, with and without loss.
_DRAWN = (
    ("Apple Braeburn", 0, (100, 100), "JPEG"),
    ("Banana", 1, (120, 90), "JPEG"),
    ("Pêche Plate", 2, (90, 120), "JPEG"),
    ("100% Orange", 3, (64, 64), "PNG"),
    ("Grape Blue #2", 4, (224, 224), "JPEG"),
    ("Kiwi (half)", 5, (320, 240), "JPEG"),
)
_PHOTOS_A_LABEL = 2
_SUFFIX = {"JPEG": "jpg", "PNG": "png"}


def drawn(folder: Path) -> list[pictures.Picture]:
    """Writes the drawn pictures and reads them back."""
    (folder / "drawn").mkdir(parents=True, exist_ok=True)
    found = []
    for number, (label, index, size, form) in enumerate(_DRAWN):
        path = folder / "drawn" / f"{number}.{_SUFFIX[form]}"
        path.write_bytes(encoded(draw(label, index, size=size), form))
        found.append(pictures.decoded(path.relative_to(folder).as_posix(), path.read_bytes()))
    return found


def photos(folder: Path) -> list[pictures.Picture]:
    """The first RGB photographs of each label; transparency is a matter of taste, so it is left out."""
    found = []
    for label in sorted(path for path in folder.iterdir() if path.is_dir()):
        whole = [path for path in sorted(label.iterdir()) if path.read_bytes()[:2] == b"\xff\xd8"]
        found += [
            pictures.decoded(f"photos/{label.name}/{path.name}", path.read_bytes()) for path in whole[:_PHOTOS_A_LABEL]
        ]
    return found


def parse_args(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE.h5")
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="DIR/<label>/<file>")
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR")
    return parser.parse_args(arguments)


def main() -> int:
    """The program."""
    parsed = parse_args(sys.argv[1:])
    try:
        chosen = weights.from_file(parsed.weights)
        everything = drawn(parsed.output_dir) + photos(parsed.photos)
        with quiet():
            conversion.start_tensorflow()
            model = conversion.build()
            weights.load(model, chosen)
            features = agreement.keras_features(model, everything)
    except (RefusedError, OSError) as error:
        print(f"verger: error: {error}", file=sys.stderr)
        return 2
    path = parsed.output_dir / "golden.npz"
    np.savez_compressed(
        path,
        names=np.array([picture.name for picture in everything]),
        sha256=np.array([picture.sha256 for picture in everything]),
        features=features.astype(np.float32),
        weights_sha256=np.array(chosen.sha256),
    )
    print(f"{len(everything)} pictures, {path.stat().st_size} bytes in {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
