"""The bootstrap action, run for real on this machine."""

import subprocess
from pathlib import Path

import pytest


def bootstrap(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(project / "bootstrap" / "bootstrap.sh"), *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def prefix(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("node") / "verger"
    done = bootstrap(project, *arguments(project, prefix))
    assert done.returncode == 0, done.stderr
    assert "made in" in done.stdout
    return prefix


def arguments(project: Path, prefix: Path) -> list[str]:
    return ["--requirements", str(project / "bootstrap" / "requirements.txt"), "--prefix", str(prefix)]


def test_the_node_s_python_has_what_the_jobs_import_and_no_spark_or_tensorflow(prefix: Path) -> None:
    check = "import ai_edge_litert, numpy, obstore, PIL, pyarrow, importlib.util as u; "
    check += "assert not u.find_spec('pyspark') and not u.find_spec('tensorflow')"
    subprocess.run([str(prefix / "venv" / "bin" / "python"), "-c", check], check=True)


def test_a_second_run_finds_the_packages_and_is_done(project: Path, prefix: Path) -> None:
    done = bootstrap(project, *arguments(project, prefix))
    assert done.returncode == 0
    assert "is there already" in done.stdout
    assert [path.name for path in prefix.glob(".bootstrap*")] == []


def test_a_package_without_its_hash_is_refused_and_the_old_environment_stays(
    project: Path, prefix: Path, tmp_path: Path
) -> None:
    before = (prefix / "venv").resolve()
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("six==1.16.0\n")
    done = bootstrap(project, "--requirements", str(requirements), "--prefix", str(prefix))
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("bootstrap: error: pip could not install")
    assert (prefix / "venv").resolve() == before


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ([], "--requirements"),
        (["--requirements"], "--requirements has no value"),
        (["--requirements", "x"], "--prefix"),
        (["--requirements", "x", "--prefix", "opt"], "'opt'"),
        (["--requirments", "x"], "--requirments"),
    ],
)
def test_a_wrong_argument_is_one_clear_error(project: Path, words: list[str], named: str) -> None:
    done = bootstrap(project, *words)
    assert done.returncode == 1
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_requirements_that_cannot_be_read_are_named(project: Path, tmp_path: Path) -> None:
    done = bootstrap(project, "--requirements", str(tmp_path / "none.txt"), "--prefix", str(tmp_path / "p"))
    assert done.returncode == 1
    assert "none.txt could not be read" in done.stderr
