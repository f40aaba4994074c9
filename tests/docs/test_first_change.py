"""CONTRIBUTING.md's first change: its line is there, and the fast tests object to it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.documents import blocks
from tests.docs.shell import commands


def test_the_changed_line_is_noticed_by_the_command_that_follows_it(project: Path, tmp_path: Path) -> None:
    """The recipe of `make quick` in a copy of the project: make itself would set up the environment anew."""
    guide = project / "CONTRIBUTING.md"
    (change,) = (block for block in blocks(guide) if block.language == "diff")
    old, new = (line[1:] for line in change.content.splitlines())
    (file,) = re.findall(r"in `(plugins/[\w/]+\.py)`:", guide.read_text("utf-8"))
    (command,) = (command for block in blocks(guide) if block.run_by == f"tests/docs/{Path(__file__).name}"
                  for command in commands(block.content))  # fmt: skip
    for folder in ("plugins", "tests/verger", "spark_jobs", "local_emr"):
        shutil.copytree(project / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "tests/conftest.py", "tests/stored_tables.py", "tests/aws_models.py"):
        shutil.copy(project / name, tmp_path / name)
    source = (tmp_path / file).read_text("utf-8")
    assert source.count(f"{old}\n") == 1
    (tests,) = (word.removeprefix("TESTS=") for word in command.arguments if word.startswith("TESTS="))
    test = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--maxfail=1", tests]
    (tmp_path / file).write_text(source.replace(f"{old}\n", f"{new}\n"), "utf-8")
    # That they pass without the change is what the tests themselves show.
    changed = subprocess.run(test, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert changed.returncode == 1
    assert "1 failed" in changed.stdout
