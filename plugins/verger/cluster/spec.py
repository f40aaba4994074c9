"""The cluster of a run, as RunJobFlow takes it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from verger.cluster.instance_fleets import instance_fleets
from verger.cluster.shape import ROOT_VOLUME_GB, ClusterShape
from verger.cluster.spark_properties import spark_properties
from verger.cluster.subnets import subnet_ids
from verger.prices import PriceTable
from verger.run.deployment import Deployment
from verger.run.settings import Settings
from verger.storage.layout import BucketLayout

#: Where the bootstrap action puts the nodes' Python, and where Spark finds it.
NODE_PREFIX = "/opt/verger"
NODE_PYTHON = f"{NODE_PREFIX}/venv/bin/python"
#: What the jobs read of it, in seconds (docs/formats.md, "The jobs").
EXECUTOR_WAIT = "spark.verger.executorWaitSeconds"
#: How long the reaper, which looks every ten minutes and sends a mail, has to be the one that ends a cluster.
REAPER_MINUTES = 15


@dataclass(frozen=True)
class ClusterOrder:
    """What is particular to one cluster.

    Attributes:
        name: its leased name.
        code_uri: the folder of the code that it runs.
        shape: its machines.
        tags: its tags.
        allowed_hours: how long it may live; the reaper ends it then, and it itself a while later.
    """

    name: str
    code_uri: str
    shape: ClusterShape
    tags: Mapping[str, str]
    allowed_hours: float


def job_flow(
    settings: Settings, deployment: Deployment, layout: BucketLayout, order: ClusterOrder, prices: PriceTable
) -> dict[str, Any]:
    """Describe the cluster: https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html."""
    # How notebooks reach Spark while the cluster is held: from somebody's own machine, and from EMR Studio.
    applications = ["Spark", *(["Livy", "JupyterEnterpriseGateway"] if settings.keep_for_demo_minutes else [])]
    security = deployment.security_configuration
    return {
        "Name": order.name,
        "ReleaseLabel": settings.release_label,
        "Applications": [{"Name": name} for name in applications],
        "LogUri": layout.log_uri,
        "ServiceRole": deployment.service_role,
        "JobFlowRole": deployment.instance_profile,
        "VisibleToAllUsers": True,
        "Instances": _instances(settings, deployment, order.shape),
        "EbsRootVolumeSize": ROOT_VOLUME_GB,
        "BootstrapActions": [_bootstrap_action(order, settings.engine, deployment.wheelhouse_uri)],
        "Configurations": [
            *_configurations(settings, spark_properties(order.shape, prices)),
            *_application_master_off_spot(order.shape),
        ],
        "AutoTerminationPolicy": {"IdleTimeout": settings.idle_minutes * 60},
        # Two steps at once would fight for the cores, and EMR refuses TERMINATE_CLUSTER above 1.
        "StepConcurrencyLevel": 1,
        "Tags": [{"Key": key, "Value": value} for key, value in order.tags.items()],
        # It demands IMDSv2 of the nodes, and encrypts their volumes and the traffic between them.
        **({"SecurityConfiguration": security} if security else {}),
    }


def cluster_subnets(settings: Settings, deployment: Deployment) -> list[str]:
    """The subnets of a run's cluster: the run's own, else the installation's; EMR takes the one with most capacity."""
    return subnet_ids(settings.subnet_id or deployment.subnet_id or "")


def _instances(settings: Settings, deployment: Deployment, shape: ClusterShape) -> dict[str, Any]:
    subnets = cluster_subnets(settings, deployment)
    return {
        "InstanceFleets": instance_fleets(shape),
        # The steps come one by one, after the cluster; idle auto-termination and the run's teardown end it.
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
        **({"Ec2SubnetIds": subnets} if subnets else {}),
        **({"Ec2KeyName": deployment.key_name} if deployment.key_name else {}),
    }


def _bootstrap_action(order: ClusterOrder, engine: str, wheelhouse_uri: str | None) -> dict[str, Any]:
    # TensorFlow is several times as much to install as all the rest: only the engine that needs it gets it.
    requirements = "requirements-keras.txt" if engine == "keras" else "requirements.txt"
    return {
        "Name": "install the nodes' Python packages",
        "ScriptBootstrapAction": {
            "Path": f"{order.code_uri}/bootstrap.sh",
            "Args": [
                "--requirements", f"{order.code_uri}/{requirements}",
                "--engine", engine,
                "--prefix", NODE_PREFIX,
                "--end-after-minutes", str(math.ceil(order.allowed_hours * 60) + REAPER_MINUTES),
                *(["--wheelhouse", wheelhouse_uri] if wheelhouse_uri else []),
            ],
        },
    }  # fmt: skip


def _configurations(settings: Settings, executors: Mapping[str, str]) -> list[dict[str, Any]]:
    # The jobs read pictures with an S3 client of their own, which asks the environment for the region: the driver's
    # is spark-env's, the executors' is Spark's to set.
    region = settings.region
    environment = {"Classification": "export", "Properties": {"AWS_REGION": region}}
    return [
        {"Classification": "spark-env", "Properties": {}, "Configurations": [environment]},
        {
            "Classification": "spark-defaults",
            "Properties": {
                "spark.pyspark.python": NODE_PYTHON,
                "spark.executorEnv.AWS_REGION": region,
                EXECUTOR_WAIT: str(settings.executor_wait_minutes * 60),
                **executors,
            },
        },
    ]


def _application_master_off_spot(shape: ClusterShape) -> list[dict[str, Any]]:
    """Keep YARN's application masters on the core nodes, where these are On-Demand and others are Spot.

    Spark has one in client mode, too: with the node under it goes the step. EMR labels the core nodes CORE where node
    labels are enabled, which they are not by themselves since 6.0; other containers run on every node all the same
    (https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-master-core-task-nodes.html).
    """
    if shape.core.spot or shape.task is None or not shape.task.spot:
        return []
    return [
        {
            "Classification": "yarn-site",
            "Properties": {
                "yarn.node-labels.enabled": "true",
                "yarn.node-labels.am.default-node-label-expression": "CORE",
            },
        }
    ]
