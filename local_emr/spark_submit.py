"""A step's `spark-submit` arguments, translated for this machine: no YARN, no cluster, a real JVM."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from local_emr.node_paths import on_node

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# The options of spark-submit 4.1 (`org.apache.spark.launcher.SparkSubmitOptionParser`).
# fmt: off
_WITH_VALUE = frozenset({
    "--archives", "--class", "--conf", "-c", "--deploy-mode", "--driver-class-path", "--driver-cores",
    "--driver-java-options", "--driver-library-path", "--driver-memory", "--executor-cores",
    "--executor-memory", "--files", "--jars", "--keytab", "--kill", "--master", "--remote", "--name",
    "--num-executors", "--packages", "--exclude-packages", "--principal", "--properties-file", "--proxy-user",
    "--py-files", "--queue", "--repositories", "--status", "--total-executor-cores",
})
# fmt: on
_FLAGS = frozenset({"--supervise", "--verbose", "-v", "--usage-error", "--version", "--help", "-h"})

# What only a cluster manager understands: in one local JVM it is meaningless.
# fmt: off
_DROPPED_OPTIONS = frozenset({
    "--master", "--deploy-mode", "--num-executors", "--executor-cores", "--total-executor-cores",
    "--driver-cores", "--queue", "--keytab", "--principal", "--proxy-user", "--supervise",
})
# fmt: on
_DROPPED_CONF = re.compile(
    r"spark\.(?:master|submit\.deployMode|executor\.(?:instances|cores|memoryOverhead\w*|resource\..*)"
    r"|driver\.(?:cores|memoryOverhead\w*)|memory\.offHeap\..*|dynamicAllocation\..*|shuffle\.service\..*|yarn\..*"
    r"|blacklist\..*|decommission\..*|emr\..*)"
)
_MEMORY_CONF = frozenset({"spark.driver.memory", "spark.executor.memory"})
_AS_CONF = {
    "--driver-memory": "spark.driver.memory",
    "--executor-memory": "spark.executor.memory",
    "--driver-class-path": "spark.driver.extraClassPath",
}
_CLASS_PATHS = ("spark.driver.extraClassPath", "spark.executor.extraClassPath")
_FILE_LISTS = frozenset({"--py-files", "--files", "--jars", "--archives"})
_LINKED_LISTS = frozenset({"--files", "--archives"})  # entries may end in `#name`
_DRIVER_ENV = "spark.yarn.appMasterEnv."
_MEMORY = re.compile(r"(\d+)([kmgt]?)b?", re.IGNORECASE)
_MIB = {"k": 1 / 1024, "": 1, "m": 1, "g": 1024, "t": 1024 * 1024}


class InvalidStepError(ValueError):
    """The step's arguments cannot be run; the message says which and why."""


@dataclass(frozen=True)
class LocalSpark:
    """How Spark runs on this machine.

    Attributes:
        submit: The `spark-submit` program.
        cores: Task slots, for `local[cores]`.
        memory_mib: Upper bound of the JVM's heap; a step that asks for less gets less.
        class_path: Put before every step's class path (S3A); unlike `--jars`, it copies nothing.
        conf: Spark properties that override the step's.
        on_yarn: Steps go to a real YARN as they are; what is above does not apply but for `submit` and `class_path`.
    """

    submit: Path
    cores: int
    memory_mib: int
    class_path: tuple[str, ...] = ()
    conf: Mapping[str, str] = field(default_factory=dict)
    on_yarn: bool = False


@dataclass(frozen=True)
class Download:
    """One object to fetch before the step starts."""

    uri: str
    to: Path


@dataclass(frozen=True)
class LocalCommand:
    """What to run in place of a step: the downloads first, then `argv` with `env` added to its environment."""

    argv: tuple[str, ...]
    downloads: tuple[Download, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Submission:
    options: tuple[tuple[str, str | None], ...]
    entry_point: str
    arguments: tuple[str, ...]


def local_submit(args: Sequence[str], spark: LocalSpark, node_root: Path, staging: Path) -> LocalCommand:
    """Translate the arguments that follow `spark-submit` in a step.

    - `yarn` and `cluster` become `local[cores]` and `client`; the driver's log is then the step's own.
    - What only YARN understands is dropped; `spark.yarn.appMasterEnv.X` becomes the variable X.
    - One JVM is driver and executor: its heap is the larger of the two, at most `spark.memory_mib`.
    - Files at s3:// are downloaded to `staging`, paths of a node move below `node_root`.
    - The class path and properties of `spark` come first in theirs and last in these, so they win.

    Raises:
        InvalidStepError: An unknown option, an option without its value, no program to run.
    """
    submission = _parsed(args)
    files = _Files(staging, node_root)
    options: list[str] = []
    conf: dict[str, str] = {}
    env: dict[str, str] = {}
    for name, value in submission.options:
        if name in _DROPPED_OPTIONS:
            continue
        if value is None:
            options.append(name)
        elif name in _AS_CONF:
            conf[_AS_CONF[name]] = on_node(value, node_root)
        elif name in ("--conf", "-c"):
            _sort_property(value, node_root, conf, env)
        elif name in _FILE_LISTS:
            options += [name, ",".join(files.local_list(name, value))]
        else:
            options += [name, on_node(value, node_root)]
    heap = _heap_mib(conf, spark.memory_mib)
    conf = {key: value for key, value in conf.items() if key not in _MEMORY_CONF}
    for key in _CLASS_PATHS if spark.class_path else ():
        conf[key] = ":".join([*spark.class_path, *filter(None, [conf.get(key)])])
    conf |= spark.conf
    entry_point = files.local(submission.entry_point)
    argv = [str(spark.submit), "--master", f"local[{spark.cores}]", "--deploy-mode", "client"]
    argv += ["--driver-memory", f"{heap}m", *options]
    argv += [part for key, value in conf.items() for part in ("--conf", f"{key}={value}")]
    argv += [entry_point, *(on_node(argument, node_root) for argument in submission.arguments)]
    return LocalCommand(tuple(argv), tuple(files.downloads), env)


def yarn_submit(args: Sequence[str], spark: LocalSpark, node_root: Path) -> LocalCommand:
    """The arguments that follow `spark-submit` in a step, as they are; paths of a node alone move below its root."""
    return LocalCommand((str(spark.submit), *(on_node(argument, node_root) for argument in args)))


def _parsed(args: Sequence[str]) -> _Submission:
    options: list[tuple[str, str | None]] = []
    rest = iter(args)
    for word in rest:
        if not word.startswith("-"):
            return _Submission(tuple(options), word, tuple(rest))
        options.append(_option(word, rest))
    raise InvalidStepError("spark-submit: the step names no program to run after its options")


def _option(word: str, rest: Iterator[str]) -> tuple[str, str | None]:
    name, equals, value = word.partition("=")
    if name in _WITH_VALUE and equals and name.startswith("--"):
        return name, value
    if word in _FLAGS:
        return word, None
    if word not in _WITH_VALUE:
        raise InvalidStepError(f"spark-submit: unrecognized option {word!r}")
    following = next(rest, None)
    if following is None:
        raise InvalidStepError(f"spark-submit: the option {word} has no value")
    return word, following


def _sort_property(text: str, node_root: Path, conf: dict[str, str], env: dict[str, str]) -> None:
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidStepError(f"spark-submit: --conf {text!r} is not of the form key=value")
    if key.startswith(_DRIVER_ENV):
        env[key.removeprefix(_DRIVER_ENV)] = on_node(value, node_root)
    elif not _DROPPED_CONF.fullmatch(key):
        conf[key] = on_node(value, node_root)


def _heap_mib(conf: Mapping[str, str], limit_mib: int) -> int:
    asked = [_mib(key, conf[key]) for key in _MEMORY_CONF if key in conf]
    return min(max(asked), limit_mib) if asked else limit_mib


def _mib(key: str, text: str) -> int:
    match = _MEMORY.fullmatch(text.strip())
    if match is None:
        raise InvalidStepError(f"spark-submit: {key}={text!r} is not an amount of memory like 4g or 512m")
    return max(1, int(int(match[1]) * _MIB[match[2].lower()]))


class _Files:
    """Gives every file at s3:// a place of its own in the staging folder."""

    def __init__(self, staging: Path, node_root: Path) -> None:
        self._staging = staging
        self._node_root = node_root
        self.downloads: list[Download] = []

    def local(self, address: str) -> str:
        if not address.startswith(("s3://", "s3a://", "s3n://")):
            return on_node(address, self._node_root)
        # One folder per file: two of the same name must not meet, and Python finds a module by its file name.
        place = self._staging / str(len(self.downloads)) / PurePosixPath(address).name
        self.downloads.append(Download(address, place))
        return str(place)

    def local_list(self, option: str, value: str) -> list[str]:
        return [self._entry(option, entry) for entry in value.split(",") if entry]

    def _entry(self, option: str, entry: str) -> str:
        if option not in _LINKED_LISTS:
            return self.local(entry)
        address, mark, link = entry.partition("#")
        return self.local(address) + mark + link
