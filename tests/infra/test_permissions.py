"""What the roles may do: all that the code calls, and nothing outside the EU or outside Verger's own things.

The policies are the template's, with its functions worked out; IAM's decision is tests/infra/policies.py.
"""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from verger.cluster.quotas import ON_DEMAND_QUOTA, SPOT_QUOTA
from verger.cluster.tags import cluster_tags
from verger.run.eu_guard import EU_REGIONS

from tests.infra import code_calls
from tests.infra.policies import Request, Statement, as_list, is_allowed, matches, policy_documents, role_statements
from tests.infra.template import ACCOUNT, Deployed

BUCKET = "arn:aws:s3:::verger-123456789012-eu-west-1"
CLUSTER = f"arn:aws:elasticmapreduce:eu-west-1:{ACCOUNT}:cluster/j-1ABCDEFGHIJKL"
ROLES = ("AirflowRole", "NodeRole", "ServiceRole")
ALLOW_ALL: Statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
TAGS = {
    f"aws:RequestTag/{key}": value
    for key, value in cluster_tags(
        installation="orchard", dag_id="fruits_features", run_id="manual__1", end_by=datetime(2026, 11, 21, tzinfo=UTC)
    ).items()
}
OURS = {"aws:ResourceTag/application": "verger"}

#: Actions of buckets and not of objects.
BUCKET_ACTIONS = {"s3:GetBucketLocation", "s3:ListBucket"}
#: A request of each action that needs more than a cluster of ours: (resource, context).
REQUESTS = {
    "ce:GetCostAndUsage": ("*", {"aws:RequestedRegion": "us-east-1"}),
    "ec2:DescribeSubnets": ("*", {}),
    "elasticmapreduce:DescribeSecurityConfiguration": ("*", {}),
    "elasticmapreduce:ListClusters": ("*", {}),
    "elasticmapreduce:RunJobFlow": ("*", TAGS),
    "servicequotas:GetServiceQuota": (f"arn:aws:servicequotas:eu-west-1:{ACCOUNT}:ec2/{ON_DEMAND_QUOTA}", {}),
    "sqs:DeleteMessage": (f"arn:aws:sqs:eu-west-1:{ACCOUNT}:NewImagesQueue", {}),
    "sqs:ReceiveMessage": (f"arn:aws:sqs:eu-west-1:{ACCOUNT}:NewImagesQueue", {}),
    "sns:Publish": (f"arn:aws:sns:eu-west-1:{ACCOUNT}:Topic", {}),
}
#: Who of docs/formats.md's writers runs on the cluster; a person is "you"; the rest is Airflow's side.
NODE_WRITERS = {"the notebook", "featurize", "pca", "the steps", "EMR"}


@pytest.fixture(scope="module")
def airflow(deployed: Deployed) -> list[Statement]:
    return role_statements(deployed, "AirflowRole")


@pytest.fixture(scope="module")
def nodes(deployed: Deployed) -> list[Statement]:
    return role_statements(deployed, "NodeRole")


def may(statements: list[Statement], action: str, key: str) -> bool:
    return is_allowed(statements, Request(action, f"{BUCKET}/{key}"))


def table_of_paths(project: Path) -> list[tuple[str, str]]:
    return list(code_calls.written_paths((project / "docs" / "formats.md").read_text(encoding="utf-8")))


# --- enough ----------------------------------------------------------------------------------------------------------


def actions_of_airflow(project: Path) -> set[str]:
    """What the plugin calls, itself and through the provider's classes."""
    package = project / "plugins" / "verger"
    trees = [tree for _, tree in code_calls.modules(package)]
    clients = code_calls.find_clients(
        next(tree for file, tree in code_calls.modules(package) if file.name == "aws_clients.py")
    )
    assert {"s3_client", "emr_client"} <= set(clients.makers)
    names = set().union(*(code_calls.provider_names(tree) for tree in trees))
    unknown = names - set(code_calls.PROVIDER_CALLS)
    assert not unknown, f"say in code_calls.PROVIDER_CALLS what {', '.join(unknown)} call"
    provider = (code_calls.PROVIDER_CALLS[name] for name in names)
    return set().union(*provider, *(code_calls.boto3_actions(tree, clients) for tree in trees))


def test_airflow_may_call_what_its_code_calls(project: Path, airflow: list[Statement]) -> None:
    actions = actions_of_airflow(project)
    assert {"elasticmapreduce:RunJobFlow", "s3:ListBucket", "s3:GetObject", "sns:Publish"} <= actions
    keys = [key for key, _ in table_of_paths(project)]

    def possible(action: str) -> bool:
        if action in BUCKET_ACTIONS:
            return is_allowed(airflow, Request(action, BUCKET))
        if action.startswith("s3:"):
            return any(may(airflow, action, key) for key in keys)
        resource, context = REQUESTS.get(action, (CLUSTER, OURS))
        return is_allowed(airflow, Request(action, resource, context))

    denied = {action for action in actions if not possible(action)}
    assert not denied, "the template's AirflowPolicy lacks them, or code_calls does not know IAM's name"


@pytest.mark.parametrize("place", ["nodes", "airflow"])
def test_each_place_may_call_what_the_jobs_call(
    project: Path, place: str, nodes: list[Statement], airflow: list[Statement]
) -> None:
    """The jobs' own calls; Spark's, through S3A, are those of reading, writing and moving tables."""
    role = {"nodes": nodes, "airflow": airflow}[place]
    trees = [tree for _, tree in code_calls.modules(project / "spark_jobs")]
    functions = set().union(*(code_calls.obstore_functions(tree) for tree in trees))
    assert {"get", "put"} <= functions
    needed = set().union(*(code_calls.OBSTORE_CALLS[name] for name in functions))
    keys = [key for key, _ in table_of_paths(project)]
    for action in needed:
        if action in BUCKET_ACTIONS:
            assert is_allowed(role, Request(action, BUCKET)), action
        else:
            assert any(may(role, action, key) for key in keys), action
    table = "features/model=0123456789abcdef/run=r/chunk=0/"
    for key in (f"{table}part-0.parquet", f"{table}_temporary/0/part-0.parquet"):
        for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"):
            assert may(role, action, key), (action, key)


def test_each_writer_of_the_bucket_may_write_its_paths(
    project: Path, airflow: list[Statement], nodes: list[Statement]
) -> None:
    rows = table_of_paths(project)
    assert len(rows) >= 12
    for key, writers in rows:
        for writer in writers.replace(" or ", ", ").split(","):
            name = writer.strip()
            if name not in {"", "you"}:
                role = nodes if name in NODE_WRITERS else airflow
                assert may(role, "s3:PutObject", key), f"{name} may not write {key}"


@pytest.mark.parametrize("key", ["code/d/bootstrap.sh", "wheels/numpy.whl", "models/f/model.tflite", "images/a/b.jpg"])
def test_nodes_may_read_what_they_run_and_work_on(nodes: list[Statement], key: str) -> None:
    assert may(nodes, "s3:GetObject", key)


def test_what_is_not_there_is_told_from_what_is_forbidden(airflow: list[Statement], nodes: list[Statement]) -> None:
    """S3 answers 404 only to who may list the bucket, with no condition on the prefix; else it answers 403."""
    for statements in (airflow, nodes):
        assert is_allowed(statements, Request("s3:ListBucket", BUCKET))


def test_emr_may_give_the_nodes_their_role_and_their_disks_the_key(deployed: Deployed) -> None:
    service = role_statements(deployed, "ServiceRole")
    node_role = f"arn:aws:iam::{ACCOUNT}:role/NodeRole"
    key = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/Key"
    assert is_allowed(service, Request("iam:PassRole", node_role, {"iam:PassedToService": "ec2.amazonaws.com"}))
    assert is_allowed(service, Request("kms:CreateGrant", key, {"kms:GrantIsForAWSResource": "true"}))
    assert not is_allowed(service, Request("kms:CreateGrant", key))
    managed = deployed.of_type("AWS::IAM::Role")["ServiceRole"]["ManagedPolicyArns"]
    assert "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2" in managed


SPOT_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot"


def test_spot_may_start_nodes_whose_disks_the_key_encrypts(deployed: Deployed) -> None:
    """The key's own policy says so: Spot's role is AWS's, and nobody can attach a policy to it."""
    key_policy = deployed.of_type("AWS::KMS::Key")["Key"]["KeyPolicy"]["Statement"]
    of_spot = [entry for entry in key_policy if entry["Principal"].get("AWS") == SPOT_ROLE]
    lent = {"kms:GrantIsForAWSResource": "true"}
    for action in ("kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom"):
        assert is_allowed(of_spot, Request(action)), action
    assert is_allowed(of_spot, Request("kms:CreateGrant", "*", lent))
    assert not is_allowed(of_spot, Request("kms:CreateGrant"))
    for action in ("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DisableKey"):
        assert not is_allowed(of_spot, Request(action, "*", lent)), action


# --- the way to S3 ---------------------------------------------------------------------------------------------------


def endpoint_statements(
    region: str = "eu-west-1", network: str = "private", name: str = "S3Endpoint"
) -> list[Statement]:
    """The policy of an endpoint of the clusters' network."""
    there = Deployed(region, {"Network": network, "KmsEndpointInNetwork": "true"})
    statements: list[Statement] = there.of_type("AWS::EC2::VPCEndpoint")[name]["PolicyDocument"]["Statement"]
    return statements


@pytest.mark.parametrize("network", ["public", "private"])
@pytest.mark.parametrize("action", ["s3:GetObject", "s3:PutObject", "s3:ListBucket", "s3:DeleteObject"])
def test_nodes_reach_no_bucket_of_other_people_whatever_credentials_they_use(network: str, action: str) -> None:
    """What a picture's decoder is made to do on a node carries nothing away, even with somebody else's keys."""
    endpoint = endpoint_statements(network=network)
    for bucket in ("somebody-elses", "verger-123456789012-eu-west-1-access-logs", "al2023-repos-eu-west-1-de612dc2x"):
        for resource in (f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/x"):
            assert not is_allowed(endpoint, Request(action, resource)), resource


def test_nodes_reach_through_the_endpoint_all_that_their_role_lets_them(nodes: list[Statement]) -> None:
    endpoint = endpoint_statements()
    asked = 0
    for statement in nodes:
        for action in as_list(statement.get("Action", [])):
            for resource in as_list(statement["Resource"]):
                request = Request(action, resource.replace("*", "x"))
                if action.startswith("s3:") and is_allowed(nodes, request):
                    asked += 1
                    assert is_allowed(endpoint, request), request
    assert asked > 15


@pytest.mark.parametrize("region", sorted(EU_REGIONS))
def test_emr_and_amazon_linux_reach_the_buckets_that_they_need(region: str) -> None:
    """https://docs.aws.amazon.com/emr/latest/ManagementGuide/private-subnet-iampolicy.html, for EMR Spark 8."""
    endpoint = endpoint_statements(region)
    for bucket in (
        f"al2023-repos-{region}-de612dc2",
        f"repo.{region}.emr.amazonaws.com",
        f"aws157-instance-data-0-prod-{region}",
        f"aws157-instance-data-1-prod-{region}",
    ):
        assert is_allowed(endpoint, Request("s3:GetObject", f"arn:aws:s3:::{bucket}/x")), bucket
        assert not is_allowed(endpoint, Request("s3:PutObject", f"arn:aws:s3:::{bucket}/x")), bucket
    assert is_allowed(endpoint, Request("s3:PutObject", f"arn:aws:s3:::aws157-logs-prod-{region}/x"))
    assert not is_allowed(endpoint, Request("s3:GetObject", f"arn:aws:s3:::aws157-logs-prod-{region}/x"))
    assert is_allowed(endpoint, Request("s3:PutObject", f"arn:aws:s3:::prod.{region}.appinfo.src/x"))


def test_through_the_endpoint_of_kms_only_the_disks_key_is_used() -> None:
    endpoint = endpoint_statements(name="KmsEndpoint")
    key = f"arn:aws:kms:eu-west-1:{ACCOUNT}:key"
    for action in ("kms:Decrypt", "kms:GenerateDataKey"):
        assert is_allowed(endpoint, Request(action, f"{key}/Key"))
        assert not is_allowed(endpoint, Request(action, f"{key}/another"))
    assert not is_allowed(endpoint, Request("kms:ScheduleKeyDeletion", f"{key}/Key"))


# --- the EU ----------------------------------------------------------------------------------------------------------


def test_the_template_means_the_same_eu_as_the_code(deployed: Deployed) -> None:
    (guard,) = deployed.of_type("AWS::IAM::ManagedPolicy")["EuGuard"]["PolicyDocument"]["Statement"]
    assert set(guard["Condition"]["StringNotEquals"]["aws:RequestedRegion"]) == set(EU_REGIONS)
    assert set(deployed.template["Mappings"]["EuRegions"]) == set(EU_REGIONS)
    (assertion,) = deployed.template["Rules"]["InsideTheEu"]["Assertions"]
    assert set(assertion["Assert"]["Fn::Contains"][0]) == set(EU_REGIONS)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "eu-central-2"])
def test_no_role_can_do_anything_outside_the_eu_whatever_else_it_is_given(
    deployed: Deployed, role: str, region: str
) -> None:
    statements = [*role_statements(deployed, role), ALLOW_ALL]
    tried = {"ec2:RunInstances", "elasticmapreduce:RunJobFlow", "s3:CreateBucket", "s3:GetObject", "s3:PutObject"}
    tried |= {action.replace("*", "") for entry in statements for action in as_list(entry.get("Action", []))}
    for action in tried - {""}:
        without_region = action.startswith(("iam:", "ce:", "sts:"))
        outside = Request(action, "arn:aws:x:::y", {"aws:RequestedRegion": region})
        assert is_allowed(statements, outside) == without_region, action


def test_inside_the_eu_the_guard_denies_nothing(deployed: Deployed) -> None:
    guard = deployed.of_type("AWS::IAM::ManagedPolicy")["EuGuard"]["PolicyDocument"]["Statement"]
    for region in EU_REGIONS:
        assert is_allowed([*guard, ALLOW_ALL], Request("ec2:RunInstances", "x", {"aws:RequestedRegion": region}))


# --- and no more -----------------------------------------------------------------------------------------------------


def test_nothing_is_allowed_everything() -> None:
    for parameters in ({}, {"Network": "private", "EncryptBetweenNodes": "true"}):
        for name, document in policy_documents(Deployed(parameters=parameters)):
            for statement in document["Statement"]:
                if statement["Effect"] == "Deny":
                    continue
                assert "NotAction" not in statement, name
                assert "NotResource" not in statement, name
                for action in as_list(statement["Action"]):
                    service, _, call = action.partition(":")
                    assert service != "*", f"{name}: {action}"
                    assert call.rstrip("*") != "", f"{name}: {action}"
                if "*" in as_list(statement["Resource"]):
                    assert statement["Sid"] in {"CreateMarkedClusters", "LookAround"}, f"{name}: {statement['Sid']}"


def test_airflow_has_no_permission_that_nothing_uses(project: Path, airflow: list[Statement]) -> None:
    granted = {action for entry in airflow if entry["Effect"] == "Allow" for action in as_list(entry["Action"])}
    # Parts of creating a cluster, of publishing to an encrypted topic, and of waiting for new pictures.
    implied = {"elasticmapreduce:AddTags", "elasticmapreduce:PutAutoTerminationPolicy", "iam:PassRole"}
    implied |= {"kms:Decrypt", "kms:GenerateDataKey"}
    # Of a run on Airflow's machine: a step that dies leaves an upload behind.
    implied |= {"s3:AbortMultipartUpload"}
    implied |= {f"sqs:{call}" for call in ("DeleteMessage", "GetQueueAttributes", "GetQueueUrl", "ReceiveMessage")}
    assert granted - implied <= actions_of_airflow(project)


@pytest.mark.parametrize(
    ("action", "key"),
    [
        ("s3:PutObject", "images/a/b.jpg"),
        ("s3:DeleteObject", "images/a/b.jpg"),
        ("s3:PutObject", "code/d/featurize.py"),
        ("s3:PutObject", "models/default.json"),
        ("s3:PutObject", "results/latest.json"),
        ("s3:PutObject", "runs/r/claim.json"),
        ("s3:DeleteObject", "runs/r/claim.json"),
        ("s3:DeleteObject", "results/r/matrix.csv"),
        ("s3:DeleteObject", "logs/j-1/x.gz"),
    ],
)
def test_nodes_change_neither_pictures_nor_code_nor_models_nor_the_pointer(
    nodes: list[Statement], action: str, key: str
) -> None:
    assert not may(nodes, action, key)


def test_of_what_runs_wrote_down_airflow_deletes_only_its_claims(airflow: list[Statement]) -> None:
    assert may(airflow, "s3:DeleteObject", "runs/r/claim.json")
    for key in ("runs/r/plan.json", "runs/r/manifest.parquet", "results/r/claim.json", "results/latest.json"):
        assert not may(airflow, "s3:DeleteObject", key), key


def test_no_role_reads_another_bucket_or_deletes_versions_or_settings(deployed: Deployed) -> None:
    for role in ROLES:
        statements = role_statements(deployed, role)
        assert not is_allowed(statements, Request("s3:GetObject", "arn:aws:s3:::somebody-elses/x"))
        assert not is_allowed(statements, Request("s3:DeleteObjectVersion", f"{BUCKET}/images/a.jpg"))
        for action in ("s3:DeleteBucket", "s3:PutBucketPolicy", "s3:PutLifecycleConfiguration"):
            assert not is_allowed(statements, Request(action, BUCKET))


def test_airflow_makes_only_marked_clusters_and_touches_no_others(airflow: list[Statement]) -> None:
    assert is_allowed(airflow, Request("elasticmapreduce:RunJobFlow", "*", TAGS))
    assert not is_allowed(airflow, Request("elasticmapreduce:RunJobFlow"))
    for action in ("TerminateJobFlows", "AddJobFlowSteps", "DescribeCluster"):
        assert is_allowed(airflow, Request(f"elasticmapreduce:{action}", CLUSTER, OURS))
        other = {"aws:ResourceTag/application": "somebody-elses"}
        assert not is_allowed(airflow, Request(f"elasticmapreduce:{action}", CLUSTER, other))


@pytest.mark.parametrize("other", ["somebody-elses", "Verger", ""])
def test_airflow_makes_no_cluster_its_own_that_is_another_application_s(airflow: list[Statement], other: str) -> None:
    """Else it could tag any cluster of the account, and then run steps on it with that cluster's role."""
    tagging = "elasticmapreduce:AddTags"
    assert not is_allowed(airflow, Request(tagging, CLUSTER, TAGS | {"aws:ResourceTag/application": other}))
    assert is_allowed(airflow, Request(tagging, CLUSTER, TAGS | OURS))
    assert is_allowed(airflow, Request(tagging, CLUSTER, TAGS)), "a new cluster has no tags yet"


def test_airflow_asks_for_the_two_quotas_of_instances_and_for_no_others(airflow: list[Statement]) -> None:
    def may_ask(quota: str) -> bool:
        return is_allowed(
            airflow, Request("servicequotas:GetServiceQuota", f"arn:aws:servicequotas:eu-west-3:{ACCOUNT}:{quota}")
        )

    assert may_ask(f"ec2/{ON_DEMAND_QUOTA}")
    assert may_ask(f"ec2/{SPOT_QUOTA}")
    assert not may_ask("ec2/L-0263D0A3")
    assert not may_ask("s3/L-DC2B2D3D")


def test_airflow_hands_out_two_roles_each_to_its_service(airflow: list[Statement]) -> None:
    may_pass = {
        (role, service)
        for role in (*ROLES, "Admin")
        for service in ("elasticmapreduce.amazonaws.com", "ec2.amazonaws.com", "lambda.amazonaws.com")
        if is_allowed(
            airflow,
            Request("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{role}", {"iam:PassedToService": service}),
        )
    }
    assert may_pass == {("ServiceRole", "elasticmapreduce.amazonaws.com"), ("NodeRole", "ec2.amazonaws.com")}


def test_roles_are_assumed_by_whom_they_are_for() -> None:
    me = "arn:aws:iam::123456789012:role/airflow-host"
    roles = Deployed(parameters={"AirflowPrincipalArn": me}).of_type("AWS::IAM::Role")
    trusted = {name: role["AssumeRolePolicyDocument"]["Statement"] for name, role in roles.items()}
    assert [entry["Principal"] for entry in trusted["AirflowRole"]] == [{"AWS": me}]
    assert [entry["Principal"] for entry in trusted["NodeRole"]] == [{"Service": "ec2.amazonaws.com"}]
    (service,) = trusted["ServiceRole"]
    assert service["Principal"] == {"Service": "elasticmapreduce.amazonaws.com"}
    assert service["Condition"]["StringEquals"] == {"aws:SourceAccount": ACCOUNT}
    assert set(trusted) == set(ROLES)


def test_policies_fit_into_iams_limits() -> None:
    """Characters without white space: 6,144 for a managed policy, 10,240 for a role's inline ones.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    longest = Deployed("eu-central-1", {"BucketName": "b" * 46, "ImagesPrefix": "a-rather-long-prefix/of-pictures/"})
    for name, document in policy_documents(longest):
        length = len("".join(json.dumps(document).split()))
        assert length <= (10_240 if "/" in name else 6_144), f"{name}: {length}"


def test_iams_patterns_are_understood() -> None:
    assert matches("s3:Get*", "s3:GetObject")
    assert not matches("s3:Get*", "s3:PutObject")
    assert matches("arn:aws:s3:::b/runs/*", "arn:aws:s3:::b/runs/[x]/a b.json")
    guarded: list[Statement] = [ALLOW_ALL, {"Effect": "Deny", "NotAction": ["iam:*"], "Resource": "*"}]
    assert is_allowed(guarded, Request("iam:PassRole", "x"))
    assert not is_allowed(guarded, Request("s3:GetObject", "x"))
    assert not is_allowed([], Request("s3:GetObject", "x")), "what nobody allows is denied"
