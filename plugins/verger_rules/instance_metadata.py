"""What the EC2 instance that this process runs on says of itself, by its metadata service (version 2: with a token).

Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

import urllib.request

INSTANCE_METADATA = "http://169.254.169.254/latest"
REGION = "meta-data/placement/region"


def ask_instance(path: str, seconds: float = 2.0) -> str:
    """What the service says at a path, waiting so long for each of two answers.

    Never through a proxy: that one would ask its own instance.

    Raises:
        OSError: this is no EC2 instance.
    """
    token = _ask(f"{INSTANCE_METADATA}/api/token", "PUT", {"X-aws-ec2-metadata-token-ttl-seconds": "60"}, seconds)
    return _ask(f"{INSTANCE_METADATA}/{path}", "GET", {"X-aws-ec2-metadata-token": token}, seconds)


def _ask(address: str, method: str, headers: dict[str, str], seconds: float) -> str:
    request = urllib.request.Request(address, method=method, headers=headers)  # noqa: S310 - http, a constant above
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=seconds) as answer:
        return str(answer.read().decode())
