"""Which pictures lie in the bucket at a moment: how many, and what tells it from another moment."""

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from obstore.store import S3Store

from verger.plan.frozen_list import list_parts, of_listing
from verger.plan.listing import Listing, objects_at_once, objects_page_by_page
from verger.plan.plan_space import PlanLimits, PlanSpace, plan_space
from verger.plan.planning import ListObjects, list_bucket
from verger.storage.aws_clients import bucket_store, s3_client
from verger.storage.layout import BucketLayout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class BucketState:
    """How many pictures there are, and a digest of which they are and what they hold, whatever they were listed by."""

    pictures: int
    digest: str


#: A bucket without a picture.
EMPTY = BucketState(0, hashlib.sha256().hexdigest())


def list_pictures(s3: "S3Client", store: S3Store, layout: BucketLayout, space: PlanSpace) -> Listing:
    """Write the bucket's pictures into the table `listed`: the quick way, and the thorough one where that cannot."""
    quick, thorough = partial(objects_at_once, store, s3, layout), partial(objects_page_by_page, s3, layout)
    return list_bucket(quick, thorough, layout, space)


def state_at_once(aws_conn_id: str | None, region: str, layout: BucketLayout, limits: PlanLimits) -> BucketState:
    """The state of a bucket, the quick way. Raises DiskDatabaseError."""
    s3, store = s3_client(aws_conn_id, region), bucket_store(aws_conn_id, region, layout.bucket)
    with plan_space(limits) as space:
        return _state(list_pictures(s3, store, layout, space), space)


def state_page_by_page(s3: "S3Client", layout: BucketLayout, limits: PlanLimits) -> BucketState:
    """The same by a client that somebody keeps, whose credentials renew themselves."""
    pages: ListObjects = partial(objects_page_by_page, s3, layout)
    with plan_space(limits) as space:
        return _state(list_bucket(pages, pages, layout, space), space)


def _state(listing: Listing, space: PlanSpace) -> BucketState:
    digest = hashlib.sha256()
    for part in list_parts(space):
        digest.update(of_listing(part))
    return BucketState(listing.images, digest.hexdigest())
