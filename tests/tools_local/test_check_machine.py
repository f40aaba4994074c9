"""What a machine lacks is said in one line, with the command that installs it, before anything is set up."""

import subprocess
import sys
from pathlib import Path

import pytest

OLD_JAVA = 'openjdk version "11.0.20" 2023-07-18'
ANCIENT_JAVA = 'java version "1.8.0_392"'
GOOD_JAVA = 'openjdk version "17.0.15" 2025-04-15'
NEWER_JAVA = 'openjdk version "21" 2023-09-19'


def check(project: Path, folder: Path, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Run the check on a machine whose programs are those of a folder and of the system."""
    return subprocess.run(
        ["/bin/sh", str(project / "tools" / "check_machine.sh"), python],
        env={"PATH": f"{folder}:/usr/bin:/bin", "JAVA_HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def program(path: Path, says: str) -> None:
    """A program that writes a line to stderr, as `java -version` does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    path.chmod(0o755)


@pytest.mark.parametrize("banner", [GOOD_JAVA, NEWER_JAVA])
def test_a_machine_with_python_and_java_passes_in_silence(project: Path, tmp_path: Path, banner: str) -> None:
    program(tmp_path / "bin" / "java", banner)
    done = check(project, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(("banner", "version"), [(OLD_JAVA, "Java 11"), (ANCIENT_JAVA, "Java 8")])
def test_a_java_too_old_is_named_with_its_version(project: Path, tmp_path: Path, banner: str, version: str) -> None:
    program(tmp_path / "bin" / "java", banner)
    assert_one_line(check(project, tmp_path), version)


def test_a_missing_java_is_one_line_with_the_command_that_installs_it(project: Path, tmp_path: Path) -> None:
    line = assert_one_line(check(project, tmp_path), "Java 17 was not found")
    assert "install" in line


def test_a_missing_python_is_one_line(project: Path, tmp_path: Path) -> None:
    program(tmp_path / "bin" / "java", GOOD_JAVA)
    assert_one_line(check(project, tmp_path, "python3.99"), "Python 3.11 was not found")


def assert_one_line(done: subprocess.CompletedProcess[str], words: str) -> str:
    """The check failed with one line that holds these words."""
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    return done.stderr
