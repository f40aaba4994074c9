"""Whether a command of a document could be run as it stands: each program is asked what it takes."""

import ast
import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.docs.documents import PROJECT
from tests.docs.shell import UNKNOWN, Command

Answer = str | None
#: What every POSIX system has, or the shell itself.
SHELL = {
    ".", "[", "break", "cat", "cd", "continue", "cp", "echo", "export", "grep", "kill", "ls", "mkdir", "mv", "printf",
    "pwd", "rm", "sed", "set", "sh", "sleep", "source", "test", "true", "wait",
}  # fmt: skip
#: Programs that are not installed here, and why nothing of them can be asked.
ELSEWHERE = {
    "openssl": "on every machine with TLS; makes certificates for nodes",
    "zip": "of every system; packs certificates for nodes",
    "exiftool": "of every system's packages; strips metadata before pictures are copied",
    "ssh": "to a cluster that does not exist here",
    "databricks": "Databricks' own program, not in the package indexes that tests may use",
    "open": "shows a file, macOS",
    "xdg-open": "shows a file, Linux",
}
_OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")


def problem_with(command: Command) -> Answer:
    """Why a person who types this would get an error; None when it would do."""
    program = command.program
    if program in SHELL or program in ELSEWHERE:
        return None
    if match := re.fullmatch(r"(?:\./)?\.venv/(\w+)/bin/([\w-]+)", program):
        environment, name = match.groups()
        if not (PROJECT / "requirements" / f"{environment}.txt").is_file():
            return f"there is no environment {environment}"
        return problem_with(Command(name, command.arguments))
    if (PROJECT / program).suffix in {".py", ".sh"}:
        return _script(program, command.arguments)
    check = _PROGRAMS.get(program)
    if check is None:
        return f"nothing is known of {program}: add it to {Path(__file__).name}"
    return check(command.arguments)


def _make(arguments: Sequence[str]) -> Answer:
    """`make` itself says whether there is a way to make it; unknown variables it would take in silence."""
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        if is_variable and not re.search(rf"\$\(({name})\)|^{name} \?=", makefile, re.MULTILINE):
            return f"the Makefile knows no {name}"
    environment = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL"}}
    done = subprocess.run(
        ["make", "--dry-run", *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    return done.stderr.strip() if done.returncode else None


def _python(arguments: Sequence[str]) -> Answer:
    match list(arguments):
        case ["-c", code, *_]:
            compile(code, "<document>", "exec")
            return None
        case ["-m", "pip", *rest]:
            return _pip(rest)
        case ["-m", "pytest", *rest]:
            return _pytest(rest)
        case ["-m", module, *rest]:
            standard = module.partition(".")[0] in sys.stdlib_module_names
            return None if standard else _script(module.replace(".", "/") + ".py", rest)
        case [script, *rest]:
            return _script(script, rest)
    return None


def _bash(arguments: Sequence[str]) -> Answer:
    return None if (PROJECT / arguments[0]).is_file() else f"there is no {arguments[0]}"


def _script(name: str, arguments: Sequence[str]) -> Answer:
    """One of our own programs: it is there, and declares every option.

    Read, not run: preparing the model needs an environment that the fast tests do without.
    """
    file = PROJECT / name
    if not file.is_file():
        return f"there is no {name}"
    return _unknown_option(arguments, " ".join(_declared_options(file))) if file.suffix == ".py" else None


def _declared_options(file: Path) -> set[str]:
    """What a program and the modules of ours that it imports give to `add_argument`."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node.func) == "add_argument"]
    options = {word.value for call in calls for word in call.args if isinstance(word, ast.Constant)}
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    ours = [PROJECT / (module.replace(".", "/") + ".py") for module in imported if module.startswith("tools.")]
    below = [_declared_options(other) for other in ours if other.is_file()]
    return {"--help", "-h"}.union({str(option) for option in options}, *below)


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _pip(arguments: Sequence[str]) -> Answer:
    python = PROJECT / ".venv" / "uv" / "bin" / "python"
    return _unknown_option(arguments[1:], _help((str(python), "-m", "pip", arguments[0], "--help")))


def _pytest(arguments: Sequence[str]) -> Answer:
    missing = [word for word in arguments if word.startswith("tests/") and not (PROJECT / word.split("::")[0]).exists()]
    return f"there is no {missing[0]}" if missing else None


def _pre_commit(arguments: Sequence[str]) -> Answer:
    program = Path(sys.executable).with_name("pre-commit")
    return _unknown_option(arguments[1:], _help((str(program), arguments[0], "--help")))


def _ruff(arguments: Sequence[str]) -> Answer:
    program = Path(sys.executable).with_name("ruff")
    return _unknown_option(arguments[1:], _help((str(program), arguments[0], "--help")))


def _git(arguments: Sequence[str]) -> Answer:
    return None if shutil.which(f"git-{arguments[0]}", path=_git_programs()) else f"git knows no {arguments[0]}"


@cache
def _git_programs() -> str:
    return subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()


@cache
def _help(command: tuple[str, ...]) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'plugins'}", "COLUMNS": "200"}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)} ends with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout


def _unknown_option(arguments: Sequence[str], described: str) -> Answer:
    known = set(_OPTION.findall(described))
    given = [word.partition("=")[0] for word in arguments if _OPTION.match(word)]
    unknown = [option for option in given if option not in known]
    return f"it has no option {unknown[0]}" if unknown else None


def _airflow(arguments: Sequence[str]) -> Answer:
    from airflow.cli.cli_parser import get_parser  # noqa: PLC0415 - it takes seconds

    with contextlib.redirect_stderr(io.StringIO()) as complaint:
        try:
            get_parser().parse_args(list(arguments))
        except SystemExit as end:
            return complaint.getvalue().strip() if end.code else None
    named = re.findall(r'dag_id="(\w+)"', "".join(file.read_text("utf-8") for file in (PROJECT / "dags").glob("*.py")))
    if arguments[0] == "dags" and arguments[1] in {"trigger", "unpause", "pause", "details", "test", "show"}:
        dag = next((word for word in arguments[2:] if not word.startswith("-")), "")
        return None if dag in named else f"there is no DAG {dag}"
    return None


def _aws(arguments: Sequence[str]) -> Answer:
    """The AWS CLI's own tables of services, operations and options."""
    words = [word for word in arguments if word not in {"\n", ""}]
    table, options = _aws_services()
    path: list[str] = []
    while words and not words[0].startswith("-") and (name := _entry(table, words[0])):
        path.append(name)
        del words[0]
        table, options = _aws_inside(table[name], options)
    if not path:
        return f"aws has no service {words[0]}"
    if table and words and not words[0].startswith("-"):
        return f"aws {' '.join(path)} has no command {words[0]}"
    if table and not words:
        return f"aws {' '.join(path)} wants a command"
    given = [word.removeprefix("--").partition("=")[0] for word in words if word.startswith("--")]
    unknown = [option for option in given if option not in options]
    return f"aws {' '.join(path)} has no option --{unknown[0]}" if unknown else None


def _entry(table: Mapping[str, Any], word: str) -> str | None:
    """The entry of this name; any that fits when a part of the word is known to the shell alone."""
    pattern = re.compile(re.escape(word).replace(UNKNOWN, ".+"))
    return next((name for name in table if pattern.fullmatch(name)), None)


@cache
def _aws_services() -> tuple[Mapping[str, Any], frozenset[str]]:
    from awscli.clidriver import create_clidriver  # noqa: PLC0415 - it takes a second

    driver = create_clidriver()
    return driver._get_command_table(), frozenset(driver._get_argument_table())


def _aws_inside(command: Any, options: frozenset[str]) -> tuple[Mapping[str, Any], frozenset[str]]:
    """The commands below a command, and the options it takes beside those it inherits."""
    below = getattr(command, "subcommand_table", None)
    if below is None and hasattr(command, "_get_command_table"):
        below = command._get_command_table()
    taken = getattr(command, "arg_table", {})
    negated = {f"no-{name}" for name, argument in taken.items() if getattr(argument, "cli_type_name", "") == "boolean"}
    return {name: entry for name, entry in (below or {}).items() if name != "help"}, options | frozenset(
        taken
    ) | negated


_COMPOSE = {
    "up",
    "down",
    "ps",
    "logs",
    "run",
    "exec",
    "build",
    "config",
    "restart",
    "stop",
    "start",
    "kill",
    "cp",
    "pull",
}


def _docker(arguments: Sequence[str]) -> Answer:
    if arguments[0] != "compose":
        return None
    file = PROJECT / "docker-compose.yaml"
    if not file.is_file():
        return "there is no docker-compose.yaml"
    words = [word for word in arguments[1:] if not word.startswith("-")]
    if words and words[0] not in _COMPOSE:
        return f"docker compose has no command {words[0]}"
    services = yaml.safe_load(file.read_text(encoding="utf-8"))["services"]
    if len(words) > 1 and words[0] in {"logs", "exec", "run", "restart"} and words[1] not in {*services, UNKNOWN}:
        return f"the stack has no service {words[1]}"
    return None


_PROGRAMS: Mapping[str, Callable[[Sequence[str]], Answer]] = {
    "airflow": _airflow,
    "aws": _aws,
    "bash": _bash,
    "docker": _docker,
    "git": _git,
    "make": _make,
    "pip": _pip,
    "pre-commit": _pre_commit,
    "pytest": _pytest,
    "python": _python,
    "python3": _python,
    "ruff": _ruff,
}
