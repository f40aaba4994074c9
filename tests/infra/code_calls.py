"""Finds which AWS operations the code calls, by reading it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import boto3

#: What a call of an operation needs, where IAM's action is not named like the operation.
#: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
ACTION_OF = {
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListObjectsV2": "s3:ListBucket",
}
#: What the provider's classes call, read in their sources (apache-airflow-providers-amazon 9.39.0).
PROVIDER_CALLS = {
    "AwsBaseWaiterTrigger": set[str](),
    "AwsGenericHook": set[str](),
    "EmrAddStepsOperator": {"AddJobFlowSteps"},
    "EmrCreateJobFlowOperator": {"RunJobFlow", "TerminateJobFlows"},
    "EmrHook": {"DescribeCluster"},
    "EmrJobFlowSensor": {"DescribeCluster"},
    "EmrStepSensor": {"DescribeStep"},
    "EmrStepSensorTrigger": {"DescribeStep"},
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
    action = f"{'elasticmapreduce' if service == 'emr' else service}:{operation}"
    return ACTION_OF.get(action, action)


def modules(folder: Path) -> list[tuple[Path, ast.Module]]:
    """Every module below a folder, parsed."""
    return [(file, ast.parse(file.read_text(encoding="utf-8"))) for file in sorted(folder.rglob("*.py"))]


def client_types(tree: ast.Module) -> dict[str, str]:
    """Which service's client a type of this module is: `from mypy_boto3_s3 import S3Client` gives S3Client -> s3."""
    return {
        alias.name: node.module.removeprefix("mypy_boto3_")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mypy_boto3_")
        for alias in node.names
        if alias.name.endswith("Client")
    }


def client_makers(tree: ast.Module) -> dict[str, str]:
    """The functions of a module that return a client, by name, with the client's service."""
    types = client_types(tree)
    return {
        node.name: types[name]
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.returns is not None
        for name in types
        if ast.unparse(node.returns).strip("'\"") == name
    }


def boto3_actions(tree: ast.Module, makers: dict[str, str]) -> set[str]:
    """The IAM actions of what a module calls on boto3's clients.

    A client is a parameter of a client's type, or what a function of `makers` returned.
    """
    types = client_types(tree)
    clients: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation is not None:
            kind = ast.unparse(node.annotation).strip("'\"").removesuffix(" | None")
            if kind in types:
                clients[node.arg] = types[kind]
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            if service := _made_by(node.value, makers):
                clients[node.targets[0].id] = service
    return {iam_action(service, operation) for service, operation in _operations(tree, clients, makers)}


def _made_by(node: ast.expr, makers: dict[str, str]) -> str | None:
    if isinstance(node, ast.Await):
        return _made_by(node.value, makers)
    if not isinstance(node, ast.Call):
        return None
    # Also `asyncio.to_thread(s3_client, ...)`.
    for name in (ast.unparse(node.func), *map(ast.unparse, node.args[:1])):
        if service := makers.get(name.rpartition(".")[2]):
            return service
    return None


def _operations(tree: ast.Module, clients: dict[str, str], makers: dict[str, str]) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        receiver = node.func.value
        service = clients.get(ast.unparse(receiver)) or _made_by(receiver, makers)
        if service is None:
            continue
        method = node.func.attr
        if method in {"get_paginator", "get_waiter"}:
            method = ast.literal_eval(node.args[0])
        operations = boto3.client(service, region_name="eu-west-1").meta.method_to_api_mapping
        yield service, operations[method]


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
            yield re.sub(r"<[^>]*>|\*|\.\.\.", "x", key), writer.strip()
