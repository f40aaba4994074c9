"""What `docker compose up -d --wait` has started."""

import json
import re
import socket
import urllib.error
import urllib.request

import pytest

from tests.stack.airflow_api import DAG
from tests.stack.compose_project import docker
from tests.stack.conftest import PROJECT_NAME, Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1800)]

SERVERS = {"postgres", "s3", "local-emr", "api-server", "scheduler", "dag-processor", "triggerer"}
ONE_SHOT = {"secrets", "init", "model"}
#: A generous bound on what each image may be, in megabytes; a compiler or TensorFlow in Airflow's would pass it.
#: Megabytes. Airflow's has the cluster nodes' packages, too, for runs that need no cluster, and DuckDB (66).
LARGEST = {"airflow": 1280, "local-emr": 2000, "model": 2600}


def test_every_server_is_well_and_the_one_shots_have_ended_well(stack: Stack) -> None:
    containers = stack.compose.containers(everything=True)
    assert set(containers) == SERVERS | ONE_SHOT
    for name in SERVERS:
        assert containers[name]["State"]["Health"]["Status"] == "healthy", name
    assert {containers[name]["State"]["ExitCode"] for name in ONE_SHOT} == {0}
    health = stack.api.call("GET", "/monitor/health")
    assert {part["status"] for part in health.values()} == {"healthy"}


def test_the_dags_are_there_without_errors_and_not_paused(stack: Stack) -> None:
    assert stack.api.call("GET", "/importErrors")["import_errors"] == []
    dags = {dag["dag_id"]: dag["is_paused"] for dag in stack.api.call("GET", "/dags")["dags"]}
    assert dags == {DAG: False, "reap_clusters": False, "cost_report": False}


def test_only_this_machine_reaches_it(stack: Stack) -> None:
    published = [
        binding
        for container in stack.compose.containers().values()
        for bindings in (container["NetworkSettings"]["Ports"] or {}).values()
        for binding in bindings or ()
    ]
    assert len(published) == 3
    assert {binding["HostIp"] for binding in published} == {"127.0.0.1"}
    # by the machine's other address nobody answers
    others = [str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)]
    other = next(iter(others), "127.0.0.1")
    for binding in published if not other.startswith("127.") else ():
        with pytest.raises(OSError, match=r"refused|timed out"):
            socket.create_connection((other, int(binding["HostPort"])), 2)


def test_a_wrong_password_and_a_wrong_key_are_refused(stack: Stack) -> None:
    body = json.dumps({"username": "admin", "password": "admin"}).encode()
    request = urllib.request.Request(  # noqa: S310 - the test's own address
        f"{stack.api.address}/auth/token", data=body, headers={"Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request, timeout=30)  # noqa: S310 - the same
    anonymous = f"{stack.s3.meta.endpoint_url}/verger?list-type=2"
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(anonymous, timeout=30)  # noqa: S310 - the same


def test_the_local_emr_does_nothing_without_the_key_and_reaches_neither_database_nor_api(stack: Stack) -> None:
    """What decodes pictures is what a hostile one would take over."""
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{stack.emr.meta.endpoint_url}/local-emr/faults", timeout=30)  # noqa: S310 - the same
    assert "Clusters" in stack.emr.list_clusters()
    containers = stack.compose.containers()
    addresses = [("s3", 7070)]
    for name, port in (("postgres", 5432), ("api-server", 8080)):
        networks = containers[name]["NetworkSettings"]["Networks"].values()
        addresses += [(host, port) for host in (name, *(network["IPAddress"] for network in networks))]
    program = f"""
import socket
for address in {addresses!r}:
    try:
        socket.create_connection(address, 3).close()
        print(address[0])
    except OSError:
        pass
"""
    reached = stack.compose.run("exec", "-T", "local-emr", "python3", "-c", program).stdout.split()
    assert reached == ["s3"]


def test_no_secret_shows_in_the_containers_settings_or_their_logs(stack: Stack) -> None:
    read = "import pathlib; print(*(p.read_text() for p in pathlib.Path('/run/verger').rglob('*') if p.is_file()))"
    files = stack.compose.run("exec", "-T", "api-server", "python", "-c", read).stdout
    secrets = {word for word in re.findall(r"[\w-]{20,}", files) if not word.startswith("aws_")}
    assert len(secrets) >= 6
    shown = json.dumps(list(stack.compose.containers(everything=True).values()))
    shown += stack.compose.run("logs", "--no-color").stdout
    assert not [secret for secret in secrets if secret in shown]


def test_nobody_is_root_but_postgresql_s_first_process(stack: Stack) -> None:
    for name in SERVERS:
        status = stack.compose.run("exec", "-T", name, "sh", "-c", "cat /proc/[0-9]*/status").stdout
        users = re.findall(r"^Name:\s+(\S+)$.*?^Uid:\s+(\d+)", status, re.MULTILINE | re.DOTALL)
        # the engine's own init, and what `exec` has just started, where the image names no user
        roots = {process for process, user in users if user == "0"} - {"docker-init", "tini"}
        assert roots <= ({"sh", "cat"} if name == "postgres" else set()), name


def test_the_images_are_small_and_airflow_s_has_no_compiler(stack: Stack) -> None:
    for name, megabytes in LARGEST.items():
        size = int(docker("image", "inspect", "--format", "{{.Size}}", f"{PROJECT_NAME}-{name}"))
        assert size < megabytes * 1e6, f"{name}: {size / 1e6:.0f} MB"
    missing = "for c in gcc cc make java; do ! command -v $c; done; ! python -c 'import tensorflow' 2>/dev/null"
    stack.compose.run("exec", "-T", "scheduler", "sh", "-ec", missing)


def test_the_memory_of_all_servers_is_limited(stack: Stack) -> None:
    limits = {name: entry["HostConfig"]["Memory"] for name, entry in stack.compose.containers().items()}
    assert all(limits.values())
    assert sum(limits.values()) < 8e9
