"""The object store by key, for what is no Spark table: images, small JSON objects, results of one file."""

import functools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store
from verger_rules.addresses import S3Address
from verger_rules.instance_metadata import REGION, ask_instance

from spark_jobs.job_errors import MissingObjectError, RefusedError, StepFailedError
from spark_jobs.store.work_count import STORE_WORK

#: How long what may pass is tried again: a store that refuses for a minute or two ends no step.
PATIENCE = timedelta(minutes=3)


@dataclass(frozen=True)
class StoreSettings:
    """Where the object store answers; the credentials are each process's own (AWS_* or the instance profile).

    Attributes:
        endpoint: address of a server that is not AWS, else None.
        region: the region requests are signed for.
    """

    endpoint: str | None
    region: str


def store_settings() -> StoreSettings:
    """The settings of this machine: the standard AWS_* environment, else what the EC2 instance says.

    Raises:
        RefusedError: the region is known from neither.
    """
    return settings_from(os.environ, _instance_region)


def settings_from(environment: Mapping[str, str], instance_region: Callable[[], str]) -> StoreSettings:
    """The settings an environment means; `instance_region()` is asked only when it names no region."""
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    return StoreSettings(endpoint, region or instance_region())


def _instance_region() -> str:
    try:
        return ask_instance(REGION)
    except OSError as error:
        raise RefusedError("The AWS region is not known: set AWS_REGION (this is no EC2 instance)") from error


@functools.lru_cache(maxsize=16)
def open_store(settings: StoreSettings, bucket: str) -> S3Store:
    """A client of one bucket; one per process, for it keeps its connections.

    It does not retry by itself where that would hide the retries from telemetry: see `fetch.py`.
    """
    return _store(settings, bucket, retries=0)


@functools.lru_cache(maxsize=16)
def open_patient_store(settings: StoreSettings, bucket: str) -> S3Store:
    """A client of one bucket that retries what may pass for as long as PATIENCE."""
    # By time, not by number: ten attempts were over within half a minute.
    return _store(settings, bucket, retries=1000)


def _store(settings: StoreSettings, bucket: str, *, retries: int) -> S3Store:
    return S3Store(
        bucket,
        endpoint=settings.endpoint or f"https://s3.{settings.region}.amazonaws.com",
        region=settings.region,
        virtual_hosted_style_request=False,
        client_options={
            "allow_http": (settings.endpoint or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(seconds=120),
        },
        retry_config={"max_retries": retries, "retry_timeout": PATIENCE},
    )


def read_bytes(settings: StoreSettings, address: S3Address) -> bytes:
    """The whole of one object.

    Raises:
        MissingObjectError: it is not there.
        StepFailedError: the store does not give it.
    """
    try:
        content = bytes(obstore.get(open_patient_store(settings, address.bucket), address.key).bytes())
    except FileNotFoundError as error:
        raise MissingObjectError(f"{address.uri} is not there") from error
    except BaseError as error:
        raise StepFailedError(f"{address.uri} cannot be read: {said(error)}") from error
    STORE_WORK.add()
    return content


def download(settings: StoreSettings, address: S3Address, file: Path) -> None:
    """Write one object into a file of this machine, piece by piece.

    Raises:
        MissingObjectError: it is not there.
        StepFailedError: the store does not give it.
    """
    try:
        answer = obstore.get(open_patient_store(settings, address.bucket), address.key)
        with file.open("wb") as target:
            for piece in answer.stream():
                target.write(piece)
                STORE_WORK.add()
    except FileNotFoundError as error:
        raise MissingObjectError(f"{address.uri} is not there") from error
    except BaseError as error:
        raise StepFailedError(f"{address.uri} cannot be read: {said(error)}") from error


def said(error: Exception) -> str:
    """What the store said, without the client's own view of it."""
    return str(error).partition("\n\nDebug source")[0]


def read_json(settings: StoreSettings, address: S3Address) -> dict[str, Any]:
    """One JSON object.

    Raises:
        RefusedError: it is not there, or no JSON object.
    """
    try:
        content = json.loads(read_bytes(settings, address))
    except ValueError as error:
        if isinstance(error, RefusedError):
            raise
        raise RefusedError(f"{address.uri} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise RefusedError(f"{address.uri} holds a JSON {type(content).__name__}, not an object")
    return content


def write_bytes(settings: StoreSettings, address: S3Address, content: bytes) -> None:
    """Write one object in one PUT.

    Raises:
        StepFailedError: the store does not take it.
    """
    try:
        store = open_patient_store(settings, address.bucket)
        obstore.put(store, address.key, content, use_multipart=False)
    except (BaseError, FileNotFoundError) as error:
        raise StepFailedError(f"{address.uri} cannot be written: {said(error)}") from error


def write_in_passing(settings: StoreSettings, address: S3Address, content: bytes) -> bool:
    """Write one object in one attempt, for what is worth no waiting; whether the store took it."""
    try:
        obstore.put(open_store(settings, address.bucket), address.key, content, use_multipart=False)
    except (BaseError, FileNotFoundError):
        return False
    return True


def write_json(settings: StoreSettings, address: S3Address, content: Mapping[str, Any]) -> None:
    """Write one JSON object in one PUT."""
    write_bytes(settings, address, json.dumps(content, ensure_ascii=False, indent=1).encode())


def list_keys(settings: StoreSettings, folder: S3Address) -> list[str]:
    """The keys below a folder, ascending; empty when there are none."""
    try:
        pages = obstore.list(open_patient_store(settings, folder.bucket), folder.key)
        found: list[str] = []
        for page in pages:
            found += [entry["path"] for entry in page]
            STORE_WORK.add()
    except (BaseError, FileNotFoundError) as error:
        raise StepFailedError(f"{folder.uri} cannot be listed: {said(error)}") from error
    return sorted(found)
