"""Decides as IAM does whether policies allow a request, for the operators that Verger's policies use.

A Deny that applies wins, then an Allow that applies, else the request is denied:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.infra.template import Deployed

Statement = Mapping[str, Any]


@dataclass(frozen=True)
class Request:
    """What somebody asks AWS for.

    Attributes:
        action: such as `s3:GetObject`.
        resource: an ARN, or `*` for actions that know no resources.
        context: the condition keys of the request; `aws:RequestedRegion` is an EU region unless given.
    """

    action: str
    resource: str = "*"
    context: Mapping[str, str] = field(default_factory=dict)

    def value(self, key: str) -> str | None:
        """The value of a condition key; None when the request has none."""
        return self.context.get(key, "eu-west-1" if key == "aws:RequestedRegion" else None)


def as_list(value: Any) -> list[Any]:
    """IAM takes one value where it takes a list."""
    return value if isinstance(value, list) else [value]


def matches(pattern: str, text: str, *, ignore_case: bool = False) -> bool:
    """Whether a text fits a pattern with `*` and `?`."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, text, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def applies(statement: Statement, request: Request) -> bool:
    """Whether a statement is about a request."""
    named = any(
        matches(pattern, request.action, ignore_case=True)
        for pattern in as_list(statement.get("Action", statement.get("NotAction")))
    )
    if named != ("Action" in statement):
        return False
    if not any(matches(pattern, request.resource) for pattern in as_list(statement["Resource"])):
        return False
    return all(
        _holds(operator, request.value(key), as_list(wanted))
        for operator, keys in statement.get("Condition", {}).items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, value: str | None, wanted: list[Any]) -> bool:
    if operator == "StringNotEquals":
        return value not in wanted
    if operator == "Null":
        return str(value is None).lower() in wanted
    if value is None:
        return False
    if operator in {"StringEquals", "Bool"}:
        return value in wanted
    if operator in {"StringLike", "ArnLike", "ArnEquals"}:
        return any(matches(pattern, value) for pattern in wanted)
    if operator == "NumericLessThan":
        return any(float(value) < float(bound) for bound in wanted)
    raise NotImplementedError(f"condition operator {operator}: teach it to this evaluation")


def is_allowed(statements: list[Statement], request: Request) -> bool:
    """Whether policies let a request through."""
    effects = {statement["Effect"] for statement in statements if applies(statement, request)}
    return effects == {"Allow"}


def role_statements(deployed: Deployed, role: str) -> list[Statement]:
    """The statements of a role's inline policies and of those managed policies that the template itself holds."""
    properties = deployed.of_type("AWS::IAM::Role")[role]
    managed = {
        f"arn:aws:iam::123456789012:policy/{name}": policy["PolicyDocument"]
        for name, policy in deployed.of_type("AWS::IAM::ManagedPolicy").items()
    }
    documents = [policy["PolicyDocument"] for policy in properties.get("Policies", ())]
    documents += [managed[arn] for arn in properties["ManagedPolicyArns"] if arn in managed]
    return [statement for document in documents for statement in document["Statement"]]


def policy_documents(deployed: Deployed) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy that gives or takes permissions of roles, with a name for messages."""
    for name, role in deployed.of_type("AWS::IAM::Role").items():
        for policy in role.get("Policies", ()):
            yield f"{name}/{policy['PolicyName']}", policy["PolicyDocument"]
    for name, policy in deployed.of_type("AWS::IAM::ManagedPolicy").items():
        yield name, policy["PolicyDocument"]
