"""What belongs to an installation of Verger and not to a run: read once, from the environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Deployment:
    """One installation of Verger.

    Attributes:
        home: the folder that holds `spark_jobs/`, `bootstrap/` and `tools/`.
        bucket: the default of the parameter `bucket`.
        region: the default of the parameter `region`.
        aws_conn_id: Airflow's connection to AWS; None for boto3's own search for credentials.
        model_python: a Python that has TensorFlow, to prepare a model with; None where there is none.
        service_role: EMR's service role.
        instance_profile: the instance profile of the cluster's nodes.
        subnet_id: the subnet of the clusters; None for the account's default one.
        poll_seconds: how often a waiting task asks EMR.
    """

    home: Path
    bucket: str = ""
    region: str = "eu-west-1"
    aws_conn_id: str | None = None
    model_python: Path | None = None
    service_role: str = "EMR_DefaultRole_V2"
    instance_profile: str = "EMR_EC2_DefaultRole"
    subnet_id: str | None = None
    poll_seconds: int = 30

    def __post_init__(self) -> None:
        if self.poll_seconds < 1:
            raise ValueError(f"VERGER_POLL_SECONDS is {self.poll_seconds}: it must be at least 1")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Deployment":
        """Read the variables `VERGER_*`; an empty one counts as not set."""

        def value(name: str, default: str = "") -> str:
            return environment.get(f"VERGER_{name}", "").strip() or default

        model_python = value("MODEL_PYTHON")
        poll_seconds = value("POLL_SECONDS", str(cls.poll_seconds))
        if not poll_seconds.isdigit():
            raise ValueError(f"VERGER_POLL_SECONDS is {poll_seconds!r}: it must be a whole number of seconds")
        return cls(
            home=Path(value("HOME", str(Path(__file__).resolve().parents[2]))),
            bucket=value("BUCKET"),
            region=value("REGION", cls.region),
            aws_conn_id=value("AWS_CONN_ID") or None,
            model_python=Path(model_python) if model_python else None,
            service_role=value("SERVICE_ROLE", cls.service_role),
            instance_profile=value("INSTANCE_PROFILE", cls.instance_profile),
            subnet_id=value("SUBNET_ID") or None,
            poll_seconds=int(poll_seconds),
        )
