"""A run that is ready to be published."""

import pytest
from mypy_boto3_s3 import S3Client
from verger.storage.layout import RunLayout

from tests.verger.publish.stored_run import put_run


@pytest.fixture
def run(s3: S3Client, bucket: str) -> RunLayout:
    """A run whose steps have ended well."""
    return put_run(s3, bucket)
