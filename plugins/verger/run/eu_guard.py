"""Nothing of Verger may lie or run outside the European Union."""

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

#: AWS Regions inside the EU. eu-west-2 is London and eu-central-2 is Zurich: Europe, but not the EU.
#: Source: https://docs.aws.amazon.com/global-infrastructure/latest/regions/aws-regions.html (read 2026-11).
EU_REGIONS = ("eu-central-1", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-3")

#: What a proof says of an endpoint on this machine or in its private network that reports no region.
LOCAL = "local"


class OutsideEuError(ValueError):
    """Something would lie or run outside the EU."""


class BucketMissingError(ValueError):
    """A bucket does not exist, or these credentials may not see it."""


def check_region(region: str) -> str:
    """Return the region; raises OutsideEuError when it is not in the EU."""
    if region not in EU_REGIONS:
        raise OutsideEuError(
            f"region {region!r} is not in the EU: choose one of {', '.join(EU_REGIONS)} "
            "(eu-west-2 is London and eu-central-2 is Zurich)"
        )
    return region


def check_topic(arn: str) -> str:
    """Return the region that the ARN of an SNS topic names; raises OutsideEuError when it is not in the EU."""
    region = (arn.split(":") + [""] * 4)[3]
    if region not in EU_REGIONS:
        raise OutsideEuError(
            f"VERGER_TOPIC_ARN is {arn!r}: that topic is in {region!r}, which is not in the EU, and the mails tell of "
            "your pictures; use a topic that is"
        )
    return region


def is_local_endpoint(url: str) -> bool:
    """Whether an endpoint is on this machine or in its private network, and not AWS's own."""
    host = urlsplit(url).hostname or ""
    if host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".aws")):
        return False
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    addresses = [ipaddress.ip_address(entry[4][0]) for entry in found]
    return bool(addresses) and all(address.is_loopback or address.is_private for address in addresses)


def bucket_region(s3: "S3Client", bucket: str) -> str:
    """Where a bucket really is: its region, or "local" for a local endpoint that reports none.

    Raises BucketMissingError when there is no such bucket or no access to it.
    """
    try:
        head = s3.head_bucket(Bucket=bucket)
        # Both are empty for a bucket in us-east-1, and for a server that has no regions.
        region: str | None = head.get("BucketRegion") or s3.get_bucket_location(Bucket=bucket)["LocationConstraint"]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        raise BucketMissingError(
            f"bucket {bucket!r} cannot be read ({code}): create it in an EU region, "
            "or correct the parameter `bucket`, or these credentials' permissions"
        ) from error
    if region:
        # GetBucketLocation's old name of Ireland.
        return "eu-west-1" if region == "EU" else region
    return LOCAL if is_local_endpoint(s3.meta.endpoint_url) else "us-east-1"


def check_bucket(s3: "S3Client", bucket: str) -> str:
    """Return where a bucket is; raises OutsideEuError when that is not in the EU."""
    region = bucket_region(s3, bucket)
    if region != LOCAL and region not in EU_REGIONS:
        raise OutsideEuError(f"bucket {bucket!r} is in {region!r}, which is not in the EU: use a bucket that is")
    return region
