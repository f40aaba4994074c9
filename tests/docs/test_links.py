"""Links, pictures and paths in the documents lead somewhere."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs.documents import PROJECT, anchors, code_spans, documents, targets

#: Our own folders: what begins with one of them in a document is a path of the repository.
OURS = re.compile(
    r"^(bootstrap|dags|docs|docker|explorer|infra|local_emr|notebooks|plugins|requirements|spark_jobs|tests|tools)/"
)
#: What a person or a command makes: git leaves it alone, and a document may name it.
MADE_LATER = {line.strip("/") for line in (PROJECT / ".gitignore").read_text("utf-8").splitlines()}
OF_A_PATH = re.compile(r"^[\w./-]+$")


@pytest.mark.parametrize("file", documents(), ids=lambda file: file.name)
def test_every_link_within_the_project_leads_to_a_file_and_a_heading(file: Path) -> None:
    broken = []
    for target in targets(file):
        path, _, anchor = target.content.partition("#")
        if "://" in path or path.startswith("mailto:"):
            continue
        aim = (file.parent / unquote(path)).resolve() if path else file
        if not aim.exists() or (anchor and anchor not in anchors(aim)):
            broken.append(f"{target.place}: {target.content}")
    assert not broken


@pytest.mark.parametrize("file", documents(), ids=lambda file: file.name)
def test_every_path_named_in_the_text_exists(file: Path) -> None:
    named = [span for span in code_spans(file) if OURS.match(span.content) and OF_A_PATH.match(span.content)]
    expected = [span for span in named if span.content not in MADE_LATER]
    assert not [f"{span.place}: {span.content}" for span in expected if not (PROJECT / span.content).exists()]
