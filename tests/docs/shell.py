"""The commands of a piece of shell, found by a parser: in loops, substitutions and lists, too."""

from collections.abc import Iterator
from dataclasses import dataclass

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

#: Stands for what only a shell would know: the value of a variable, the output of a command.
UNKNOWN = "UNKNOWN"
_PARSER = Parser(Language(tree_sitter_bash.language()))
_QUOTED = {"raw_string", "string"}
_SUBSTITUTED = {"simple_expansion", "expansion", "command_substitution"}


class NotShellError(ValueError):
    """A shell would not take this."""


@dataclass(frozen=True)
class Command:
    """A program and its arguments, quotes removed."""

    program: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.program, *self.arguments))


def commands(script: str) -> list[Command]:
    """Every command of a script; raises NotShellError."""
    root = _PARSER.parse(script.encode()).root_node
    if root.has_error:
        raise NotShellError(script)
    return [_command(node) for node in _walk(root) if node.type == "command"]


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _command(node: Node) -> Command:
    words = [child for child in node.named_children if child.type not in {"variable_assignment", "file_redirect"}]
    program, *arguments = (_value(word) for word in words if not word.type.startswith("here"))
    return Command(program, tuple(arguments))


def _value(node: Node) -> str:
    if node.type in _SUBSTITUTED:
        return UNKNOWN
    text = (node.text or b"").decode()
    if node.type == "raw_string":
        return text[1:-1]
    if node.type == "string":
        return "".join(_value(child) for child in node.children if child.type != '"')
    if node.type in {"concatenation", "command_name"}:
        return "".join(_value(child) for child in node.children)
    return text if node.type == "string_content" else text.replace("\\\n", "").replace("\\", "")
