"""Clusters as a user of EMR's API sees them."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.local_emr.conftest import BUCKET, OVER, bash, clients, is_alive, kill, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.local_emr.conftest import Lab

FLEET = {
    "InstanceFleetType": "MASTER",
    "TargetOnDemandCapacity": 1,
    "InstanceTypeConfigs": [{"InstanceType": "m7g.xlarge"}],
}


def test_a_kept_cluster_waits_until_it_is_terminated(lab: Lab) -> None:
    cluster = lab.start(keep=True)
    assert lab.status(cluster)["State"] in ("STARTING", "BOOTSTRAPPING", "WAITING")
    waiting = lab.reach(cluster, "WAITING")
    assert waiting["StateChangeReason"] == {"Message": "Cluster ready to run steps."}
    assert waiting["Timeline"].keys() == {"CreationDateTime", "ReadyDateTime"}
    ended = lab.end(cluster)
    assert ended["State"] == "TERMINATED"
    assert ended["StateChangeReason"] == {"Code": "USER_REQUEST", "Message": "Terminated by user request"}
    times = ended["Timeline"]
    assert times["CreationDateTime"] <= times["ReadyDateTime"] <= times["EndDateTime"]


def test_a_cluster_that_is_not_kept_ends_with_its_steps(lab: Lab) -> None:
    cluster = lab.start(bash("true"), bash("true"), keep=False)
    ended = lab.reach(cluster, *OVER)
    assert (ended["State"], ended["StateChangeReason"]["Code"]) == ("TERMINATED", "ALL_STEPS_COMPLETED")
    assert lab.step_states(cluster) == ["COMPLETED", "COMPLETED"]


def test_a_cluster_that_is_not_kept_and_whose_step_failed_says_so(lab: Lab) -> None:
    ended = lab.reach(lab.start(bash("exit 1"), keep=False), *OVER)
    assert ended["State"] == "TERMINATED"
    assert ended["StateChangeReason"] == {"Code": "STEP_FAILURE", "Message": "Steps completed with errors"}


def test_bootstrap_actions_run_in_order_with_their_arguments_before_the_first_step(lab: Lab) -> None:
    script = lab.put("boot.sh", '#!/bin/bash\nmkdir -p "$1" && echo "$2" >> "$1/order" && echo "did $2"\n')
    actions = [
        {"Name": n, "ScriptBootstrapAction": {"Path": script, "Args": ["/opt/app", n]}} for n in ("first", "second")
    ]
    cluster = lab.start(bash("cat /opt/app/order"), keep=False, BootstrapActions=actions)
    assert lab.reach(cluster, *OVER)["State"] == "TERMINATED"
    step = lab.steps(cluster)[0]["Id"]
    assert lab.log(cluster, f"steps/{step}/stdout") == "first\nsecond\n"
    node = lab.emr.list_instances(ClusterId=cluster)["Instances"][0]["Ec2InstanceId"]
    assert lab.log(cluster, f"node/{node}/bootstrap-actions/2/stdout") == "did second\n"
    assert "exit code 0" in lab.log(cluster, f"node/{node}/bootstrap-actions/1/controller")
    listed = lab.emr.list_bootstrap_actions(ClusterId=cluster)["BootstrapActions"]
    assert [(action["Name"], action["ScriptPath"]) for action in listed] == [("first", script), ("second", script)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#!/bin/bash\necho broken >&2; exit 4\n", "bootstrap action 1 returned a non-zero return code"),
        (None, "bootstrap action 1 download failed"),
    ],
)
def test_a_bootstrap_action_that_fails_ends_the_cluster(lab: Lab, text: str | None, message: str) -> None:
    script = lab.put("bad.sh", text) if text else f"s3://{BUCKET}/not-there.sh"
    cluster = lab.start(
        bash("true"), BootstrapActions=[{"Name": "b", "ScriptBootstrapAction": {"Path": script, "Args": []}}]
    )
    ended = lab.reach(cluster, *OVER)
    node = lab.emr.list_instances(ClusterId=cluster)["Instances"][0]["Ec2InstanceId"]
    assert ended["State"] == "TERMINATED_WITH_ERRORS"
    assert ended["StateChangeReason"] == {
        "Code": "BOOTSTRAP_FAILURE",
        "Message": f"On the master instance ({node}), {message}",
    }
    assert lab.step_states(cluster) == ["CANCELLED"]


def test_termination_in_the_middle_of_a_bootstrap_action_ends_its_processes(lab: Lab, tmp_path: Path) -> None:
    script = lab.put("slow.sh", f"#!/bin/bash\nsleep 600 & echo $! > {tmp_path}/pid; wait\n")
    cluster = lab.start(BootstrapActions=[{"Name": "b", "ScriptBootstrapAction": {"Path": script}}])
    pid = lab.pid_in(tmp_path / "pid")
    assert lab.status(cluster)["State"] == "BOOTSTRAPPING"
    assert lab.end(cluster)["StateChangeReason"]["Code"] == "USER_REQUEST"
    assert not is_alive(pid)


def test_a_protected_cluster_ends_only_after_its_protection(lab: Lab) -> None:
    shape = {"MasterInstanceType": "m7g.xlarge", "TerminationProtected": True}
    protected, other = lab.start(instances=shape), lab.start()
    with pytest.raises(ClientError, match="termination protected"):
        lab.emr.terminate_job_flows(JobFlowIds=[protected, other])
    assert lab.reach(other, *OVER)["State"] == "TERMINATED"
    assert lab.reach(protected, "WAITING")
    lab.emr.set_termination_protection(JobFlowIds=[protected], TerminationProtected=False)
    assert lab.end(protected)["State"] == "TERMINATED"


def test_an_idle_cluster_ends_by_its_policy_and_a_busy_one_does_not(lab: Lab) -> None:
    """In these tests a minute's idleness takes 0.6 s."""
    cluster = lab.start(bash("sleep 1"), AutoTerminationPolicy={"IdleTimeout": 60})
    ended = lab.reach(cluster, *OVER)
    assert ended["State"] == "TERMINATED"
    assert "auto-termination" in ended["StateChangeReason"]["Message"]
    assert lab.step_states(cluster) == ["COMPLETED"]
    assert ended["Timeline"]["EndDateTime"] - ended["Timeline"]["ReadyDateTime"] >= timedelta(seconds=1.5)


def test_a_policy_can_be_put_read_and_removed_while_the_cluster_waits(lab: Lab) -> None:
    cluster = lab.start()
    lab.reach(cluster, "WAITING")
    assert "AutoTerminationPolicy" not in lab.emr.get_auto_termination_policy(ClusterId=cluster)
    lab.emr.put_auto_termination_policy(ClusterId=cluster, AutoTerminationPolicy={"IdleTimeout": 3600})
    policy = lab.emr.get_auto_termination_policy(ClusterId=cluster)["AutoTerminationPolicy"]
    assert policy == {"IdleTimeout": 3600}
    lab.emr.remove_auto_termination_policy(ClusterId=cluster)
    assert "AutoTerminationPolicy" not in lab.emr.get_auto_termination_policy(ClusterId=cluster)
    lab.emr.put_auto_termination_policy(ClusterId=cluster, AutoTerminationPolicy={"IdleTimeout": 60})
    assert lab.reach(cluster, *OVER)["State"] == "TERMINATED"


def test_clusters_are_listed_by_state_and_time(lab: Lab) -> None:
    old = lab.start()
    created = lab.status(old)["Timeline"]["CreationDateTime"]
    time.sleep(0.01)
    new = lab.start()
    lab.reach(old, "WAITING")
    lab.reach(new, "WAITING")

    def listed(**filters: Any) -> list[str]:
        pages = lab.emr.get_paginator("list_clusters").paginate(**filters)
        return [cluster["Id"] for page in pages for cluster in page["Clusters"]]

    assert listed(ClusterStates=["WAITING"])[:2] == [new, old]
    assert listed(CreatedAfter=created + timedelta(milliseconds=5)) == [new]
    assert new not in listed(CreatedBefore=created + timedelta(milliseconds=5))
    lab.end(old)
    assert old not in listed(ClusterStates=["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING"])
    assert old in listed(ClusterStates=["TERMINATED"])
    lab.end(new)


def test_what_was_asked_for_is_what_is_described(lab: Lab) -> None:
    cluster = lab.start(
        instances={
            "InstanceFleets": [FLEET],
            "Ec2SubnetIds": ["subnet-1", "subnet-2"],
            "Ec2KeyName": "key",
        },
        Applications=[{"Name": "Spark"}],
        Tags=[{"Key": "project", "Value": "verger"}],
        Configurations=[{"Classification": "spark", "Properties": {"a": "b"}}],
        ScaleDownBehavior="TERMINATE_AT_TASK_COMPLETION",
        EbsRootVolumeSize=20,
        StepConcurrencyLevel=3,
    )
    lab.emr.add_tags(ResourceId=cluster, Tags=[{"Key": "run", "Value": "1"}, {"Key": "project", "Value": "v2"}])
    lab.emr.remove_tags(ResourceId=cluster, TagKeys=["run"])
    described = lab.emr.describe_cluster(ClusterId=cluster)["Cluster"]
    assert described["Tags"] == [{"Key": "project", "Value": "v2"}]
    assert described["InstanceCollectionType"] == "INSTANCE_FLEET"
    assert described["Ec2InstanceAttributes"]["Ec2SubnetId"] == "subnet-1"
    assert described["Ec2InstanceAttributes"]["RequestedEc2SubnetIds"] == ["subnet-1", "subnet-2"]
    assert described["LogUri"] == f"s3n://{BUCKET}/logs/"
    assert (described["ReleaseLabel"], described["EbsRootVolumeSize"]) == ("emr-spark-8.1.0", 20)
    assert described["Applications"] == [{"Name": "Spark"}]
    assert (described["StepConcurrencyLevel"], described["AutoTerminate"]) == (3, False)
    assert described["ClusterArn"].endswith(f":cluster/{cluster}")
    lab.end(cluster)


def test_clusters_belong_to_their_region(lab: Lab) -> None:
    cluster = lab.start()
    other = clients(lab.endpoint, "eu-central-1").emr
    with pytest.raises(ClientError, match="is not valid"):
        other.describe_cluster(ClusterId=cluster)
    assert other.list_clusters()["Clusters"] == []
    lab.end(cluster)


def test_security_configurations_are_kept_and_can_be_used(lab: Lab) -> None:
    lab.emr.create_security_configuration(Name="imds", SecurityConfiguration="{}")
    cluster = lab.start(SecurityConfiguration="imds")
    assert lab.emr.describe_cluster(ClusterId=cluster)["Cluster"]["SecurityConfiguration"] == "imds"
    assert lab.emr.describe_security_configuration(Name="imds")["SecurityConfiguration"] == "{}"
    lab.end(cluster)


def test_a_cluster_no_longer_to_be_kept_ends_when_it_waits(lab: Lab) -> None:
    cluster = lab.start()
    lab.reach(cluster, "WAITING")
    lab.emr.set_keep_job_flow_alive_when_no_steps(JobFlowIds=[cluster], KeepJobFlowAliveWhenNoSteps=False)
    assert lab.reach(cluster, *OVER)["StateChangeReason"]["Code"] == "ALL_STEPS_COMPLETED"


def test_the_log_address_may_have_emrs_own_scheme_or_be_missing(lab: Lab) -> None:
    cluster = lab.start(bash("echo hi"), keep=False, LogUri=f"s3n://{BUCKET}/logs")
    lab.reach(cluster, *OVER)
    assert lab.log(cluster, f"steps/{lab.steps(cluster)[0]['Id']}/stdout") == "hi\n"
    cluster = lab.start(bash("echo hi"), keep=False, LogUri="")
    assert lab.reach(cluster, *OVER)["State"] == "TERMINATED"


def test_logs_that_cannot_be_stored_do_not_fail_the_step(lab: Lab) -> None:
    cluster = lab.start(bash("echo hi"), keep=False, LogUri="s3://no-such-bucket-here/logs")
    assert lab.reach(cluster, *OVER)["State"] == "TERMINATED"
    assert lab.step_states(cluster) == ["COMPLETED"]


def test_a_lost_node_ends_its_cluster_with_errors(lab: Lab, tmp_path: Path) -> None:
    cluster = lab.start(bash(f"ps -o ppid= $$ > {tmp_path}/pid; sleep 600"))
    supervisor = lab.pid_in(tmp_path / "pid")
    kill(supervisor)
    ended = lab.reach(cluster, *OVER)
    assert (ended["State"], ended["StateChangeReason"]["Code"]) == ("TERMINATED_WITH_ERRORS", "INSTANCE_FAILURE")
    assert lab.step_states(cluster) == ["INTERRUPTED"]


def test_many_calls_at_once_find_every_cluster_in_a_state_of_its_own(lab: Lab) -> None:
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: lab.start(bash("true"), bash("true"), keep=False), range(12)))
        wait_until(lambda: all(lab.status(cluster)["State"] in OVER for cluster in started))
    assert len(set(started)) == 12
    assert all(lab.step_states(cluster) == ["COMPLETED", "COMPLETED"] for cluster in started)
