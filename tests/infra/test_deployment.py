"""The template deployed to moto, and what it made.

moto's CloudFormation makes no bucket, queue and topic policies, no subscriptions and no budgets; of a bucket it takes
name, encryption and tags; and it attaches no managed policies to roles. For these the template itself is asked, with
its functions worked out (tests/infra/template.py).
"""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.parsers import ResponseParserError
from verger.cluster.steps import FEATURIZE, PCA
from verger.run.deployment import Deployment
from verger.run.eu_guard import EU_REGIONS

from tests.infra.account import Account, parse_object
from tests.infra.policies import Request, Statement, is_allowed
from tests.infra.template import Deployed, load_template


def one(resources: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    assert name in resources, f"the template holds {', '.join(resources)}"
    return resources[name]


# --- where -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", EU_REGIONS)
def test_every_region_of_the_eu_is_accepted(region: str) -> None:
    there = Deployed(region)
    assert there.failed_rules() == []
    assert {"Key": "data-in", "Value": there.template["Mappings"]["EuRegions"][region]["Place"]} in there.of_type(
        "AWS::S3::Bucket"
    )["DataBucket"]["Tags"]


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-2", "eu-central-2", "ap-south-1"])
def test_a_region_outside_the_eu_fails_the_rule_that_cloudformation_checks_first(region: str) -> None:
    (said,) = Deployed(region).failed_rules()
    assert "stays in the EU" in said


def test_a_region_outside_the_eu_is_refused_by_moto_as_well(account: Account) -> None:
    """There are no rules in moto; the mapping of regions, which has no entry for it, stops it all the same."""
    with pytest.raises((ClientError, ResponseParserError)):
        account.deploy("us-east-1")
    buckets = account.client("s3").list_buckets()["Buckets"]
    assert [bucket["Name"] for bucket in buckets if "us-east-1" in bucket["Name"]] == []


def test_an_existing_network_needs_its_subnet() -> None:
    (said,) = Deployed(parameters={"Network": "existing"}).failed_rules()
    assert "ExistingSubnetIds" in said
    given = Deployed(parameters={"Network": "existing", "ExistingSubnetIds": "subnet-0123456789abcdef0"})
    assert given.failed_rules() == []
    assert given.resolve(given.template["Outputs"]["SubnetIds"]["Value"]) == "subnet-0123456789abcdef0"
    assert given.of_type("AWS::EC2::VPC") == {}


# --- what Airflow is told --------------------------------------------------------------------------------------------


def test_each_output_that_names_a_variable_is_a_setting_of_airflows_side(account: Account) -> None:
    """Its description is the variable's name, so that one command turns the outputs into Airflow's environment."""
    found = {entry["Description"]: entry["OutputValue"] for entry in account.outputs()}
    variables = {name: value for name, value in found.items() if name.startswith("VERGER_")}
    assert {"VERGER_BUCKET", "VERGER_REGION", "VERGER_SUBNET_ID"} <= set(variables)
    default = Deployment.from_environment({})
    for name, value in variables.items():
        ending = "/" if value.endswith("/") else ""
        marked = Deployment.from_environment({name: f"{value.removesuffix('/')}-changed{ending}"})
        assert marked != default, f"{name} is no variable that verger.deployment reads"


# --- data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["DataBucket", "AccessLogBucket"])
def test_buckets_are_encrypted_with_keys_that_leave_etags_alone(account: Account, output: str) -> None:
    """With KMS an ETag is no MD5, and sync would ask for every picture's metadata."""
    s3 = account.client("s3")
    rules = s3.get_bucket_encryption(Bucket=account.resource(output))["ServerSideEncryptionConfiguration"]["Rules"]
    assert [rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for rule in rules] == ["AES256"]
    assert s3.get_bucket_location(Bucket=account.resource(output))["LocationConstraint"] == "eu-west-1"


@pytest.mark.parametrize("name", ["DataBucket", "AccessLogBucket"])
def test_nothing_in_a_bucket_can_become_public(deployed: Deployed, name: str) -> None:
    """Asked of the template: moto's buckets do not take it from CloudFormation."""
    bucket = one(deployed.of_type("AWS::S3::Bucket"), name)
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def test_old_versions_logs_and_unfinished_uploads_go_and_the_rest_gets_cheaper(deployed: Deployed) -> None:
    """Asked of the template: moto's buckets do not take it from CloudFormation."""
    bucket = one(deployed.of_type("AWS::S3::Bucket"), "DataBucket")
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert {rule["Status"] for rule in rules.values()} == {"Enabled"}
    assert rules["old-versions-go"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert rules["logs-go"]["Prefix"] == "logs/"
    assert "AbortIncompleteMultipartUpload" in rules["unfinished-uploads-go"]
    assert rules["rarely-read-objects-get-cheaper"]["Transitions"][0]["StorageClass"] == "INTELLIGENT_TIERING"
    expiring = [rule.get("Prefix") for rule in rules.values() if "ExpirationInDays" in rule]
    assert expiring == ["logs/"], "only logs may go while they are current"


def test_data_and_logs_outlive_the_stack() -> None:
    resources = load_template()["Resources"]
    for name in ("DataBucket", "AccessLogBucket"):
        assert resources[name]["DeletionPolicy"] == resources[name]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", ["DataBucketPolicy", "AccessLogBucketPolicy", "NewImagesQueuePolicy", "TopicPolicy"])
def test_what_is_not_encrypted_on_its_way_is_denied(deployed: Deployed, name: str) -> None:
    """Asked of the template: moto's CloudFormation makes no such policies."""
    statements = deployed.resources[name]["Properties"]["PolicyDocument"]["Statement"]
    deny = next(entry for entry in statements if entry["Sid"] == "OnlyTls")
    assert deny["Effect"] == "Deny"
    assert deny["Principal"] == "*"
    action = {"s3:*": "s3:GetObject", "sqs:*": "sqs:SendMessage", "sns:Publish": "sns:Publish"}[deny["Action"]]
    resources = deny["Resource"] if isinstance(deny["Resource"], list) else [deny["Resource"]]
    everything: Statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    for resource in resources:
        plain = Request(action, resource.replace("*", "x"), {"aws:SecureTransport": "false"})
        secure = Request(action, resource.replace("*", "x"), {"aws:SecureTransport": "true"})
        assert not is_allowed([everything, deny], plain)
        assert is_allowed([everything, deny], secure)


# --- new pictures ----------------------------------------------------------------------------------------------------


def test_new_pictures_reach_an_encrypted_queue_that_keeps_what_nobody_could_read(account: Account) -> None:
    sqs = account.client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=account.output("QueueUrl"), AttributeNames=["All"])["Attributes"]
    assert attributes["SqsManagedSseEnabled"] == "true"
    redrive = json.loads(attributes["RedrivePolicy"])
    other = sqs.get_queue_attributes(QueueUrl=account.resource("UnreadableImagesQueue"), AttributeNames=["QueueArn"])
    assert redrive["deadLetterTargetArn"] == other["Attributes"]["QueueArn"]


def test_only_the_bucket_may_report_pictures_and_it_reports_those_under_the_prefix() -> None:
    """Asked of the template: moto's CloudFormation makes no queue policies and no notifications."""
    there = Deployed(parameters={"BucketName": "my-fruits", "ImagesPrefix": "fruits/fresh/"})
    reports = one(there.of_type("AWS::S3::Bucket"), "DataBucket")["NotificationConfiguration"]["QueueConfigurations"]
    assert {report["Event"] for report in reports} == {"s3:ObjectCreated:*", "s3:ObjectRemoved:*"}
    for report in reports:
        assert report["Filter"]["S3Key"]["Rules"] == [{"Name": "prefix", "Value": "fruits/fresh/"}]
    (queue,) = {report["Queue"] for report in reports}
    statements = there.resources["NewImagesQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]

    def may_report(bucket: str) -> bool:
        context = {"aws:SourceArn": f"arn:aws:s3:::{bucket}", "aws:SourceAccount": "123456789012"}
        return is_allowed(statements, Request("sqs:SendMessage", queue, context))

    assert may_report("my-fruits")
    assert not may_report("somebody-elses")


# --- notifications ---------------------------------------------------------------------------------------------------


def test_clusters_that_begin_or_end_and_steps_that_fail_are_told_to_the_topic(account: Account) -> None:
    events = account.client("events")
    patterns = {}
    for rule in events.list_rules()["Rules"]:
        (target,) = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        assert target["Arn"] == account.output("TopicArn")
        pattern = json.loads(rule["EventPattern"])
        assert pattern["source"] == ["aws.emr"]
        patterns[pattern["detail-type"][0]] = pattern["detail"]
    assert set(patterns["EMR Cluster State Change"]["state"]) == {"STARTING", "TERMINATED", "TERMINATED_WITH_ERRORS"}
    assert patterns["EMR Step Status Change"] == {"name": [FEATURIZE, PCA], "state": ["FAILED"]}


def test_the_names_of_clusters_begin_as_the_rule_expects(deployed: Deployed) -> None:
    from verger.cluster.clusters import run_lease  # noqa: PLC0415 -- beside what it is compared with

    pattern = one(deployed.of_type("AWS::Events::Rule"), "ClusterStateRule")["EventPattern"]["detail"]["name"]
    assert run_lease("fruits", "a-run").startswith(pattern[0]["prefix"])


def test_the_topic_is_encrypted_with_a_key_that_lets_its_publishers_in(account: Account, deployed: Deployed) -> None:
    """AWS's own key for SNS would swallow what EventBridge and Budgets publish."""
    attributes = account.client("sns").get_topic_attributes(TopicArn=account.output("TopicArn"))["Attributes"]
    assert attributes["KmsMasterKeyId"] == account.resource("Key")
    policy = account.client("kms").get_key_policy(KeyId=account.resource("Key"), PolicyName="default")["Policy"]
    if isinstance(policy, str):
        policy = parse_object(policy)
    services = {entry["Principal"].get("Service") for entry in policy["Statement"]}
    publishers = {
        entry["Principal"].get("Service")
        for entry in deployed.resources["TopicPolicy"]["Properties"]["PolicyDocument"]["Statement"]
        if entry["Effect"] == "Allow"
    }
    assert publishers == {"events.amazonaws.com", "budgets.amazonaws.com"}
    assert publishers <= services


def test_mail_goes_to_the_address_given_and_to_nobody_without_one(deployed: Deployed) -> None:
    """Asked of the template: moto's CloudFormation makes no subscriptions."""
    assert deployed.of_type("AWS::SNS::Subscription") == {}
    wanted = Deployed(parameters={"NotificationEmail": "orchard@example.eu"})
    assert one(wanted.of_type("AWS::SNS::Subscription"), "TopicSubscription")["Endpoint"] == "orchard@example.eu"


def test_the_budget_warns_before_it_is_spent() -> None:
    """Asked of the template: moto's CloudFormation makes no budgets."""
    budget = one(Deployed(parameters={"MonthlyBudget": "35"}).of_type("AWS::Budgets::Budget"), "Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": "35", "Unit": "USD"}
    warnings = {
        (entry["Notification"]["NotificationType"], entry["Notification"]["Threshold"])
        for entry in budget["NotificationsWithSubscribers"]
    }
    assert warnings == {("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)}


# --- network and clusters --------------------------------------------------------------------------------------------


def test_emrs_service_role_may_use_the_network_because_of_its_tag(account: Account) -> None:
    ec2 = account.client("ec2")
    tag = {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"}
    subnets = ec2.describe_subnets(SubnetIds=account.output("SubnetIds").split(","))["Subnets"]
    (vpc,) = ec2.describe_vpcs(VpcIds=[account.output("VpcId")])["Vpcs"]
    assert len(subnets) == 3
    assert all(tag in subnet["Tags"] for subnet in subnets)
    assert len({subnet["AvailabilityZone"] for subnet in subnets}) == 3
    assert tag in vpc["Tags"]


def test_the_public_network_reaches_the_internet_and_s3_without_it(account: Account) -> None:
    ec2 = account.client("ec2")
    (table,) = ec2.describe_route_tables(RouteTableIds=[account.resource("RouteTable")])["RouteTables"]
    assert [route["GatewayId"] for route in table["Routes"] if route.get("DestinationCidrBlock") == "0.0.0.0/0"] == [
        account.resource("InternetGateway")
    ]
    (endpoint,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[account.resource("S3Endpoint")])["VpcEndpoints"]
    assert endpoint["ServiceName"] == "com.amazonaws.eu-west-1.s3"


def test_the_private_network_reaches_s3_alone() -> None:
    private = Deployed(parameters={"Network": "private"})
    assert private.of_type("AWS::EC2::InternetGateway") == private.of_type("AWS::EC2::Route") == {}
    subnets = private.of_type("AWS::EC2::Subnet").values()
    assert [subnet["MapPublicIpOnLaunch"] for subnet in subnets] == [False] * 3
    assert list(private.of_type("AWS::EC2::VPCEndpoint")) == ["S3Endpoint"]


def test_kms_is_reached_in_the_network_where_it_is_asked_for() -> None:
    """Instance types with disks of their own need it where there is no internet."""
    private = Deployed(parameters={"Network": "private", "KmsEndpointInNetwork": "true"})
    endpoint = private.of_type("AWS::EC2::VPCEndpoint")["KmsEndpoint"]
    assert (endpoint["VpcEndpointType"], endpoint["PrivateDnsEnabled"]) == ("Interface", True)
    assert endpoint["ServiceName"] == "com.amazonaws.eu-west-1.kms"
    assert set(endpoint["SubnetIds"]) == set(private.of_type("AWS::EC2::Subnet"))
    access = private.of_type("AWS::EC2::SecurityGroup")["KmsEndpointAccess"]
    (rule,) = access["SecurityGroupIngress"]
    assert (rule["FromPort"], rule["ToPort"], rule["CidrIp"]) == (
        443,
        443,
        private.of_type("AWS::EC2::VPC")["Vpc"]["CidrBlock"],
    )
    assert Deployed().of_type("AWS::EC2::SecurityGroup") == {}


def test_an_endpoint_of_kms_in_somebody_s_own_network_is_refused() -> None:
    theirs = {"Network": "existing", "ExistingSubnetIds": "subnet-0123456789abcdef0", "KmsEndpointInNetwork": "true"}
    (said,) = Deployed(parameters=theirs).failed_rules()
    assert "KmsEndpointInNetwork" in said
    assert Deployed(parameters={"KmsEndpointInNetwork": "true"}).failed_rules() == []


def test_nodes_ask_for_their_credentials_with_tokens_and_their_disks_are_encrypted(account: Account) -> None:
    name = account.output("SecurityConfigurationName")
    security = parse_object(account.client("emr").describe_security_configuration(Name=name)["SecurityConfiguration"])
    assert security["InstanceMetadataServiceConfiguration"]["MinimumInstanceMetadataServiceVersion"] == 2
    encryption = security["EncryptionConfiguration"]
    disks = encryption["AtRestEncryptionConfiguration"]["LocalDiskEncryptionConfiguration"]
    assert encryption["EnableAtRestEncryption"] is True
    assert disks["EnableEbsEncryption"] is True
    assert disks["AwsKmsKey"].endswith(account.resource("Key"))
    assert encryption["EnableInTransitEncryption"] is False
    assert "InTransitEncryptionConfiguration" not in encryption


def test_nodes_encrypt_what_they_send_each_other_when_they_have_certificates() -> None:
    there = Deployed(parameters={"EncryptBetweenNodes": "true", "BucketName": "my-fruits"})
    security = one(there.of_type("AWS::EMR::SecurityConfiguration"), "ClusterSecurity")["SecurityConfiguration"]
    encryption = security["EncryptionConfiguration"]
    assert encryption["EnableInTransitEncryption"] is True
    certificates = encryption["InTransitEncryptionConfiguration"]["TLSCertificateConfiguration"]
    assert certificates == {"CertificateProviderType": "PEM", "S3Object": "s3://my-fruits/certificates/nodes.zip"}
