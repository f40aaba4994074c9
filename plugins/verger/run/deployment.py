"""What belongs to an installation of Verger and not to a run: read once, from the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from verger.run.images_prefix import check_images_prefix

#: It is a part of the clusters' names, and a tag's value.
INSTALLATION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
#: EMR copies logs to S3 every five minutes (https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-plan-debugging.html);
#: one interval, the copying itself, and a margin.
LOG_SECONDS = 480
#: Below it DuckDB gives up on lists of some millions, however much room its folder has.
LEAST_PLAN_MEMORY_MIB = 256


@dataclass(frozen=True)
class Deployment:
    """One installation of Verger.

    Attributes:
        home: the folder that holds `spark_jobs/`, `bootstrap/` and `tools/`.
        bucket: the default of the parameter `bucket`.
        region: the default of the parameter `region`.
        images_prefix: the default of the parameter `images_prefix`: where the pictures lie that are watched.
        source: the default of the parameter `source`.
        schedule: a cron expression (UTC), or a preset like `@daily`, by which runs start; None for none.
        watch_seconds: how often the bucket is listed for new pictures; 0 to start no run for them.
        quiet_seconds: how long the pictures must be at rest before a run starts.
        queue_url: the SQS queue of the bucket's notifications, which spares listing it; None for none.
        aws_conn_id: Airflow's connection to AWS; None for boto3's own search for credentials.
        model_python: a Python that has TensorFlow, to prepare a model with; None where there is none.
        node_python: a Python that has the nodes' packages, for runs on Airflow's machine; None where there is none.
        here_processes: the most processes of such a run; 0 for as many as the machine takes.
        machine_region: the AWS region that Airflow's machine is in or next to, where EC2's metadata does not tell it.
        machine_usd_hour: what the machine costs an hour, in US dollars; 0 for what is paid anyway.
        spill_folder: a folder of Airflow's machine in which long lists are sorted; None for the system's temporary one.
        plan_memory_mib: the memory that sorting them may take.
        inventory_uri: the folder of an S3 Inventory of the bucket, which spares listing it for a plan; None for none.
        inventory_hours: how old an inventory may be.
        service_role: EMR's service role.
        instance_profile: the instance profile of the cluster's nodes.
        subnet_id: the subnet of the clusters, or several with commas between them; None for the account's default one.
        security_configuration: EMR's security configuration of the clusters (IMDSv2, encryption); None for none.
        wheelhouse_uri: the folder of the nodes' packages on S3, for clusters without internet; None to use an index.
        key_name: the EC2 key pair that opens the nodes to SSH; None for no SSH.
        topic_arn: the SNS topic of the mails; None for no mails.
        name: tells apart the installations that share an AWS account: each ends its own clusters only.
        poll_seconds: how often a waiting task asks EMR.
        log_seconds: how long a failed task waits for EMR's log of what failed.
        grace_minutes: how old a cluster must be before the reaper asks whether its run is alive.
    """

    home: Path
    bucket: str = ""
    region: str = "eu-west-1"
    images_prefix: str = "images/"
    source: str = ""
    schedule: str | None = None
    watch_seconds: int = 30
    quiet_seconds: int = 60
    queue_url: str | None = None
    aws_conn_id: str | None = None
    model_python: Path | None = None
    node_python: Path | None = None
    here_processes: int = 0
    machine_region: str | None = None
    machine_usd_hour: float = 0.0
    spill_folder: Path | None = None
    plan_memory_mib: int = 1024
    inventory_uri: str | None = None
    inventory_hours: int = 48
    service_role: str = "EMR_DefaultRole_V2"
    instance_profile: str = "EMR_EC2_DefaultRole"
    subnet_id: str | None = None
    security_configuration: str | None = None
    wheelhouse_uri: str | None = None
    key_name: str | None = None
    topic_arn: str | None = None
    name: str = "verger"
    poll_seconds: int = 30
    log_seconds: int = LOG_SECONDS
    grace_minutes: int = 10

    def __post_init__(self) -> None:
        if self.poll_seconds < 1:
            raise ValueError(f"VERGER_POLL_SECONDS is {self.poll_seconds}: it must be at least 1")
        if self.log_seconds < 1:
            raise ValueError(f"VERGER_LOG_SECONDS is {self.log_seconds}: it must be at least 1")
        if self.plan_memory_mib < LEAST_PLAN_MEMORY_MIB:
            raise ValueError(
                f"VERGER_PLAN_MEMORY_MIB is {self.plan_memory_mib}: it must be at least {LEAST_PLAN_MEMORY_MIB}"
            )
        if self.inventory_uri and not re.fullmatch(r"s3://[^/]+/.+", self.inventory_uri):
            raise ValueError(
                f"VERGER_INVENTORY_URI is {self.inventory_uri!r}: write it like s3://bucket/prefix/bucket/configuration"
            )
        if self.wheelhouse_uri and not self.wheelhouse_uri.startswith("s3://"):
            raise ValueError(f"VERGER_WHEELHOUSE_URI is {self.wheelhouse_uri!r}: write it like s3://bucket/wheels")
        if self.topic_arn and not self.topic_arn.startswith("arn:"):
            raise ValueError(f"VERGER_TOPIC_ARN is {self.topic_arn!r}: give the whole ARN of an SNS topic")
        if not INSTALLATION_NAME.fullmatch(self.name):
            raise ValueError(
                f"VERGER_NAME is {self.name!r}: up to 40 of the characters A-Z a-z 0-9 . _ -, first a letter or digit"
            )
        if (wrong := check_images_prefix(self.images_prefix)) is not None:
            raise ValueError(f"VERGER_IMAGES_PREFIX is {self.images_prefix!r}: {wrong}")
        self._check_starts()

    def _check_starts(self) -> None:
        if self.queue_url and not self.queue_url.startswith(("https://", "http://")):
            raise ValueError(f"VERGER_QUEUE_URL is {self.queue_url!r}: give the whole address of an SQS queue")
        if self.schedule and not self.bucket:
            raise ValueError(f"VERGER_SCHEDULE is {self.schedule!r}, but which bucket? Set VERGER_BUCKET as well")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Deployment":
        """Read the variables `VERGER_*`; an empty one counts as not set."""

        def value(name: str, default: str = "") -> str:
            return environment.get(f"VERGER_{name}", "").strip() or default

        def path(name: str) -> Path | None:
            return Path(found) if (found := value(name)) else None

        def whole_number(name: str, default: int) -> int:
            number = value(name, str(default))
            if not number.isdigit():
                raise ValueError(f"VERGER_{name} is {number!r}: it must be a whole number")
            return int(number)

        def price(name: str, default: float) -> float:
            text = value(name, str(default))
            if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,9})?", text):
                raise ValueError(f"VERGER_{name} is {text!r}: it must be a number of US dollars, like 0.192")
            return float(text)

        return cls(
            home=Path(value("HOME", str(Path(__file__).resolve().parents[3]))),
            bucket=value("BUCKET"),
            region=value("REGION", cls.region),
            images_prefix=value("IMAGES_PREFIX", cls.images_prefix),
            source=value("SOURCE"),
            schedule=value("SCHEDULE") or None,
            watch_seconds=whole_number("WATCH_SECONDS", cls.watch_seconds),
            quiet_seconds=whole_number("QUIET_SECONDS", cls.quiet_seconds),
            queue_url=value("QUEUE_URL") or None,
            aws_conn_id=value("AWS_CONN_ID") or None,
            model_python=path("MODEL_PYTHON"),
            node_python=path("NODE_PYTHON"),
            here_processes=whole_number("HERE_PROCESSES", cls.here_processes),
            machine_region=value("MACHINE_REGION") or None,
            machine_usd_hour=price("MACHINE_USD_HOUR", cls.machine_usd_hour),
            spill_folder=path("SPILL_FOLDER"),
            plan_memory_mib=whole_number("PLAN_MEMORY_MIB", cls.plan_memory_mib),
            inventory_uri=value("INVENTORY_URI").rstrip("/") or None,
            inventory_hours=whole_number("INVENTORY_HOURS", cls.inventory_hours),
            service_role=value("SERVICE_ROLE", cls.service_role),
            instance_profile=value("INSTANCE_PROFILE", cls.instance_profile),
            subnet_id=value("SUBNET_ID") or None,
            security_configuration=value("SECURITY_CONFIGURATION") or None,
            wheelhouse_uri=value("WHEELHOUSE_URI").rstrip("/") or None,
            key_name=value("KEY_NAME") or None,
            topic_arn=value("TOPIC_ARN") or None,
            name=value("NAME", cls.name),
            poll_seconds=whole_number("POLL_SECONDS", cls.poll_seconds),
            log_seconds=whole_number("LOG_SECONDS", cls.log_seconds),
            grace_minutes=whole_number("GRACE_MINUTES", cls.grace_minutes),
        )
