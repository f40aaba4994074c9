"""The checks before a commit: each runs, and they are those that CONTRIBUTING.md tells people to install."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

HOOKS = ".pre-commit-config.yaml"


@pytest.fixture
def clone(project: Path, tmp_path: Path) -> Path:
    """A repository with our hooks and our pinned programs, and one good file of each kind."""
    folder = tmp_path / "verger"
    (folder / "tests" / "docs").mkdir(parents=True)
    for name in (HOOKS, "pyproject.toml"):
        (folder / name).write_bytes((project / name).read_bytes())
    (folder / ".venv").symlink_to(project / ".venv")
    (folder / ".gitignore").write_text("/.venv\n")
    (folder / "good.py").write_text('"""Nothing."""\n')
    (folder / "good.sh").write_text("#!/bin/sh\nset -eu\n")
    for name in ("test_commands.py", "test_links.py"):
        (folder / "tests" / "docs" / name).write_text(
            '"""Nothing."""\n\n\ndef test_nothing() -> None:\n    assert True\n'
        )
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    return folder


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-C", folder, *words], check=True, capture_output=True)


def run_hooks(folder: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("pre-commit")
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "cache"), "PYTEST_ADDOPTS": "-c /dev/null"}
    return subprocess.run(
        [program, "run", "--all-files", "--color=never"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_good_files_pass_and_every_hook_runs(clone: Path, tmp_path: Path) -> None:
    (clone / "good.md").write_text("Good.\n")
    git(clone, "add", "--all")
    done = run_hooks(clone, tmp_path)
    assert done.returncode == 0, done.stdout
    hooks = yaml.safe_load((clone / HOOKS).read_text())["repos"][0]["hooks"]
    assert [line for hook in hooks for line in done.stdout.splitlines() if line.startswith(hook["name"])] == [
        line for line in done.stdout.splitlines() if line.endswith("Passed")
    ]


@pytest.mark.parametrize(
    ("name", "content", "hook"),
    [
        ("bad.py", '"""Bad."""\n\nimport os\n', "lint"),
        ("ugly.py", '"""Ugly."""\nx = [1,2]\n', "code is formatted"),
        ("bad.sh", "#!/bin/sh\nrm $1\n", "shell scripts"),
        ("key.pem", "-----BEGIN RSA " + "PRIVATE KEY-----\n", "no private key"),
        ("half.txt", "<<<<<<< ours\nx\n=======\ny\n>>>>>>> theirs\n", "no conflict left in a file"),
    ],
)
def test_a_bad_file_is_refused(clone: Path, tmp_path: Path, name: str, content: str, hook: str) -> None:
    (clone / name).write_text(content)
    git(clone, "add", "--all")
    (clone / ".git" / "MERGE_MSG").write_text("merging")
    (clone / ".git" / "MERGE_HEAD").write_text("0" * 40)
    done = run_hooks(clone, tmp_path)
    assert done.returncode != 0
    failed = {line.partition("...")[0] for line in done.stdout.splitlines() if line.endswith("Failed")}
    assert failed == {hook}
