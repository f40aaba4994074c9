"""Plans of images that a test names, and listings of a test's bucket, both ways."""

import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from mypy_boto3_s3 import S3Client
from verger.plan.bucket_state import list_pictures
from verger.plan.listing import LISTED, Listing, objects_page_by_page
from verger.plan.plan_space import PlanLimits, PlanSpace, on_disk, plan_space
from verger.plan.planning import list_bucket
from verger.storage.aws_clients import bucket_store, s3_client
from verger.storage.layout import BucketLayout
from verger_rules.addresses import is_readable_key, parse_uri

Pair = tuple[str, str]


@dataclass(frozen=True, order=True)
class ListedImage:
    """One image of the table `listed`."""

    path: str
    etag: str
    label: str
    size: int


_DONE = pa.schema([("path", pa.string()), ("etag", pa.string()), ("featurized", pa.bool_()), ("current", pa.bool_())])
_LIMITS = PlanLimits(memory_mib=256)


@contextmanager
def space_of(
    images: Iterable[ListedImage],
    *,
    features: Collection[Pair] = (),
    rejects: Collection[Pair] = (),
    otherwise: Collection[Pair] = (),
    previous: Collection[str] = (),
) -> Iterator[PlanSpace]:
    """The tables of a plan of these images; the pairs are path and etag of rows of the feature table."""
    rows = [(one.path, one.etag, one.label, one.size, is_readable_key(parse_uri(one.path).key)) for one in images]
    done = [
        *((*pair, True, True) for pair in features),
        *((*pair, False, True) for pair in rejects),
        *((*pair, True, False) for pair in otherwise),
    ]
    # In memory: a property is tried on a hundred of them.
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        space = PlanSpace(Path(folder), database, on_disk(_LIMITS))
        space.clear_all()
        space.add("listed", _table(LISTED, rows))
        space.add("done", _table(_DONE, done))
        space.add("previous", _table(pa.schema([("path", pa.string())]), [(path,) for path in previous]))
        yield space


def _table(schema: pa.Schema, rows: Collection[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return pa.table([list(column) for column in columns], schema)


def images_in(space: PlanSpace) -> list[ListedImage]:
    """The images of the table `listed`, ascending by path."""
    found = space.database.execute("SELECT path, etag, label, size FROM listed ORDER BY path").fetchall()
    return [ListedImage(*row) for row in found]


def listed(s3: S3Client, layout: BucketLayout) -> tuple[Listing, list[ListedImage]]:
    """What lies under the images prefix by boto3 alone."""
    pages = partial(objects_page_by_page, s3, layout)
    with plan_space(_LIMITS) as space:
        return list_bucket(pages, pages, layout, space), images_in(space)


def listed_quickly(layout: BucketLayout) -> tuple[Listing, list[ListedImage]]:
    """The same as a run lists it: by obstore, and by boto3 where that cannot."""
    with plan_space(_LIMITS) as space:
        s3, store = s3_client(None, "eu-west-1"), bucket_store(None, "eu-west-1", layout.bucket)
        return list_pictures(s3, store, layout, space), images_in(space)
