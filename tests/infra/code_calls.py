"""Finds which AWS operations the code calls, by reading it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import botocore.session
from botocore import xform_name

#: What a call of an operation needs, where IAM's action is not named like the operation.
#: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
ACTION_OF = {
    "s3:CopyObject": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
}
#: IAM's name of a service, where it is not boto3's.
IAM_SERVICES = {"emr": "elasticmapreduce", "service-quotas": "servicequotas"}
#: What boto3 adds to a client that is no operation of the API. The parts of a large upload are put with the same
#: permission: https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
BOTO3_METHODS = {"upload_file": "PutObject"}
#: The actions of what the provider's classes call, read in their sources (apache-airflow-providers-amazon 9.39.0).
PROVIDER_CALLS = {
    "AwsBaseWaiterTrigger": set[str](),
    "AwsGenericHook": set[str](),
    "EmrAddStepsOperator": {"elasticmapreduce:AddJobFlowSteps"},
    "EmrCreateJobFlowOperator": {"elasticmapreduce:RunJobFlow", "elasticmapreduce:TerminateJobFlows"},
    "EmrHook": {"elasticmapreduce:DescribeCluster"},
    "EmrJobFlowSensor": {"elasticmapreduce:DescribeCluster"},
    "EmrStepSensor": {"elasticmapreduce:DescribeStep"},
    "EmrStepSensorTrigger": {"elasticmapreduce:DescribeStep"},
    "SqsSensorTrigger": {"sqs:ReceiveMessage", "sqs:DeleteMessage"},
}
#: What obstore's functions ask S3 for (a large put goes up in parts).
OBSTORE_CALLS = {
    "delete": {"s3:DeleteObject"},
    "get": {"s3:GetObject"},
    "get_range": {"s3:GetObject"},
    "head": {"s3:GetObject"},
    "list": {"s3:ListBucket"},
    "open_reader": {"s3:GetObject"},
    "open_writer": {"s3:PutObject", "s3:AbortMultipartUpload"},
    "put": {"s3:PutObject"},
}


def iam_action(service: str, operation: str) -> str:
    """The IAM action of an API operation."""
    action = f"{IAM_SERVICES.get(service, service)}:{operation}"
    return ACTION_OF.get(action, action)


def modules(folder: Path) -> list[tuple[Path, ast.Module]]:
    """Every module below a folder, parsed."""
    return [(file, ast.parse(file.read_text(encoding="utf-8"))) for file in sorted(folder.rglob("*.py"))]


@dataclass(frozen=True)
class Clients:
    """How a client is known in the code.

    Attributes:
        makers: functions that return one, by name, with its service.
        types: what they say they return, with the service: `S3Client` -> s3.
    """

    makers: dict[str, str]
    types: dict[str, str]


def find_clients(tree: ast.Module) -> Clients:
    """The functions that make clients: those that call `_client` with the name of a service and say what it is."""
    makers, types = {}, {}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef) or function.returns is None:
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "_client":
                makers[function.name] = types[_type_name(function.returns)] = ast.literal_eval(call.args[0])
    return Clients(makers, types)


def _type_name(annotation: ast.expr) -> str:
    return ast.unparse(annotation).strip("'\"").removesuffix(" | None")


def boto3_actions(tree: ast.Module, clients: Clients) -> set[str]:
    """The IAM actions of what a module calls on clients: parameters of a client's type, and what makers return."""
    names: dict[str, str | None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            names[node.arg] = clients.types.get(_type_name(node.annotation)) or names.get(node.arg)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names[node.targets[0].id] = _made_by(node.value, clients) or names.get(node.targets[0].id)
    return {iam_action(service, operation) for service, operation in _operations(tree, names, clients)}


def _made_by(node: ast.expr, clients: Clients) -> str | None:
    if isinstance(node, ast.Await):
        return _made_by(node.value, clients)
    if isinstance(node, ast.IfExp):
        return _made_by(node.body, clients)
    if not isinstance(node, ast.Call):
        return None
    # Also `asyncio.to_thread(s3_client, ...)`.
    for name in (ast.unparse(node.func), *map(ast.unparse, node.args[:1])):
        if service := clients.makers.get(name.rpartition(".")[2]):
            return service
    return None


def _operations(tree: ast.Module, names: dict[str, str | None], clients: Clients) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        receiver = node.func.value
        service = names.get(ast.unparse(receiver)) or _made_by(receiver, clients)
        if service is None:
            continue
        method = node.func.attr
        if method in {"get_paginator", "get_waiter"}:
            method = ast.literal_eval(node.args[0])
        operations = botocore.session.get_session().get_service_model(service).operation_names
        yield service, ({xform_name(operation): operation for operation in operations} | BOTO3_METHODS)[method]


def provider_names(tree: ast.Module) -> set[str]:
    """What a module imports of the provider."""
    return {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("airflow.providers.amazon")
        for alias in node.names
    }


def obstore_functions(tree: ast.Module) -> set[str]:
    """The functions of obstore that a module calls."""
    return {
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and ast.unparse(node.func.value) == "obstore"
    }


def written_paths(formats: str) -> Iterator[tuple[str, str]]:
    """Each path of docs/formats.md's table of the bucket with its writer: (key of an example, writer)."""
    table = formats.split("| path | what | written by |", 1)[1].split("\n\n", 1)[0]
    for line in table.splitlines()[2:]:
        paths, _, writer = (cell.strip() for cell in line.strip("|").split(" | "))
        for path in re.findall(r"`([^`]+)`", paths):
            folder = re.findall(r"`([^`]+/)[^`]*`", paths)[0]
            key = path if "/" in path else folder + path
            yield re.sub(r"<[^>]*>|\*|\.\.\.", "x", key), re.sub(r"\s*\(.*\)", "", writer).strip()
