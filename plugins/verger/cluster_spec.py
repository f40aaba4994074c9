"""The cluster of a run, as RunJobFlow takes it."""

from typing import Any

from verger.deployment import Deployment
from verger.layout import BucketLayout
from verger.settings import Settings

#: Where the bootstrap action puts the nodes' Python, and where Spark finds it.
NODE_PREFIX = "/opt/verger"
NODE_PYTHON = f"{NODE_PREFIX}/venv/bin/python"

#: The tag that marks what is ours: the reaper and the cost report go by it.
OWNER_TAG = ("application", "verger")
RUN_TAG = "verger-run"


def job_flow(
    settings: Settings, deployment: Deployment, layout: BucketLayout, *, name: str, run_id: str, code_uri: str
) -> dict[str, Any]:
    """Describe the cluster: https://docs.aws.amazon.com/emr/latest/APIReference/API_RunJobFlow.html."""
    return {
        "Name": name,
        "ReleaseLabel": settings.release_label,
        "Applications": [{"Name": "Spark"}],
        "LogUri": layout.log_uri,
        "ServiceRole": deployment.service_role,
        "JobFlowRole": deployment.instance_profile,
        "VisibleToAllUsers": True,
        "Instances": _instances(settings, deployment),
        "BootstrapActions": [_bootstrap_action(code_uri)],
        "Configurations": _configurations(settings.region),
        "AutoTerminationPolicy": {"IdleTimeout": settings.idle_minutes * 60},
        # Two steps at once would fight for the cores, and EMR refuses TERMINATE_CLUSTER above 1.
        "StepConcurrencyLevel": 1,
        "Tags": [{"Key": key, "Value": value} for key, value in _tags(run_id).items()],
    }


def _tags(run_id: str) -> dict[str, str]:
    return {
        OWNER_TAG[0]: OWNER_TAG[1],
        RUN_TAG: run_id[:256],  # the longest value a tag may have
        # AmazonEMRServicePolicy_v2 wants it.
        "for-use-with-amazon-emr-managed-policies": "true",
    }


def _instances(settings: Settings, deployment: Deployment) -> dict[str, Any]:
    def fleet(kind: str, nodes: int) -> dict[str, Any]:
        return {
            "Name": kind.lower(),
            "InstanceFleetType": kind,
            "TargetOnDemandCapacity": nodes,
            "InstanceTypeConfigs": [{"InstanceType": settings.instance_type, "WeightedCapacity": 1}],
        }

    return {
        "InstanceFleets": [fleet("MASTER", 1), fleet("CORE", settings.core_nodes)],
        # The steps come one by one, after the cluster; idle auto-termination and the run's teardown end it.
        "KeepJobFlowAliveWhenNoSteps": True,
        "TerminationProtected": False,
        **({"Ec2SubnetIds": [deployment.subnet_id]} if deployment.subnet_id else {}),
    }


def _bootstrap_action(code_uri: str) -> dict[str, Any]:
    return {
        "Name": "install the nodes' Python packages",
        "ScriptBootstrapAction": {
            "Path": f"{code_uri}/bootstrap.sh",
            "Args": ["--requirements", f"{code_uri}/requirements.txt", "--prefix", NODE_PREFIX],
        },
    }


def _configurations(region: str) -> list[dict[str, Any]]:
    # The jobs read pictures with an S3 client of their own, which asks the environment for the region: the driver's
    # is spark-env's, the executors' is Spark's to set.
    environment = {"Classification": "export", "Properties": {"AWS_REGION": region}}
    return [
        {"Classification": "spark-env", "Properties": {}, "Configurations": [environment]},
        {
            "Classification": "spark-defaults",
            "Properties": {
                # Executors that come and go would each fetch the model and warm an interpreter again.
                "spark.dynamicAllocation.enabled": "false",
                "spark.pyspark.python": NODE_PYTHON,
                "spark.executorEnv.AWS_REGION": region,
            },
        },
        # One executor takes each node whole: its size follows from the node's.
        {"Classification": "spark", "Properties": {"maximizeResourceAllocation": "true"}},
    ]
