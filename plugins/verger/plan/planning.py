"""What a run has to do: the frozen list of images, less what the feature table already has."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from verger_rules.decoder_version import DECODER_VERSION

from verger.plan.components import MOST_IMAGE_BYTES, Featurizable, check_components
from verger.plan.frozen_list import FrozenList
from verger.plan.listing import Listing, UnlistableKeyError, images_of
from verger.plan.plan_space import PlanSpace
from verger.plan.same_bytes import find_same_bytes
from verger.run.settings import Settings
from verger.storage.json_objects import write_json
from verger.storage.layout import BucketLayout, RunLayout
from verger.storage.left_out import LeftOut, LeftOutFiles, summarize_left_out

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: Lists the objects under the images prefix.
ListObjects = Callable[[], Iterable[pa.Table]]

# Rows of one image are one: of several chunks, places and tries, any one may have answered it.
_PLANNED = """
    CREATE TABLE planned AS
    WITH answered AS (
        SELECT path, etag,
            bool_or(current AND featurized) AS features,
            bool_or(current AND NOT featurized) AS reject,
            bool_or(NOT current) AS otherwise
        FROM done GROUP BY path, etag
    ), judged AS (
        SELECT path, etag, size, readable,
            coalesce(features, false) AS features,
            coalesce(reject, false) AND NOT $retry_rejects AS reject,
            coalesce(otherwise, false) AS otherwise
        FROM listed LEFT JOIN answered USING (path, etag)
    )
    SELECT path, etag, size,
        NOT features AND NOT reject AS todo,
        otherwise,
        features OR (NOT reject AND size > 0 AND size <= $most_bytes AND readable) AS able
    FROM judged
"""
_COUNTS = """
    SELECT count(*), count(*) FILTER (todo), count(*) FILTER (todo AND otherwise),
        coalesce(sum(size) FILTER (todo), 0)::BIGINT, count(*) FILTER (able)
    FROM planned
"""
_DIFFERENT = "SELECT count(*) FROM (SELECT etag, size FROM planned WHERE able GROUP BY etag, size)"
_KNOWN = "SELECT count(DISTINCT planned.path) FROM done JOIN planned USING (path) WHERE todo"
_GONE = "SELECT count(*) FROM previous ANTI JOIN listed USING (path)"
_TWICE = "SELECT path FROM listed GROUP BY path HAVING count(*) > 1 LIMIT 1"


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


@dataclass(frozen=True)
class Counts:
    """How many images there are of a kind: the numbers of a plan, and what can have features."""

    listed: int
    todo: int
    known: int
    redecoded: int
    gone: int
    bytes_todo: int
    able: Featurizable


def list_bucket(quick: ListObjects, thorough: ListObjects, layout: BucketLayout, space: PlanSpace) -> Listing:
    """Write the pictures under the images prefix into the table `listed`.

    Args:
        quick: lists the objects; raises UnlistableKeyError where a key is one that it cannot tell, and is taken for
            unable, too, where it tells one key twice.
        thorough: lists them whatever their keys are.
        layout: of the bucket.
        space: see PlanSpace.
    """
    try:
        listing = _list(quick, layout, space)
        twice = space.database.execute(_TWICE).fetchall()
        if not twice:
            return listing
        why = f"{twice[0][0]!r} lies there with and without a slash at its end"
    except UnlistableKeyError as error:
        why = str(error)
    return replace(_list(thorough, layout, space), why_slow=why)


def list_inventory(
    inventory: ListObjects,
    newer: Callable[[Mapping[str, str]], Iterable[pa.Table]],
    layout: BucketLayout,
    space: PlanSpace,
) -> Listing:
    """Write the pictures that an inventory tells, and what is known to be newer, into the table `listed`.

    Args:
        inventory: the objects under the images prefix at an earlier moment.
        newer: the objects that the inventory lacks, by the last key of each folder that it knows; what it tells of an
            object wins. Where it raises UnlistableKeyError, there are none.
        layout: of the bucket.
        space: see PlanSpace.
    """
    last: dict[str, str] = {}
    listing = _list(lambda: _noting_last(inventory(), layout, last), layout, space)
    left_out, why = LeftOutFiles(), ""
    for entry in listing.left_out:
        left_out.add(entry)
    try:
        for some in newer(last):
            images = images_of(some, layout, left_out)
            known = pa.table({"path": images["path"]})
            space.remove("listed", known)
            space.add("listed", images)
    except UnlistableKeyError as error:
        why = str(error)
    (count,) = space.row("SELECT count(*) FROM listed")
    return Listing(count, left_out.entries(), why)


def _noting_last(objects: Iterable[pa.Table], layout: BucketLayout, last: dict[str, str]) -> Iterator[pa.Table]:
    """The same objects; the last key of each folder directly under the images prefix is noted."""
    folder = rf"(?s)^({re.escape(layout.images_prefix)}[^/]*)/.*$"
    for some in objects:
        inside = some.filter(pc.match_substring_regex(some["key"], folder))
        folders = pc.replace_substring_regex(inside["key"], folder, r"\1")
        last_of = pa.table({"folder": folders, "key": inside["key"]}).group_by("folder").aggregate([("key", "max")])
        for name, key in zip(last_of["folder"].to_pylist(), last_of["key_max"].to_pylist(), strict=True):
            last[name] = max(key, last.get(name, key))
        yield some


def _list(objects: ListObjects, layout: BucketLayout, space: PlanSpace) -> Listing:
    space.clear("listed")
    left_out = LeftOutFiles()
    count = 0
    for some in objects():
        images = images_of(some, layout, left_out)
        space.add("listed", images)
        count += images.num_rows
    space.check_images(count)
    return Listing(count, left_out.entries())


def write_left_out(s3: "S3Client", run: RunLayout, left_out: list[LeftOut]) -> dict[str, Any]:
    """Write `left_out.json` (docs/formats.md); returns its summary."""
    summary = summarize_left_out(left_out)
    named = [entry.to_dict() for entry in left_out]
    content = {"run_id": run.run_id, "left_out": summary["files"], "left_out_reasons": summary["reasons"]}
    write_json(s3, run.left_out_of_bucket, {**content, "left_out_files": named})
    return summary


def count_images(space: PlanSpace, *, retry_rejects: bool) -> Counts:
    """Count the tables `listed`, `done` and `previous`: what is new, changed, decoded by other rules, gone, to do."""
    parameters = {"retry_rejects": retry_rejects, "most_bytes": MOST_IMAGE_BYTES}
    space.database.execute(_PLANNED, parameters)
    listed, todo, redecoded, bytes_todo, able = space.row(_COUNTS)
    (known,) = space.row(_KNOWN)
    (gone,) = space.row(_GONE)
    (different,) = space.row(_DIFFERENT)
    return Counts(listed, todo, known, redecoded, gone, bytes_todo, Featurizable(listed, able, different))


def make_plan(
    space: PlanSpace,
    frozen: FrozenList,
    settings: Settings,
    *,
    run_id: str,
    fingerprint: str,
    created_at: str,
    left_out: int = 0,
) -> Plan:
    """The plan of the images in the tables `listed`, `done` and `previous`.

    Raises SettingError when the pictures cannot have the components that are asked for.
    """
    counts = count_images(space, retry_rejects=settings.retry_rejects)
    check_components(counts.able, settings)
    return Plan(
        run_id=run_id,
        bucket=settings.bucket,
        prefix=settings.images_prefix,
        model_fingerprint=fingerprint,
        decoder=DECODER_VERSION,
        listed=counts.listed,
        done=counts.listed - counts.todo,
        todo=counts.todo,
        new=counts.todo - counts.known,
        changed=counts.known - counts.redecoded,
        redecoded=counts.redecoded,
        gone=counts.gone,
        bytes_todo=counts.bytes_todo,
        inputs_digest=frozen.inputs_digest,
        created_at=created_at,
        featurizable=counts.able.images,
        different=counts.able.different,
        same_bytes=find_same_bytes(space),
        left_out=left_out,
    )


def redecoded_warning(images: int) -> str:
    """What to tell of so many images that are computed again because the rules for decoding pictures have changed."""
    return (
        f"{images:,} pictures had been decoded by the rules of another version of Verger, and are computed again, "
        f"once: rows of decoder {DECODER_VERSION} take the place of theirs"
    )
