"""The workflow of the public forge runs what the README tells a person to run, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.docs.documents import PROJECT
from tests.docs.programs import problem_with
from tests.docs.shell import Command, commands

WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yaml"))


def commands_of(workflow: Path) -> Iterator[Command]:
    described = yaml.safe_load(workflow.read_text("utf-8"))
    for job in described["jobs"].values():
        for step in job["steps"]:
            yield from commands(step.get("run", ""))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_each_command_of_the_workflow_holds(workflow: Path) -> None:
    assert not [f"{command}: {problem}" for command in commands_of(workflow) if (problem := problem_with(command))]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_may_read_the_repository_and_no_more_and_comes_to_an_end(workflow: Path) -> None:
    described = yaml.safe_load(workflow.read_text("utf-8"))
    assert described["permissions"] == {"contents": "read"}
    assert all(job["timeout-minutes"] <= 90 for job in described["jobs"].values())


def test_the_readme_s_two_commands_and_the_accepting_script_are_run(project: Path) -> None:
    run = {str(command) for workflow in WORKFLOWS for command in commands_of(workflow)}
    script = {str(command) for command in commands((project / ".ci" / "run").read_text("utf-8"))}
    assert {"make demo", "bash .ci/run"} <= run
    assert {"make check", "make test"} <= script


def test_issue_forms_are_what_the_forge_takes() -> None:
    forms = [file for file in (PROJECT / ".github" / "ISSUE_TEMPLATE").glob("*.yaml") if file.name != "config.yaml"]
    assert len(forms) >= 2
    for form in forms:
        described = yaml.safe_load(form.read_text("utf-8"))
        assert {"name", "description", "body"} <= set(described)
        fields = [part for part in described["body"] if part["type"] != "markdown"]
        assert len({part["id"] for part in fields}) == len(fields)
        assert all(part["attributes"]["label"] for part in fields)
