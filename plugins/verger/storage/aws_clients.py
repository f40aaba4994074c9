"""The AWS clients, built in one place through Airflow's connection, so that every task uses the same account."""

import os
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import pyarrow.fs
from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
from botocore.config import Config
from obstore.store import S3Store
from verger_rules.addresses import S3Address
from verger_rules.delta_table import TablePlace, store_options

if TYPE_CHECKING:
    from mypy_boto3_emr import EMRClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from obstore.store import ClientConfig, S3Config

    from verger.cluster.quotas import ServiceQuotas
    from verger.cluster.subnets import Subnets
    from verger.cost.billing import CostExplorer
    from verger.cost.spot_prices import SpotPriceHistory

#: Sixteen threads copy and read; the default pool of ten would make them wait for one another.
_CONFIG = Config(max_pool_connections=32, retries={"mode": "standard", "max_attempts": 6})


#: A mail, a bill or a Spot price is a courtesy: a run does not wait for it.
_QUICK = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 3})
#: botocore itself repeats a call whose answer was lost; some must not be done twice (cluster/single_calls.py).
ONE_ATTEMPT: Mapping[str, Any] = {"retries": {"total_max_attempts": 1}}
#: Somebody waits for the answer before a screen.
_SOON = Config(
    max_pool_connections=32, connect_timeout=3, read_timeout=15, retries={"mode": "standard", "max_attempts": 2}
)
_CLIENT_SECONDS = 300
#: The one endpoint of Cost Explorer, whatever the region of what it tells about.
_COST_EXPLORER_REGION = "us-east-1"


def _client(
    service: str,
    aws_conn_id: str | None,
    region: str,
    config: Config = _CONFIG,
) -> Any:  # noqa: ANN401 -- one of boto3's made-up classes
    hook: AwsGenericHook[Any] = AwsGenericHook(
        aws_conn_id=aws_conn_id, client_type=service, region_name=region, config=config
    )
    return hook.get_conn()


def s3_client(aws_conn_id: str | None, region: str) -> "S3Client":
    """A client of S3 in a region."""
    return cast("S3Client", _client("s3", aws_conn_id, region))


def viewer_s3_client(aws_conn_id: str | None, region: str) -> "S3Client":
    """A client of S3 for many small reads that somebody waits for: kept for some minutes, and it gives up soon."""
    return _kept_s3_client(aws_conn_id, region, int(time.monotonic() / _CLIENT_SECONDS))


@lru_cache(maxsize=16)
def _kept_s3_client(aws_conn_id: str | None, region: str, _age: int) -> "S3Client":
    return cast("S3Client", _client("s3", aws_conn_id, region, _SOON))


def emr_client(aws_conn_id: str | None, region: str) -> "EMRClient":
    """A client of EMR in a region."""
    return cast("EMRClient", _client("emr", aws_conn_id, region))


def emr_client_of_one_attempt(aws_conn_id: str | None, region: str) -> "EMRClient":
    """A client of EMR that repeats no call."""
    return cast("EMRClient", _client("emr", aws_conn_id, region, Config(**ONE_ATTEMPT)))


def sns_client(aws_conn_id: str | None, region: str) -> "SNSClient":
    """A client of SNS that gives up soon."""
    return cast("SNSClient", _client("sns", aws_conn_id, region, _QUICK))


def ec2_client(aws_conn_id: str | None, region: str) -> "Subnets":
    """A client of EC2, of which only the subnets are of interest."""
    return cast("Subnets", _client("ec2", aws_conn_id, region))


def spot_price_client(aws_conn_id: str | None, region: str) -> "SpotPriceHistory":
    """A client of EC2, of which only the Spot prices are of interest; it gives up soon."""
    return cast("SpotPriceHistory", _client("ec2", aws_conn_id, region, _QUICK))


def quotas_client(aws_conn_id: str | None, region: str) -> "ServiceQuotas":
    """A client of Service Quotas that gives up soon."""
    return cast("ServiceQuotas", _client("service-quotas", aws_conn_id, region, _QUICK))


def cost_explorer_client(aws_conn_id: str | None) -> "CostExplorer":
    """A client of Cost Explorer that gives up soon."""
    return cast("CostExplorer", _client("ce", aws_conn_id, _COST_EXPLORER_REGION, _QUICK))


def _s3_access(aws_conn_id: str | None, region: str) -> tuple[Any, str | None]:
    """The connection's credentials, and the address of its S3; None for AWS's own."""
    hook: AwsGenericHook[Any] = AwsGenericHook(aws_conn_id=aws_conn_id, client_type="s3", region_name=region)
    endpoint = str(hook.get_conn().meta.endpoint_url)
    return hook.get_credentials(region_name=region), None if endpoint.endswith("amazonaws.com") else endpoint


def arrow_filesystem(aws_conn_id: str | None, region: str) -> pyarrow.fs.S3FileSystem:
    """S3 for pyarrow, with the same credentials and endpoint: reads single columns of Parquet files."""
    credentials, endpoint = _s3_access(aws_conn_id, region)
    scheme, _, host = (endpoint or "https://").partition("://")
    return pyarrow.fs.S3FileSystem(
        access_key=credentials.access_key,
        secret_key=credentials.secret_key,
        session_token=credentials.token,
        region=region,
        scheme=scheme,
        endpoint_override=host or None,
    )


def bucket_store(aws_conn_id: str | None, region: str, bucket: str) -> S3Store:
    """A bucket as obstore lists it, with the same credentials and endpoint."""
    credentials, endpoint = _s3_access(aws_conn_id, region)
    config: S3Config = {"access_key_id": credentials.access_key, "secret_access_key": credentials.secret_key}
    if credentials.token:
        config["session_token"] = credentials.token
    if endpoint:
        config["endpoint"] = endpoint
    client: ClientConfig = {"allow_http": (endpoint or "").startswith("http://"), "timeout": "120s"}
    return S3Store(bucket, config=config, region=region, client_options=client)


def feature_table_place(aws_conn_id: str | None, region: str, folder: S3Address) -> TablePlace:
    """A feature table as deltalake reaches it, with the same credentials and endpoint."""
    credentials, endpoint = _s3_access(aws_conn_id, region)
    return TablePlace(folder, store_options(region, endpoint, _key_variables(credentials)))


def _key_variables(credentials: Any) -> dict[str, str]:  # noqa: ANN401 -- botocore's own type
    """An access key as the AWS_* variables have it."""
    return {
        "AWS_ACCESS_KEY_ID": credentials.access_key,
        "AWS_SECRET_ACCESS_KEY": credentials.secret_key,
        **({"AWS_SESSION_TOKEN": credentials.token} if credentials.token else {}),
    }


#: What a program that opens pictures needs of Airflow's own variables; the others hold its secrets.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "AWS_EC2_METADATA_DISABLED")
_INSTRUCTIONS = ("NPY_", "OPENBLAS_", "ARROW_", "GLIBC_TUNABLES")


def worker_environment(aws_conn_id: str | None, region: str) -> dict[str, str]:
    """The environment of a program that opens pictures: the connection's credentials, and nothing of Airflow's."""
    whole = program_environment(aws_conn_id, region)
    ours = ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3")
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    proxies = ("http_proxy", "https_proxy", "no_proxy")
    return {
        name: value
        for name, value in whole.items()
        if name in (*_PASSED_ON, *ours, *keys) or name.lower() in proxies or name.startswith(_INSTRUCTIONS)
    }


def program_environment(aws_conn_id: str | None, region: str) -> dict[str, str]:
    """The environment of a program that a task starts: this process's own, with the connection's credentials."""
    credentials, endpoint = _s3_access(aws_conn_id, region)
    return {
        **os.environ,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        **_key_variables(credentials),
        **({"AWS_ENDPOINT_URL_S3": endpoint} if endpoint else {}),
    }
