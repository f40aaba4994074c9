"""What docker-compose.yaml promises, read from the file."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ONE_SHOT = {"secrets", "init", "model"}
#: Those that `shared/docker` has stand-ins for; others would need an image registry.
BASE_IMAGES = {"python:3.11-slim-bookworm", "postgres:16", "versity/versitygw:v1.8.0"}
MEBIBYTES = {"m": 1, "g": 1024}


@pytest.fixture(scope="module")
def compose(project: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((project / "docker-compose.yaml").read_text("utf-8"))
    return loaded


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found


def mebibytes(text: str) -> int:
    """A size, or the default of one that a variable may change."""
    text = re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", text)
    return int(text[:-1]) * MEBIBYTES[text[-1]]


def test_servers_are_watched_and_come_back_and_one_shots_do_not(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["restart"] == ("no" if name in ONE_SHOT else "unless-stopped"), name
        assert ("healthcheck" in service) is (name not in ONE_SHOT), name


def test_every_port_is_this_machine_s_own(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_servers_fit_into_8_gb_and_the_one_shots_beside_those_that_run_then(
    services: dict[str, dict[str, Any]],
) -> None:
    limits = {name: mebibytes(service["mem_limit"]) for name, service in services.items()}
    servers = sum(limit for name, limit in limits.items() if name not in ONE_SHOT)
    assert servers < 8 * 1000**3 / 1024**2
    # the scheduler waits for the model
    assert services["scheduler"]["depends_on"]["model"] == {"condition": "service_completed_successfully"}
    assert servers - limits["scheduler"] + limits["model"] < 8 * 1024


#: Who connects to whom.
NEEDED = {
    "postgres": {"init", "api-server", "scheduler", "dag-processor", "triggerer"},
    "api-server": {"scheduler", "dag-processor", "triggerer"},
    "s3": {"init", "model", "local-emr", "api-server", "scheduler", "dag-processor", "triggerer"},
    "local-emr": {"scheduler", "triggerer"},
}


def test_every_service_reaches_what_it_needs(services: dict[str, dict[str, Any]]) -> None:
    for server, clients in NEEDED.items():
        for client in clients:
            assert set(services[server]["networks"]) & set(services[client]["networks"]), f"{client} to {server}"


def test_who_decodes_pictures_or_reads_weights_reaches_neither_the_database_nor_the_api(
    services: dict[str, dict[str, Any]],
) -> None:
    for exposed in ("local-emr", "model", "s3"):
        assert not set(services[exposed]["networks"]) & set(services["postgres"]["networks"]), exposed
    assert not set(services["local-emr"]["networks"]) & set(services["api-server"]["networks"])
    assert [name for name, service in services.items() if "networks" not in service] == ["secrets"], (
        "the default network"
    )
    assert services["secrets"]["network_mode"] == "none"


def test_every_service_drops_what_it_does_not_need(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # PostgreSQL's image starts as root and steps down itself
        assert service.get("cap_drop") == ["ALL"] or name == "postgres", name


def test_only_the_named_base_images_are_used(project: Path, services: dict[str, dict[str, Any]]) -> None:
    pulled = {service["image"] for service in services.values() if "$" not in service["image"]}
    bases, stages = set(), set()
    for dockerfile in (project / "docker").glob("*/Dockerfile"):
        for base, stage in re.findall(r"^FROM (\S+)(?: AS (\S+))?$", dockerfile.read_text("utf-8"), re.MULTILINE):
            bases.add(base)
            stages.add(stage)
    assert pulled | (bases - stages) == BASE_IMAGES


@pytest.mark.parametrize("image", ["airflow", "local_emr", "model"])
def test_the_images_end_as_another_user_than_root_and_install_hashed_packages_only(project: Path, image: str) -> None:
    text = (project / "docker" / image / "Dockerfile").read_text("utf-8")
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert users[-1:] == ["50000:0"]
    installs = [words for words in text.replace("\\\n", " ").split("&&") if "pip install" in words]
    assert installs
    assert all("--require-hashes" in words for words in installs)


def test_no_secret_stands_in_the_file(services: dict[str, dict[str, Any]]) -> None:
    secret = re.compile(r"SECRET|PASSWORD|FERNET|CONN|ACCESS_KEY")
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if secret.search(variable):
                assert re.match(r"(cat )?/run/verger/", str(value)), f"{name}: {variable}"


def test_airflow_s_image_has_neither_tensorflow_nor_spark(project: Path) -> None:
    text = (project / "docker" / "airflow" / "Dockerfile").read_text("utf-8")
    named = re.findall(r"requirements/(\w+)\.txt", text)
    pinned = "".join((project / "requirements" / f"{name}.txt").read_text("utf-8") for name in named)
    assert set(named) == {"uv", "airflow", "stack_airflow"}
    assert not re.search(r"^(tensorflow|keras|pyspark)\b", pinned, re.MULTILINE)
