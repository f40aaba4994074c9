"""The secrets that an installation of the compose stack makes for itself."""

import base64
import configparser
import importlib.util
import json
import stat
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def program(project: Path) -> ModuleType:
    return load(project / "docker" / "airflow" / "make_secrets.py")


def load(path: Path) -> ModuleType:
    """A program of an image as a module; `docker/` is no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def files(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_two_installations_share_no_secret(program: ModuleType, tmp_path: Path) -> None:
    for name in ("one", "two"):
        program.make_secrets(tmp_path / name)
    one, two = files(tmp_path / "one"), files(tmp_path / "two")
    assert one.keys() == two.keys()
    assert not set(one.values()) & set(two.values())


def test_what_is_there_stays_and_what_is_missing_is_made(program: ModuleType, tmp_path: Path) -> None:
    program.make_secrets(tmp_path)
    before = files(tmp_path)
    (tmp_path / "airflow" / "jwt_secret").unlink()
    (tmp_path / "airflow" / ".jwt_secret").write_text("half")  # of a start that was interrupted
    assert [path.name for path in program.make_secrets(tmp_path)] == ["jwt_secret"]
    after = files(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"airflow/jwt_secret"}
    assert program.make_secrets(tmp_path) == []


def test_only_the_owner_can_read_them_and_postgresql_its_password(program: ModuleType, tmp_path: Path) -> None:
    modes = {
        path.relative_to(tmp_path).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in program.make_secrets(tmp_path)
    }
    assert modes.pop("database/password") == 0o644
    assert set(modes.values()) == {0o600}


def test_they_have_the_form_that_their_readers_ask_for(program: ModuleType, tmp_path: Path) -> None:
    program.make_secrets(tmp_path)
    made = files(tmp_path)
    assert len(base64.urlsafe_b64decode(made["airflow/fernet_key"])) == 32
    assert len(made["airflow/jwt_secret"].encode()) >= 64
    assert made["database/password"] in made["database/connection"]
    ((user, password),) = json.loads(made["airflow/passwords.json"]).items()
    assert user == "verger"
    assert len(password) >= 20
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(made["s3/credentials"])
    assert dict(parser["default"]) == {
        "aws_access_key_id": made["s3/access_key"],
        "aws_secret_access_key": made["s3/secret_key"],
    }
