"""What lowers the instruction sets of the tests reaches the local EMR's nodes."""

import re
from pathlib import Path

import pytest

from tools.local_run.emr_server import passed_variables

FILES = sorted((Path(__file__).resolve().parents[1] / "instructions").glob("*.mk"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_variable_of_a_lesser_processor_is_passed_on_to_the_nodes(file: Path) -> None:
    exported = dict(re.findall(r"^export (\w+) := (.+)$", file.read_text("utf-8"), re.MULTILINE))
    assert len(exported) == file.read_text("utf-8").count("export ")
    assert exported
    assert passed_variables(exported | {"SECRET": "x", "PATH": "/bin"}) == exported
