"""Prints where this installation is reached and with what: `make login`."""

from __future__ import annotations

import configparser
import json
import os
from pathlib import Path


def describe(address: str, passwords: str, credentials: str, s3_port: str) -> str:
    """The lines for a person, from the files that make_secrets wrote."""
    ((user, password),) = json.loads(passwords).items()
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(credentials)
    keys = parser["default"]
    return (
        f"Airflow   {address}\n"
        f"user      {user}\n"
        f"password  {password}\n\n"
        f"For the AWS command line (S3 on this machine, the bucket is verger):\n"
        f"  export AWS_ENDPOINT_URL_S3=http://127.0.0.1:{s3_port} AWS_REGION=eu-west-1\n"
        f"  export AWS_ACCESS_KEY_ID={keys['aws_access_key_id']}\n"
        f"  export AWS_SECRET_ACCESS_KEY={keys['aws_secret_access_key']}\n"
        f"  aws s3 sync my-fruits s3://verger/images/"
    )


if __name__ == "__main__":
    print(
        describe(
            os.environ["AIRFLOW__API__BASE_URL"],
            Path("/run/verger/airflow/passwords.json").read_text("utf-8"),
            Path("/run/verger/s3/credentials").read_text("utf-8"),
            os.environ["VERGER_PUBLISHED_S3_PORT"],
        )
    )
