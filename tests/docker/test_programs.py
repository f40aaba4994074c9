"""The small programs of the images: health, login, the default model."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.docker.test_make_secrets import load


@pytest.fixture(scope="module")
def health(project: Path) -> ModuleType:
    return load(project / "docker" / "airflow" / "check_health.py")


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"dag_processor": {"status": "healthy"}}, "healthy"),
        ({"dag_processor": {"status": "unhealthy"}}, "unhealthy"),
        ({"dag_processor": {"status": None}}, "unknown"),
        ({"triggerer": {"status": "healthy"}}, "unknown"),
    ],
)
def test_a_service_is_well_only_when_airflow_says_so(health: ModuleType, answer: dict[str, Any], status: str) -> None:
    assert health.status_of("dag-processor", answer) == status


def test_the_login_tells_address_user_password_and_keys(project: Path, tmp_path: Path) -> None:
    load(project / "docker" / "airflow" / "make_secrets.py").make_secrets(tmp_path)
    passwords, credentials = tmp_path / "airflow" / "passwords.json", tmp_path / "s3" / "credentials"
    said = load(project / "docker" / "airflow" / "show_login.py").describe(
        "http://localhost:8081", passwords.read_text(), credentials.read_text(), "7071"
    )
    assert "http://localhost:8081" in said
    assert json.loads(passwords.read_text())["verger"] in said
    assert (tmp_path / "s3" / "secret_key").read_text() in said
    assert "AWS_ENDPOINT_URL_S3=http://127.0.0.1:7071" in said


@pytest.fixture(scope="module")
def program(project: Path) -> ModuleType:
    return load(project / "docker" / "model" / "prepare_default.py")


def test_one_weights_file_is_taken_and_none_is_no_error(program: ModuleType) -> None:
    assert program.choose_weights([Path("/weights/a.h5")]) == Path("/weights/a.h5")
    assert program.choose_weights([]) is None


def test_of_several_weights_files_none_is_guessed(program: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"holds 2 \.h5 files \(a\.h5, b\.h5\): leave one"):
        program.choose_weights([Path("/weights/b.h5"), Path("/weights/a.h5")])


def test_random_weights_are_told_loudly_at_each_start(program: ModuleType) -> None:
    said = program.describe_default({"fingerprint": "f" * 16, "weights": "random"})
    assert "RANDOM WEIGHTS" in said
    assert "docker/weights/" in said
    assert "RANDOM" not in program.describe_default({"fingerprint": "f" * 16, "weights": "file"})


def test_the_default_is_found_only_when_it_is_whole(program: ModuleType, tmp_path: Path) -> None:
    models = str(tmp_path)
    assert program.read_default(models) is None
    (tmp_path / "default.json").write_text(json.dumps({"fingerprint": "0" * 16}))
    assert program.read_default(models) is None, "the model that it points to is not there"


def test_the_model_s_image_has_all_that_preparing_a_model_imports(project: Path, tmp_path: Path) -> None:
    """Of our packages an image has what its Dockerfile copies, and on the path what it says."""
    python = project / ".venv" / "model" / "bin" / "python"
    if not python.exists():
        pytest.skip("the environment `model` is not there: make .venv/model/.ready")
    words = (project / "docker" / "model" / "Dockerfile").read_text("utf-8")
    for source, target in re.findall(r"^COPY ((?!requirements|docker/uv|--)\S+) (\S+)$", words, re.MULTILINE):
        shutil.copytree(project / source, tmp_path / target)
    (path,) = re.findall(r"PYTHONPATH=(\S+)", words)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path.replace("/opt/verger", str(tmp_path))}
    for name in ("docker/model/prepare_default.py", "tools/prepare_model.py"):
        done = subprocess.run(
            [python, tmp_path / name, "--help"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
