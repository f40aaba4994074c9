"""Puts a model where runs find it, and knows one that is already there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
from obstore.store import LocalStore, S3Store

from tools.model.identity import FORMAT, sha256_of
from tools.model.refusal import RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    Store = LocalStore | S3Store

FILES = ("model.tflite", "weights.h5")


def store_of(address: str) -> Store:
    """The store behind a folder or `s3://bucket/prefix`; keys, region and endpoint are the `AWS_*` environment's.

    Raises:
        RefusedError: the address names no bucket.
    """
    if not address.startswith("s3://"):
        return LocalStore(Path(address).resolve(), mkdir=True)
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not bucket:
        raise RefusedError(f"{address!r} names no bucket: write s3://bucket/models")
    return S3Store(bucket, prefix=prefix.strip("/") or None, client_options={"allow_http": True})


def published(store: Store, fingerprint: str) -> dict[str, bytes] | None:
    """Every file of a published model with `model.json`, or None when any is missing or not what `model.json` says."""
    try:
        description = bytes(obstore.get(store, f"{fingerprint}/model.json").bytes())
        files = {name: bytes(obstore.get(store, f"{fingerprint}/{name}").bytes()) for name in FILES}
    except FileNotFoundError:
        return None
    if not _verifies(description, fingerprint, files):
        return None
    return {**files, "model.json": description}


def _verifies(description: bytes, fingerprint: str, files: Mapping[str, bytes]) -> bool:
    try:
        said = json.loads(description)
        return (
            said["format"] == FORMAT
            and said["fingerprint"] == fingerprint
            and all(said["files"][name] == file_entry(data) for name, data in files.items())
        )
    except (ValueError, KeyError, TypeError):
        return False


def file_entry(data: bytes) -> dict[str, Any]:
    """What `model.json` says about a file."""
    return {"sha256": sha256_of(data), "bytes": len(data)}


def publish(store: Store, fingerprint: str, files: Mapping[str, bytes]) -> None:
    """Writes a model's files, `model.json` last: its presence means that the others are there."""
    for name in (*FILES, "model.json"):
        obstore.put(store, f"{fingerprint}/{name}", files[name])


def make_default(store: Store, fingerprint: str) -> None:
    """Makes the model the one that runs use when they name no weights."""
    obstore.put(store, "default.json", json.dumps({"fingerprint": fingerprint}).encode())
