"""Every command in the documents is run by a test, or holds against what its program says of itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.documents import PROJECT, Block, Place, blocks, code_spans, documents
from tests.docs.programs import problem_with
from tests.docs.shell import Command, NotShellError, commands

#: What a fenced block may hold. Commands are `sh`, whatever the person's shell.
SHELL = "sh"
LANGUAGES = {SHELL, "text", "json", "python", "ini", "yaml", "dot", "markdown", "toml", "diff"}
#: Within the text, these words begin a command.
BEGINS_A_COMMAND = re.compile(
    r"^(make|aws|airflow|docker compose|git|python|pip|databricks|\.venv/\S+|tools/\S+\.py)( |$)"
)


def shell_blocks() -> Iterator[Block]:
    for file in documents():
        yield from (block for block in blocks(file) if block.language == SHELL)


def complaints(place: Place, script: str) -> Iterator[str]:
    try:
        found = commands(script)
    except NotShellError:
        yield f"{place}: this is no shell: {script}"
        return
    for command in found:
        problem = problem_with(command)
        if problem:
            yield f"{place}: {command}: {problem}"


def test_every_fenced_block_says_what_it_holds() -> None:
    wrong = [
        f"{block.place}: {block.language or 'no language'}"
        for file in documents()
        for block in blocks(file)
        if block.language not in LANGUAGES
    ]
    assert not wrong, (
        f"a block of commands is `{SHELL}`, of other words `text`; it may be {', '.join(sorted(LANGUAGES))}"
    )


@pytest.mark.parametrize("file", documents(), ids=lambda file: file.name)
def test_every_command_in_a_block_can_be_typed_as_it_stands(file: Path) -> None:
    found = [block for block in blocks(file) if block.language == SHELL]
    assert not [line for block in found for line in complaints(block.place, block.content)]


@pytest.mark.parametrize("file", documents(), ids=lambda file: file.name)
def test_every_command_within_the_text_can_be_typed_as_it_stands(file: Path) -> None:
    found = [span for span in code_spans(file) if BEGINS_A_COMMAND.match(span.content)]
    assert not [line for span in found for line in complaints(span.place, span.content)]


def test_the_readme_names_every_target_that_make_explains() -> None:
    explained = re.findall(r"^([a-z-]+):.*## ", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(explained) > 8
    named = {word for span in code_spans(PROJECT / "README.md") for word in span.content.split()}
    assert not set(explained) - named, "each stands in the README's table, with what it is for"


def test_what_is_said_to_be_run_is_run_by_a_test_that_names_it() -> None:
    said = [block for block in shell_blocks() if block.run_by]
    assert said, "no block is run by a test any more"
    assert not [problem for block in said if (problem := problem_with_claim(block))]


def problem_with_claim(block: Block) -> str | None:
    """The file is there, it tests something, and it reads the document or calls the program itself."""
    file = PROJECT / block.run_by
    if not file.is_file():
        return f"{block.place}: there is no {block.run_by}"
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        functions = [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
        if not any(name.startswith("test_") for name in functions):
            return f"{block.place}: {block.run_by} tests nothing"
    named = {block.place.file.name, *programs_of(block.content), *made_by(block.content)}
    return None if any(name in source for name in named) else f"{block.place}: {block.run_by} names none of {named}"


def programs_of(script: str) -> set[str]:
    """The programs of ours that a script calls, by the names of their files."""
    words = {word for command in commands(script) for word in (command.program, *command.arguments)}
    return {Path(word).name for word in words if Path(word).suffix in {".py", ".sh"}}


def made_by(script: str) -> set[str]:
    """The programs that the Makefile calls for the targets of a script: a test may call them without make."""
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = {word for command in commands(script) if command.program == "make" for word in command.arguments}
    found: set[str] = set()
    for target in targets:
        recipe = re.search(rf"^{re.escape(target)}:(?! export).*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
        found |= set(re.findall(r"-m (tools\.\w+)", recipe.group(1))) if recipe else set()
    return found


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("make dmeo", "No rule to make target"),
        ("make demo IMAGE=folder", "knows no IMAGE"),
        (".venv/airflow/bin/python tools/erase_images.py --dryrun s3://b/k", "no option --dryrun"),
        ("python tools/erase_image.py", "there is no tools/erase_image.py"),
        (".venv/nowhere/bin/python tools/demo.py", "no environment nowhere"),
        ("aws emr list-cluster --active", "no command list-cluster"),
        ("aws s3api head-bucket --buckets x", "no option --buckets"),
        ("airflow dags triger fruits_features", "invalid choice"),
        ("airflow dags trigger fruit_features", "no DAG fruit_features"),
        ("git comit -m x", "git knows no comit"),
        ("pip download --only-binaries :all:", "no option --only-binaries"),
        ("for x in a; do frobnicate $x; done", "nothing is known of frobnicate"),
        ("echo $(aws sts who-am-i)", "no command who-am-i"),
        ("for x in; do", "this is no shell"),
    ],
)
def test_a_command_that_would_fail_is_found(script: str, words: str) -> None:
    (complaint,) = complaints(Place(PROJECT / "README.md", 1), script)
    assert words in complaint


def test_commands_are_found_wherever_they_stand() -> None:
    first = "x=1 for_real --a=\"b c\" 'd' > out\n"
    script = first + 'for i in $(list it); do\n  go "$i" ${x} a\\ b; done | tail && end <<E\ncat\nE\n'
    assert commands(script) == [
        Command("for_real", ("--a=b c", "d")),
        Command("list", ("it",)),
        Command("go", ("UNKNOWN", "UNKNOWN", "a b")),
        Command("tail", ()),
        Command("end", ()),
    ]
