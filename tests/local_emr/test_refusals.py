"""What EMR refuses, with its exceptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.aws_models import wrong_on_purpose
from tests.local_emr.conftest import bash

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.local_emr.conftest import Lab

FLEET = {
    "InstanceFleetType": "MASTER",
    "TargetOnDemandCapacity": 1,
    "InstanceTypeConfigs": [{"InstanceType": "m7g.xlarge"}],
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ServiceRole": ""}, "ServiceRole is required"),
        ({"JobFlowRole": ""}, "InstanceProfile is required"),
        ({"ReleaseLabel": ""}, "release label is required"),
        ({"Name": "a|b"}, "cluster name 'a|b'"),
        ({"LogUri": "/var/logs"}, "not an address in S3"),
        ({"AutoTerminationPolicy": {"IdleTimeout": 59}}, "between 60 and 604800 seconds, not 59"),
        ({"AutoTerminationPolicy": {"IdleTimeout": 604801}}, "between 60 and 604800 seconds"),
        ({"StepConcurrencyLevel": 257}, "between 1 and 256"),
        ({"StepConcurrencyLevel": 2, "Steps": [bash("true", "CANCEL_AND_WAIT")]}, "CANCEL_AND_WAIT is not valid"),
        (
            {"BootstrapActions": [{"Name": "b", "ScriptBootstrapAction": {"Path": "s3://b/x"}}] * 17},
            "17 bootstrap actions; at most 16",
        ),
        ({"Instances": {}}, "exactly one master"),
        ({"Instances": {"MasterInstanceType": "m", "InstanceFleets": [FLEET]}}, "mutually exclusive"),
        ({"Instances": {"InstanceFleets": [{**FLEET, "TargetOnDemandCapacity": 2}]}}, "must be 1, not 2"),
        (
            {
                "Instances": {
                    "InstanceFleets": [
                        FLEET,
                        {
                            **FLEET,
                            "InstanceFleetType": "TASK",
                            "LaunchSpecifications": {
                                "SpotSpecification": {
                                    "TimeoutDurationMinutes": 4,
                                    "TimeoutAction": "SWITCH_TO_ON_DEMAND",
                                }
                            },
                        },
                    ]
                }
            },
            "between 5 and 1440 minutes, not 4",
        ),
        ({"SecurityConfiguration": "missing"}, "'missing' does not exist"),
        ({"ScaleDownBehavior": "AT_ONCE"}, "'AT_ONCE' is not one of"),
        ({"Steps": [bash("x" * 10_260)]}, "longer than 10240"),
        ({"Steps": [bash("true", "RETRY")]}, "'RETRY' is not one of"),
    ],
)
def test_what_emr_refuses_is_refused_and_starts_nothing(lab: Lab, change: dict[str, Any], message: str) -> None:
    before = len(lab.emr.list_clusters()["Clusters"])
    with wrong_on_purpose(), pytest.raises(ClientError, match=message) as refused:
        lab.start(**change)
    assert refused.value.response["Error"]["Code"] == "ValidationException"
    assert len(lab.emr.list_clusters()["Clusters"]) == before


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda lab, c: lab.emr.describe_cluster(ClusterId=c), "InvalidRequestException"),
        (lambda lab, c: lab.emr.list_steps(ClusterId=c), "InvalidRequestException"),
        (lambda lab, c: lab.emr.list_instances(ClusterId=c), "InvalidRequestException"),
        (lambda lab, c: lab.emr.add_tags(ResourceId=c, Tags=[]), "InvalidRequestException"),
        (lambda lab, c: lab.emr.terminate_job_flows(JobFlowIds=[c]), "ValidationException"),
        (lambda lab, c: lab.emr.add_job_flow_steps(JobFlowId=c, Steps=[bash("true")]), "ValidationException"),
    ],
)
def test_an_unknown_cluster_is_an_error(lab: Lab, call: Callable[[Lab, str], object], code: str) -> None:
    with pytest.raises(ClientError) as refused:
        call(lab, "j-UNKNOWN")
    assert refused.value.response["Error"]["Code"] == code
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_an_operation_that_is_not_offered_says_so(lab: Lab) -> None:
    with pytest.raises(ClientError, match="CreateStudio is not offered"):
        lab.emr.create_studio(
            Name="x",
            AuthMode="IAM",
            VpcId="v",
            SubnetIds=["s"],
            ServiceRole="r",
            WorkspaceSecurityGroupId="w",
            EngineSecurityGroupId="e",
            DefaultS3Location="s3://b",
        )
