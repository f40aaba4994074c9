"""The whole program against a local EMR with a real YARN."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import jsonschema
import pytest
from verger.cost.cluster_times import ASSUMED_TIMES, read_times
from verger.storage.json_objects import read_json
from verger.storage.layout import BucketLayout, RunLayout

from tests.tools_acceptance.faults import arm
from tools import local_stack
from tools.local_run import clusters

pytestmark = [pytest.mark.e2e, pytest.mark.spark, pytest.mark.timeout(2400)]

#: A minute of EMR's and of the nodes' takes nine seconds: a cluster on a loaded machine must not end by its own clock.
TIME_SCALE = 0.15
RUN_PROBES = [
    "tag lag", "start", "Spot nodes", "executors", "run", "log, cluster goes on", "failing step", "log, cluster ends",
    "end",
]  # fmt: skip
TEXT, NUMBER = {"type": "string"}, {"type": "number", "minimum": 0}
#: docs/formats.md, `acceptance.json`.
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "format": {"const": 1},
        "run_id": TEXT, "slug": TEXT, "region": TEXT, "release_label": TEXT, "instance_type": TEXT,
        "local": {"type": "boolean"},
        "parts": {"type": "array", "items": {"enum": ["run", "forgotten", "clock"]}},
        "started_at": TEXT, "finished_at": TEXT,
        "stopped": {"type": ["string", "null"]},
        "budget_usd": NUMBER, "estimated_usd": NUMBER, "usd": NUMBER,
        "cluster_times": {
            "type": "object",
            "properties": {name: {"type": ["number", "null"]} for name in ("startup_minutes", "ending_minutes")},
            "required": ["startup_minutes", "ending_minutes"],
            "additionalProperties": False,
        },
        "clusters": {"type": "array", "items": {"type": "string", "pattern": "^j-"}},
        "probes": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "name": TEXT, "expectation": TEXT, "seen": {"type": "string", "minLength": 1},
                    "verdict": {"enum": ["as expected", "different", "only AWS can tell", "not reached"]},
                    "evidence": {"type": "object", "additionalProperties": TEXT},
                },
                "required": ["name", "expectation", "seen", "verdict", "evidence"],
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}  # fmt: skip
SCHEMA["required"] = list(SCHEMA["properties"])


@dataclass(frozen=True)
class Account:
    """A bucket and an EMR of one machine, and the program before them."""

    stack: local_stack.Stack
    project: Path
    output: Path

    def command(self, *arguments: str) -> list[str]:
        python = self.project / ".venv" / "airflow" / "bin" / "python"
        return [str(python), "tools/accept_on_aws.py", "--output", str(self.output), *arguments]

    def start(self, arguments: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        environment = local_stack.cleared(os.environ) | self.stack.environment
        return subprocess.Popen(
            self.command(*arguments), cwd=self.project, env=environment, stdout=log, stderr=subprocess.STDOUT
        )

    def call(self, *arguments: str) -> tuple[int, str]:
        log = self.output.with_suffix(".log")
        with log.open("wb") as file:
            code = self.start(arguments, file).wait(2000)
        return code, log.read_text(encoding="utf-8")

    def told(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.output.read_text(encoding="utf-8"))
        jsonschema.validate(content, SCHEMA)
        return content

    def verdicts(self) -> dict[str, str]:
        return {probe["name"]: probe["verdict"] for probe in self.told()["probes"]}

    def clusters(self) -> list[clusters.ClusterState]:
        return clusters.list_clusters(self.stack.emr())


@pytest.fixture(scope="module")
def account(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    folder = tmp_path_factory.mktemp("account")
    settings = replace(
        local_stack.StackSettings.for_project(project, folder, folder, on_yarn=True), idle_time_scale=TIME_SCALE
    )
    with local_stack.running(settings) as stack:
        yield Account(stack, project, folder / "acceptance.json")


def wait_until(is_true: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + 900
    while not is_true():
        assert time.monotonic() < end, f"{what}: not within 15 min"
        time.sleep(0.5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--region", "eu-west-2"], "'eu-west-2' is not in the EU"),
        (["--bucket", "no-such-bucket-anywhere"], "'no-such-bucket-anywhere' cannot be read"),
        (["--budget", "0.05"], "--budget is 0.05 USD, and what is planned could cost"),
        (["--budget", "-1"], "budget_usd is -1.0"),
        (["--budget", "nan"], "budget_usd is nan"),
        (["--instance-type", "t3.xlarge"], "is burstable"),
        (["--weights", "/no/such.h5"], "no such file"),
        (["--output", "/no/such/folder/a.json"], "there is no such folder"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_created(
    account: Account, arguments: list[str], words: str
) -> None:
    before = account.clusters()
    code, log = account.call(*arguments)
    assert code == 2, log
    assert words in log.splitlines()[-1]
    assert account.clusters() == before


def test_a_check_alone_tells_the_price_and_creates_nothing(account: Account) -> None:
    before = account.clusters()
    code, log = account.call("--check")
    assert code == 0, log
    assert "all of it: at most" in log
    assert account.clusters() == before


@pytest.mark.long
def test_the_whole_of_it_answers_everything_and_leaves_no_cluster(account: Account) -> None:
    code, log = account.call()
    told = account.told()
    assert code == 0, log
    assert account.verdicts() == {
        **dict.fromkeys(RUN_PROBES, "only AWS can tell"),
        "run": "as expected",
        "failing step": "as expected",
        "forgotten cluster": "as expected",
        "nodes' own clock": "only AWS can tell",
        "nothing is left": "as expected",
    }
    assert told["local"]
    assert told["stopped"] is None
    assert len(told["clusters"]) == len(account.clusters()) == 3
    assert all(cluster.ended for cluster in account.clusters())
    assert 0 < told["usd"] < told["budget_usd"]
    seen = {probe["name"]: probe["seen"] for probe in told["probes"]}
    assert seen["executors"].startswith("2 executors of 4 cores in 2 containers of")
    assert seen["run"] == "100 pictures in, 100 rows out, 0 rejected"
    assert "INSTANCE_FAILURE" in seen["nodes' own clock"]
    assert all(word in log for word in ("expected", "seen", "verdict", "forgotten cluster"))
    s3, layout = account.stack.s3(), BucketLayout(account.stack.settings.bucket)
    assert read_json(s3, layout.acceptance) == told
    assert read_times(s3, layout) == ASSUMED_TIMES, "seconds on one machine say nothing about AWS"
    cost = read_json(s3, RunLayout(layout, told["run_id"]).run_file("cost.json"))
    assert cost is not None
    assert [cluster["cluster_id"] for cluster in cost["clusters"]] == told["clusters"]
    assert "Contents" not in s3.list_objects_v2(Bucket=layout.bucket, Prefix=layout.images_prefix)


def test_a_probe_that_fails_does_not_stop_the_others(account: Account) -> None:
    with arm(
        account.stack,
        {"fault": "step_crash", "step": "show_executors", "after_seconds": 1},
        {"fault": "bootstrap_failure", "cluster": "*-try2"},
    ):
        code, log = account.call("--only", "run", "--only", "forgotten")
    assert code == 1, log
    assert account.verdicts() == {
        **dict.fromkeys(RUN_PROBES, "only AWS can tell"),
        "executors": "different",
        "run": "as expected",
        "failing step": "as expected",
        "forgotten cluster": "different",
        "nothing is left": "as expected",
    }
    assert all(cluster.ended for cluster in account.clusters())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_is_interrupted_in_the_middle_ends_its_cluster_and_says_so(
    account: Account, number: signal.Signals, tmp_path: Path
) -> None:
    before = len(account.clusters())
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = account.start(["--only", "clock"], file)
        wait_until(lambda: len(account.clusters()) > before or process.poll() is not None, "a cluster")
        assert not account.clusters()[-1].ended
        process.send_signal(number)
        process.send_signal(number)  # somebody is impatient
        code = process.wait(600)
    assert code == 130, log.read_text(encoding="utf-8")
    assert all(cluster.ended for cluster in account.clusters())
    assert account.verdicts() == {"nodes' own clock": "not reached", "nothing is left": "as expected"}
    assert account.told()["stopped"] == f"interrupted ({number.name})"
