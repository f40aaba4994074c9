"""Makes the bucket `VERGER_BUCKET` on the stack's S3 server, unless it is there."""

from __future__ import annotations

import os

import boto3


def main() -> None:
    """The program."""
    name = os.environ["VERGER_BUCKET"]
    s3 = boto3.client("s3")
    if name in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        print(f"the bucket {name} is there")
        return
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    print(f"made the bucket {name}")


if __name__ == "__main__":
    main()
