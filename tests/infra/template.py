"""The template as CloudFormation sees it: parsed, and its functions worked out for one region and parameters."""

import re
from collections.abc import Callable  # noqa: TC003 -- a plain annotation of a local, kept beside the others
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from moto.cloudformation.utils import yaml_tag_constructor

TEMPLATE_FILE = Path(__file__).resolve().parents[2] / "infra" / "template.yaml"
ACCOUNT = "123456789012"


class _TemplateLoader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref`, `!Sub` and the others."""


_TemplateLoader.add_multi_constructor("", yaml_tag_constructor)


def load_template() -> dict[str, Any]:
    """The template with its functions in their long form (`{"Ref": ...}`)."""
    with TEMPLATE_FILE.open(encoding="utf-8") as file:
        template: dict[str, Any] = yaml.load(file, _TemplateLoader)  # noqa: S506 -- a SafeLoader's subclass
    return template


class NoSuchRegionError(LookupError):
    """A mapping has no entry for the region: CloudFormation refuses the stack."""


#: What is left out of a list or an object.
_NO_VALUE = object()


@dataclass(frozen=True)
class Deployed:
    """The template, deployed.

    Attributes:
        region: where to.
        parameters: those that are not the defaults.
        template: the parsed template.
    """

    region: str = "eu-west-1"
    parameters: dict[str, str] = field(default_factory=dict)
    template: dict[str, Any] = field(default_factory=load_template)

    @cached_property
    def resources(self) -> dict[str, dict[str, Any]]:
        """The resources whose condition holds, by logical name, with their functions worked out."""
        return {
            name: self.resolve({key: resource[key] for key in resource if key in {"Type", "Properties"}})
            for name, resource in self.template["Resources"].items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of the resources of a type, by logical name."""
        return {name: found["Properties"] for name, found in self.resources.items() if found["Type"] == kind}

    def failed_rules(self) -> list[str]:
        """What CloudFormation says instead of beginning: the descriptions of the assertions that do not hold."""
        return [
            assertion["AssertDescription"]
            for rule in self.template["Rules"].values()
            if self.resolve(rule.get("RuleCondition", True))
            for assertion in rule["Assertions"]
            if not self.resolve(assertion["Assert"])
        ]

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        return bool(self.resolve(self.template["Conditions"][name]))

    def resolve(self, value: Any) -> Any:
        """Work out the functions in a value."""
        if isinstance(value, list):
            return [found for found in map(self.resolve, value) if found is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), *_ = value.items()
            if function == "Ref":
                return self._ref(argument)
            if function.startswith("Fn::"):
                return self._call(function.removeprefix("Fn::"), argument)
        resolved = {key: self.resolve(entry) for key, entry in value.items()}
        return {key: entry for key, entry in resolved.items() if entry is not _NO_VALUE}

    def _call(self, function: str, argument: Any) -> Any:
        if function == "If":
            name, then, otherwise = argument
            return self.resolve(then if self.condition(name) else otherwise)
        if function == "Sub":
            return re.sub(r"\$\{([^}]+)\}", lambda found: self._name(found[1]), argument)
        if function == "GetAtt":
            return self._attribute(*argument)
        functions: dict[str, Callable[..., Any]] = {
            "And": lambda *conditions: all(conditions),
            "Contains": lambda entries, entry: entry in entries,
            "Equals": lambda one, other: one == other,
            "FindInMap": self._find_in_map,
            "GetAZs": lambda *_: [f"{self.region}{zone}" for zone in "abc"],
            "Join": lambda separator, entries: separator.join(entries),
            "Not": lambda condition: not condition,
            "Or": lambda *conditions: any(conditions),
            "Select": lambda index, entries: entries[int(index)],
        }
        return functions[function](*(self.resolve(entry) for entry in argument))

    def _find_in_map(self, name: str, first: str, second: str) -> Any:
        entries = self.template["Mappings"][name]
        if first not in entries:
            raise NoSuchRegionError(first)
        return entries[first][second]

    def _name(self, text: str) -> str:
        name, _, attribute = text.partition(".")
        return str(self._attribute(name, attribute) if attribute else self._ref(name))

    def _ref(self, name: str) -> Any:
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::Region": self.region,
            "AWS::StackName": "verger",
            "AWS::NoValue": _NO_VALUE,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.template["Parameters"]:
            return self.parameters.get(name, self.template["Parameters"][name].get("Default"))
        resource = self.template["Resources"][name]
        if resource["Type"] == "AWS::S3::Bucket":
            return self.resolve(resource["Properties"]["BucketName"])
        if resource["Type"] in {"AWS::SNS::Topic", "AWS::IAM::ManagedPolicy"}:
            return self._arn(name)
        return name

    def _attribute(self, name: str, attribute: str) -> str:
        if (self.template["Resources"][name]["Type"], attribute) == ("AWS::EC2::VPC", "CidrBlock"):
            return str(self.template["Resources"][name]["Properties"]["CidrBlock"])
        assert attribute == "Arn", f"{name}.{attribute}: only ARNs are asked for"
        return self._arn(name)

    def _arn(self, name: str) -> str:
        kind = self.template["Resources"][name]["Type"]
        if kind == "AWS::S3::Bucket":
            return f"arn:aws:s3:::{self._ref(name)}"
        here = f"{self.region}:{ACCOUNT}"
        return {
            "AWS::EC2::Subnet": f"arn:aws:ec2:{here}:subnet/{name}",
            "AWS::Events::Rule": f"arn:aws:events:{here}:rule/{name}",
            "AWS::IAM::ManagedPolicy": f"arn:aws:iam::{ACCOUNT}:policy/{name}",
            "AWS::IAM::Role": f"arn:aws:iam::{ACCOUNT}:role/{name}",
            "AWS::KMS::Key": f"arn:aws:kms:{here}:key/{name}",
            "AWS::SNS::Topic": f"arn:aws:sns:{here}:{name}",
            "AWS::SQS::Queue": f"arn:aws:sqs:{here}:{name}",
        }[kind]
