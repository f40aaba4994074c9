"""Says which fruit is on a picture, by a published run alone: its label, how sure that is, and the nearest pictures.

    tools/identify.py photo.jpg                                  the results of `make demo`
    tools/identify.py --results s3://fruits-data photo.jpg       those that results/latest.json points to
    tools/identify.py --results s3://fruits-data/results/RUN --json *.jpg

Needs the packages of bootstrap/requirements.txt, and nothing of the bucket but the run's results. A picture that is
unlike everything known still gets the label that fits best, and is said to be so. Exit code: 0 when every picture was
identified, 1 when one could not be read, 2 when the results cannot be used.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":  # run as a file: Python then looks for modules beside it only
    PROJECT = Path(__file__).resolve().parent.parent
    sys.path[:0] = [str(PROJECT), str(PROJECT / "plugins")]

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from verger.storage.file_names import printable
from verger_rules.addresses import AddressError, parse_uri
from verger_rules.layout import run_slug
from verger_rules.unit_vectors import unit_vectors

from spark_jobs.job_errors import RefusedError, StepFailedError
from spark_jobs.store.object_store import StoreSettings, read_bytes, read_json, store_settings
from spark_jobs.worker.decode import UndecodableError, decode_image, prepare_pillow
from spark_jobs.worker.infer import open_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spark_jobs.worker.infer import Engine, Features

FORMAT = 1
MOST_PIXELS = 100_000_000
#: So many nearest pictures are named, and so many labels beside the first.
NEAREST = 3
OTHER_LABELS = 2
#: A less likely label is not named.
LEAST_PROBABILITY = 0.01


class ResultsError(Exception):
    """The results cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Identified:
    """What is found out about a picture.

    Attributes:
        labels: the likeliest with their probabilities, the likeliest first.
        nearest: the known pictures most like it, with their cosines.
        unlike: whether it is unlike everything known.
    """

    labels: list[tuple[str, float]]
    nearest: list[tuple[str, float]]
    unlike: bool


class PublishedClassifier:
    """The classifier of a run's results."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        """`read` gives a file of the folder `classifier/`; raises ResultsError when one cannot be used."""
        try:
            self.description = json.loads(read("classifier.json"))
            if self.description["format"] != FORMAT:
                raise ResultsError(f"classifier.json is of format {self.description['format']}, this reads {FORMAT}")
            content = read("classifier.npz")
            if hashlib.sha256(content).hexdigest() != self.description["sha256"]:
                raise ResultsError("classifier.npz is not the file that classifier.json describes: publish again")
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                self._coefficients, self._intercept = arrays["coefficients"], arrays["intercept"]
            self._names = _names(self.description["labels"], len(self._coefficients))
            self._unlike = float(self.description["unlike_distance"])
            references = _references(read("references.parquet"))
            self._paths = references["path"].to_pylist()
            self._references = np.stack(references["features"].to_numpy(zero_copy_only=False))
            self._engine: Engine = open_engine("litert", read("model.tflite"), 1)
        except (KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise ResultsError(f"the classifier is damaged ({error}): publish the run again") from error

    def identify(self, content: bytes) -> Identified:
        """What a picture shows. Raises UndecodableError."""
        features = self._engine(decode_image(content, MOST_PIXELS).pixels[None])
        cosines = (self._references @ unit_vectors(features)[0]).astype(float)
        return Identified(
            self._labels(features),
            [(self._paths[at], round(float(cosines[at]), 4)) for at in np.argsort(-cosines)[:NEAREST]],
            bool(1 - cosines.max(initial=-1.0) > self._unlike),
        )

    def _labels(self, features: Features) -> list[tuple[str, float]]:
        logits = (features @ self._coefficients.T + self._intercept)[0].astype(float)
        powers = np.exp(logits - logits.max())
        shares = powers / powers.sum()
        likeliest = np.argsort(-shares, kind="stable")[: 1 + OTHER_LABELS].tolist()
        told = [(self._names[at], round(float(shares[at]), 4)) for at in likeliest]
        return [told[0], *(one for one in told[1:] if one[1] >= LEAST_PROBABILITY)]


def open_results(named: str, environment_settings: Callable[[], StoreSettings] = store_settings) -> PublishedClassifier:
    """The classifier of a folder, of `s3://bucket/results/RUN`, or of `s3://bucket` by its `latest.json`.

    Raises ResultsError.
    """
    if not named.startswith("s3://"):
        folder = Path(named) / "classifier"
        return PublishedClassifier(lambda name: _read_file(folder / name))
    try:
        settings, address = environment_settings(), parse_uri(named.rstrip("/"))
        if not address.key:
            latest = read_json(settings, address.child("results/latest.json"))
            address = address.child(f"results/{run_slug(latest['run_id'])}")
        return PublishedClassifier(lambda name: read_bytes(settings, address.child(f"classifier/{name}")))
    except (AddressError, RefusedError, StepFailedError, KeyError) as error:
        raise ResultsError(f"{named} cannot be used: {error}") from error


def _names(labels: Iterable[object], count: int) -> list[str]:
    """The labels. Raises ValueError when there are not so many."""
    found = [str(label) for label in labels]
    if len(found) != count:
        raise ValueError(f"{len(found)} labels for {count} rows of coefficients")
    return found


def _references(content: bytes) -> pa.Table:
    """The known pictures. Raises ValueError when the file is damaged; what pyarrow raises then may be an OSError."""
    try:
        return pq.read_table(pa.BufferReader(content))
    except OSError as error:
        raise ValueError(f"references.parquet: {error}") from error


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ResultsError(
            f"{path} cannot be read ({error.strerror}): name the folder of a run's results. A run of one label, or of "
            "an earlier version, has no classifier"
        ) from error


def told(picture: str, found: Identified) -> list[str]:
    """What is found out, as lines for a person."""
    first, *others = (f"{_shown(label)} ({share:.0%})" for label, share in found.labels)
    lines = [f"{_shown(picture)}: {first}{'; else ' + ', '.join(others) if others else ''}"]
    if found.unlike:
        lines.append("  unlike everything known: the label is only the one that fits best")
    near = ", ".join(f"{_shown('/'.join(path.split('/')[-2:]))} ({cosine:.2f})" for path, cosine in found.nearest)
    return [*lines, f"  nearest: {near}"]


def _shown(text: str) -> str:
    return printable(text) or "(no label)"


def parse_args(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="identify.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument(
        "--results", default="demo-output", metavar="FOLDER|S3", help="of the run (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per picture")
    return parser.parse_args(arguments)


def identify_all(classifier: PublishedClassifier, asked: argparse.Namespace) -> bool:
    """Print what each picture shows; whether all could be read."""
    well = True
    for picture in asked.pictures:
        try:
            found = classifier.identify(picture.read_bytes())
        except (OSError, UndecodableError) as error:
            well = False
            why = error.strerror if isinstance(error, OSError) else error
            print(f"identify: {_shown(str(picture))} cannot be read: {why}", file=sys.stderr)
            continue
        told_of: dict[str, Any] = {"picture": str(picture), **asdict(found)}
        print(json.dumps(told_of) if asked.json else "\n".join(told(str(picture), found)))
    return well


def main() -> int:
    """The program."""
    asked = parse_args(sys.argv[1:])
    prepare_pillow()
    try:
        return 0 if identify_all(open_results(asked.results), asked) else 1
    except ResultsError as error:
        print(f"identify: error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
