"""Holds a finished cluster for a demonstration, for a bounded time, and says how to look at it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator, timezone
from airflow.sdk.exceptions import AirflowSkipException

from verger.cluster.spec import NODE_PYTHON
from verger.storage.aws_clients import emr_client

if TYPE_CHECKING:
    from airflow.sdk import Context

#: Ports of the primary node (https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-web-interfaces.html).
_HISTORY_PORT = 18080
_YARN_PORT = 8088
_LIVY_PORT = 8998


def look_around(cluster: Mapping[str, Any], results_uri: str) -> list[str]:
    """How to reach a cluster's web pages and its Spark, from DescribeCluster's answer: lines for a log."""
    host = cluster.get("MasterPublicDnsName", "the-primary-node")
    key = cluster.get("Ec2InstanceAttributes", {}).get("Ec2KeyName")
    ports = (_HISTORY_PORT, _YARN_PORT, _LIVY_PORT)
    forwards = " ".join(f"-L {port}:localhost:{port}" for port in ports)
    if key is None:
        return [
            f"Cluster {cluster['Id']} has no SSH key: set VERGER_KEY_NAME to an EC2 key pair for the next one.",
            f"Its logs are in the EMR console, the results at {results_uri}/.",
        ]
    return [
        f"1. A tunnel to cluster {cluster['Id']} (leave it open; the primary's security group must let you in by SSH):",
        f"   ssh -i ~/.ssh/{key}.pem -N {forwards} hadoop@{host}",
        f"2. Spark's history: http://localhost:{_HISTORY_PORT}/   YARN: http://localhost:{_YARN_PORT}/",
        "3. A notebook on your own machine, whose cells run on the cluster:",
        "   pip install jupyterlab sparkmagic && jupyter lab",
        "   %load_ext sparkmagic.magics",
        f"   %spark add -s verger -l python -u http://localhost:{_LIVY_PORT} -t None",
        f'   spark.read.parquet("{results_uri}/matrix.parquet").show()',
        "   (between %%spark and the end of a cell; `%spark delete -s verger` at the end)",
        "4. Or a shell on the primary node:",
        f"   ssh -i ~/.ssh/{key}.pem hadoop@{host} -t pyspark --conf spark.pyspark.python={NODE_PYTHON}",
    ]


class HoldClusterOperator(BaseOperator):
    """Holds a finished cluster, without a worker, for a bounded number of minutes; skipped for none.

    The run's teardown ends the cluster afterwards, as it does when this task fails, is skipped or is marked.

    Args:
        job_flow_id: the cluster.
        minutes: how long; rendered.
        idle_minutes: what idle time-out the cluster has had; rendered.
        results_uri: where the results are.
        aws_conn_id: Airflow's connection to AWS.
        region_name: the cluster's region.
        task: BaseOperator's own keywords.
    """

    template_fields: Sequence[str] = ("job_flow_id", "minutes", "idle_minutes", "results_uri", "region_name")

    def __init__(
        self,
        *,
        job_flow_id: str,
        minutes: str,
        idle_minutes: str,
        results_uri: str,
        aws_conn_id: str | None,
        region_name: str,
        **task: Any,  # noqa: ANN401 -- the base class's own keywords
    ) -> None:
        super().__init__(**task)
        self.job_flow_id = job_flow_id
        self.minutes = minutes
        self.idle_minutes = idle_minutes
        self.results_uri = results_uri
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name

    def execute(self, context: "Context") -> None:  # noqa: ARG002 -- the base class's
        """Print how to look at the cluster, keep EMR from ending it as idle meanwhile, and wait in the triggerer."""
        minutes = int(self.minutes)
        if not minutes:
            raise AirflowSkipException("keep_for_demo_minutes is 0: the cluster ends now")
        emr = emr_client(self.aws_conn_id, self.region_name)
        cluster = emr.describe_cluster(ClusterId=self.job_flow_id)["Cluster"]
        emr.put_auto_termination_policy(
            ClusterId=self.job_flow_id,
            AutoTerminationPolicy={"IdleTimeout": (minutes + int(self.idle_minutes)) * 60},
        )
        until = timezone.utcnow() + timedelta(minutes=minutes)
        self.log.warning(
            "cluster %s is held, and costs, until %s UTC; mark this task as success to end it sooner.\n%s",
            self.job_flow_id,
            until.strftime("%H:%M"),
            "\n".join(look_around(cluster, self.results_uri)),
        )
        self.defer(trigger=DateTimeTrigger(moment=until), method_name="execute_complete")

    def execute_complete(self, context: "Context", event: Any = None) -> None:  # noqa: ANN401, ARG002 -- the trigger's
        """The time is up."""
        self.log.info("the time is up: cluster %s ends now", self.job_flow_id)
