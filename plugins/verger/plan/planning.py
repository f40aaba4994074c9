"""What a run has to do: the frozen list of images, less what the feature table already has."""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from heapq import nsmallest
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
from verger_rules.addresses import S3Address
from verger_rules.decoder_version import DECODER_VERSION
from verger_rules.schemas import MANIFEST

from verger.plan.components import check_components, find_featurizable
from verger.plan.feature_table import DoneImages
from verger.run.settings import Settings
from verger.storage.file_names import is_folder
from verger.storage.json_objects import write_json
from verger.storage.layout import BucketLayout, RunLayout, label_of
from verger.storage.left_out import LeftOut, LeftOutFiles, count_files, leave_out, summarize_left_out, system_reason

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: So many groups of the same bytes are named, and so many paths of each.
_MOST_EXAMPLES = 10


class NoImagesError(ValueError):
    """There is no image to work on."""


@dataclass(frozen=True, order=True)
class ListedImage:
    """One object under the images prefix, as it was when it was listed."""

    path: str
    etag: str
    label: str
    size: int


@dataclass(frozen=True)
class Listing:
    """What lies under the images prefix.

    Attributes:
        images: the pictures, and what may be one, ascending by path.
        left_out: what systems keep for themselves there, by name.
    """

    images: list[ListedImage]
    left_out: list[LeftOut]


@dataclass(frozen=True)
class Plan:
    """What a run found and has to do, in numbers of images (docs/formats.md, `plan.json`)."""

    run_id: str
    bucket: str
    prefix: str
    model_fingerprint: str
    decoder: int
    listed: int
    done: int
    todo: int
    new: int
    changed: int
    redecoded: int
    gone: int
    bytes_todo: int
    inputs_digest: str
    created_at: str
    featurizable: int
    different: int
    same_bytes: dict[str, Any]
    left_out: int = 0

    def to_json(self) -> bytes:
        """The plan as `plan.json` holds it."""
        return json.dumps(asdict(self), indent=1).encode()


def list_images(s3: "S3Client", layout: BucketLayout) -> list[ListedImage]:
    """List the objects under the images prefix once, ascending by path; raises NoImagesError when there is none."""
    return check_any_image(list_bucket(s3, layout), layout).images


def find_images(s3: "S3Client", layout: BucketLayout) -> list[ListedImage]:
    """The pictures under the images prefix, ascending by path; there may be none."""
    return list_bucket(s3, layout).images


def list_bucket(s3: "S3Client", layout: BucketLayout) -> Listing:
    """List the objects under the images prefix once; what a system keeps for itself there is no picture."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=layout.bucket, Prefix=layout.images_prefix)
    left_out = LeftOutFiles()
    images = sorted(_listed_images(pages, layout, left_out))
    return Listing(images, left_out.entries())


def check_any_image(listing: Listing, layout: BucketLayout) -> Listing:
    """The same listing; raises NoImagesError when it holds no picture."""
    if not listing.images:
        others = count_files(listing.left_out)
        only = f" (but {others:,} hidden files and files of systems)" if others else ""
        raise NoImagesError(
            f"no picture lies under s3://{layout.bucket}/{layout.images_prefix}{only}: copy some there, "
            "or name a folder in the parameter `source`"
        )
    return listing


def _listed_images(
    pages: Iterable[Mapping[str, Any]], layout: BucketLayout, left_out: LeftOutFiles
) -> Iterator[ListedImage]:
    for page in pages:
        for entry in page.get("Contents", ()):
            key = entry["Key"]
            if is_folder(key, entry["Size"]):
                continue
            name = key.removeprefix(layout.images_prefix)
            if reason := system_reason(name):
                left_out.add(leave_out(name, layout.images_prefix, reason))
                continue
            yield ListedImage(
                path=layout.address(key).uri,
                etag=entry["ETag"].strip('"'),
                label=label_of(key, layout.images_prefix),
                size=entry["Size"],
            )


def write_left_out(s3: "S3Client", run: RunLayout, left_out: list[LeftOut]) -> dict[str, Any]:
    """Write `left_out.json` (docs/formats.md); returns its summary."""
    summary = summarize_left_out(left_out)
    named = [entry.to_dict() for entry in left_out]
    content = {"run_id": run.run_id, "left_out": summary["files"], "left_out_reasons": summary["reasons"]}
    write_json(s3, run.left_out_of_bucket, {**content, "left_out_files": named})
    return summary


def manifest_bytes(images: Iterable[ListedImage]) -> bytes:
    """The manifest as a Parquet file."""
    rows = list(images)
    table = pa.table(
        {name: [getattr(image, name) for image in rows] for name in MANIFEST.names},
        schema=MANIFEST,
    )
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def read_manifest_paths(filesystem: pyarrow.fs.FileSystem, address: S3Address) -> frozenset[str]:
    """The paths of an earlier run's manifest; empty when somebody deleted it."""
    manifest = read_manifest(filesystem, address, ["path"])
    return frozenset() if manifest is None else frozenset(manifest["path"].to_pylist())


def read_manifest(filesystem: pyarrow.fs.FileSystem, address: S3Address, columns: list[str]) -> pa.Table | None:
    """Columns of a run's manifest; None when somebody deleted it."""
    try:
        with filesystem.open_input_file(f"{address.bucket}/{address.key}") as file:
            return pq.ParquetFile(file).read(columns=columns)
    except FileNotFoundError:
        return None


def inputs_digest(images: Iterable[ListedImage], fingerprint: str, settings: Settings) -> str:
    """A digest of all that decides the matrix: equal digests, equal results."""
    decides = {
        "model": fingerprint,
        "decoder": DECODER_VERSION,
        "k": None if settings.variance is not None else settings.k,
        "variance": settings.variance,
        "standardize": settings.standardize,
    }
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    for image in images:
        digest.update(f"\0{image.path}\0{image.etag}\0{image.label}".encode())
    return digest.hexdigest()


def find_same_bytes(images: list[ListedImage]) -> dict[str, Any]:
    """The images whose bytes lie under two labels or more: a folder was renamed, or pictures were filed twice.

    Returns `images` (how many) and `examples`: a few groups of the same bytes, one path of each label. Bytes count as
    the same when ETag and size are: in a bucket with KMS none are. Takes a list of pointers beside the images.
    """
    found = 0
    examples: list[list[str]] = []
    of_bytes = attrgetter("etag", "size")
    for (_, size), group in groupby(sorted(images, key=of_bytes), key=of_bytes):
        count, paths = 0, dict[str, str]()
        for image in group:
            count += 1
            paths.setdefault(image.label, image.path)
        if len(paths) > 1 and size:
            found += count
            examples = nsmallest(_MOST_EXAMPLES, [*examples, nsmallest(_MOST_EXAMPLES, paths.values())])
    return {"images": found, "examples": examples}


def same_bytes_warning(images: int) -> str:
    """What to tell of so many images whose bytes lie under two labels or more."""
    return (
        f"{images:,} pictures lie with the same bytes under two labels or more, and count in each: was a folder "
        "renamed between two syncs? Delete one of the two, or sync with delete_missing"
    )


def redecoded_warning(images: int) -> str:
    """What to tell of so many images that are computed again because the rules for decoding pictures have changed."""
    return (
        f"{images:,} pictures had been decoded by the rules of another version of Verger, and are computed again, "
        f"once: rows of decoder {DECODER_VERSION} take the place of theirs"
    )


def make_plan(
    images: list[ListedImage],
    done: DoneImages,
    settings: Settings,
    *,
    previous_paths: frozenset[str],
    run_id: str,
    fingerprint: str,
    created_at: str,
    left_out: int = 0,
) -> Plan:
    """Count what is new, changed, decoded by other rules, gone and to do.

    Raises SettingError when the pictures cannot have the components that are asked for.

    `previous_paths` are those of the run that `latest.json` points to: what is gone is gone since then.
    """
    able = find_featurizable(images, done, settings)
    check_components(able, settings)
    answered = done.answered(retry_rejects=settings.retry_rejects)
    todo = [image for image in images if (image.path, image.etag) not in answered]
    again = sum((image.path, image.etag) in done.otherwise for image in todo)
    known_paths = done.paths
    known = sum(image.path in known_paths for image in todo)
    return Plan(
        run_id=run_id,
        bucket=settings.bucket,
        prefix=settings.images_prefix,
        model_fingerprint=fingerprint,
        decoder=DECODER_VERSION,
        listed=len(images),
        done=len(images) - len(todo),
        todo=len(todo),
        new=len(todo) - known,
        changed=known - again,
        redecoded=again,
        gone=len(previous_paths - {image.path for image in images}),
        bytes_todo=sum(image.size for image in todo),
        inputs_digest=inputs_digest(images, fingerprint, settings),
        created_at=created_at,
        featurizable=able.images,
        different=able.different,
        same_bytes=find_same_bytes(images),
        left_out=left_out,
    )
