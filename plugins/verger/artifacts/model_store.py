"""Finds the model that a run uses, and has it prepared when the bucket does not hold it yet."""

import hashlib
import json
import logging
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, ParamValidationError
from verger_rules.addresses import parse_uri
from verger_rules.model import fingerprint

from verger.run.deployment import Deployment
from verger.run.eu_guard import check_bucket
from verger.storage.json_objects import read_json
from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

#: Building, converting and checking the model takes half a minute; a download of the weights is 9 MB.
_PREPARE_SECONDS = 900


class ModelError(ValueError):
    """There is no usable model, and the message says how to get one."""


@dataclass(frozen=True)
class Model:
    """A published model.

    Attributes:
        fingerprint: 16 hex digits.
        uri: its folder, without `/` at its end.
        weights: where its weights came from: `file`, `imagenet` or `random`.
    """

    fingerprint: str
    uri: str
    weights: str


def fingerprint_of(weights_file: Path, precision: str = "float32") -> str:
    """The fingerprint of the model that a weights file makes (docs/formats.md, `model.json`)."""
    with weights_file.open("rb") as stream:
        weights = hashlib.file_digest(stream, "sha256").hexdigest()
    return fingerprint(weights, precision)


def check_weights(s3: "S3Client", weights: str) -> str:
    """Return where a weights file lies: its bucket's region, or "this machine".

    Raises ModelError when it is not there, OutsideEuError when its bucket is not in the EU.
    """
    if not weights.startswith("s3://"):
        if not Path(weights).is_file():
            raise ModelError(f"weights is {weights!r}: there is no such file on this machine")
        return "this machine"
    address = parse_uri(weights)
    region = check_bucket(s3, address.bucket)
    try:
        s3.head_object(Bucket=address.bucket, Key=address.key)
    except (ClientError, ParamValidationError) as error:
        raise ModelError(f"weights is {weights!r}: there is no such object, or it may not be read") from error
    return region


@contextmanager
def _weights_file(s3: "S3Client", weights: str) -> Iterator[str]:
    """The weights as a file of this machine, for as long as the context is open; empty for the default model's."""
    if not weights.startswith("s3://"):
        yield weights
        return
    address = parse_uri(weights)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / Path(address.key).name
        file.write_bytes(s3.get_object(Bucket=address.bucket, Key=address.key)["Body"].read())
        yield str(file)


def find_model(s3: "S3Client", layout: BucketLayout, fingerprint: str) -> Model | None:
    """The published model of a fingerprint; `model.json` is written last, so its presence means it is whole."""
    description = read_json(s3, layout.address(layout.model_key(fingerprint)))
    if description is None:
        return None
    uri = layout.address(layout.model_key(fingerprint, "")).uri.rstrip("/")
    return Model(fingerprint, uri, str(description["weights"]))


def find_wanted_model(s3: "S3Client", layout: BucketLayout, weights: str) -> Model | None:
    """The model of a weights file, or the bucket's default one; None when the bucket does not hold it."""
    if weights:
        file = Path(weights)
        if not file.is_file():
            raise ModelError(f"weights is {weights!r}: there is no such file on this machine")
        return find_model(s3, layout, fingerprint_of(file))
    default = read_json(s3, layout.address("models/default.json"))
    return find_model(s3, layout, str(default["fingerprint"])) if default else None


def prepare_command(python: Path | str, home: Path, layout: BucketLayout, weights: str) -> list[str]:
    """The command that prepares and publishes the model."""
    tool = home / "tools" / "prepare_model.py"
    chosen = ["--weights", weights] if weights else ["--make-default"]
    return [str(python), str(tool), "--models-uri", layout.models_uri, *chosen]


def ensure_model(
    s3: "S3Client", layout: BucketLayout, deployment: Deployment, weights: str, environment: Mapping[str, str]
) -> Model:
    """Return the wanted model, prepared first where the bucket lacks it; raises ModelError when that fails.

    `environment` is that of the program that prepares it; it holds the credentials.
    """
    with _weights_file(s3, weights) as file:
        model = find_wanted_model(s3, layout, file)
        if model is None:
            _prepare(deployment, layout, file, environment, fetched=file != weights)
            model = find_wanted_model(s3, layout, file)
    if model is None:
        raise ModelError(f"the model was prepared, but {layout.models_uri} does not hold it: look at the log above")
    if model.weights == "random":
        log.warning("THE MODEL HAS RANDOM WEIGHTS: features and matrix carry no meaning. Give ImageNet weights.")
    return model


def _prepare(
    deployment: Deployment, layout: BucketLayout, weights: str, environment: Mapping[str, str], *, fetched: bool
) -> None:
    if deployment.model_python is None or not deployment.model_python.exists():
        # What was fetched for this task alone is gone by the time that somebody reads this: its name must do.
        command = " ".join(
            prepare_command("python", Path(), layout, weights.rpartition("/")[2] if fetched else weights)
        )
        raise ModelError(
            f"{layout.models_uri} does not hold the model yet, and this machine has no environment to prepare it "
            f"(VERGER_MODEL_PYTHON is {str(deployment.model_python or '')!r}): run once, where the environment of "
            f"requirements/model.txt is installed: {command}"
        )
    command_line = prepare_command(deployment.model_python, deployment.home, layout, weights)
    log.info("Preparing the model: %s", " ".join(command_line))
    done = subprocess.run(  # noqa: S603 -- our own tool, with arguments of our own making
        command_line,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_PREPARE_SECONDS,
        check=False,
        env=environment,
    )
    for line in done.stderr.splitlines():
        log.info("prepare_model: %s", line)
    if done.returncode != 0:
        reason = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "it said nothing")
        raise ModelError(f"the model could not be prepared: {reason.removeprefix('verger: error: ')}")
    log.info("prepare_model: %s", json.loads(done.stdout.splitlines()[-1]))
