"""From a step as the API takes it to a command of this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_emr.node_paths import on_node
from local_emr.spark_submit import Download, InvalidStepError, LocalCommand, LocalSpark, local_submit, yarn_submit

if TYPE_CHECKING:
    from pathlib import Path

    from local_emr.model import Step

# Programs that an EMR node has and this machine does not. They are refused: a clear failure beats a wrong success.
# fmt: off
_NOT_HERE = frozenset({
    "s3-dist-cp", "hadoop-streaming", "hive-script", "hive", "pig-script", "pig", "spark-example", "hadoop",
    "hdfs", "yarn", "run-example", "spark-sql", "spark-shell", "pyspark", "state-pusher-script", "hbase",
    "flink-yarn-session",
})
# fmt: on


def local_command(step: Step, spark: LocalSpark | None, node_root: Path, staging: Path) -> LocalCommand:
    """What to run for this step.

    Raises:
        InvalidStepError: The step needs something that only a real cluster has.
    """
    jar = step.jar.rsplit("/", 1)[-1]
    if jar == "script-runner.jar":
        return _script(step.args, node_root, staging)
    if jar != "command-runner.jar":
        raise InvalidStepError(
            f"The jar {step.jar!r} is not offered locally; use command-runner.jar or script-runner.jar."
        )
    if not step.args:
        raise InvalidStepError("command-runner.jar has no arguments: name the command to run.")
    program = step.args[0]
    if program == "spark-submit":
        if spark is None:
            raise InvalidStepError("spark-submit: this local EMR was started without Spark.")
        if spark.on_yarn:
            return yarn_submit(step.args[1:], spark, node_root)
        return local_submit(step.args[1:], spark, node_root, staging)
    if program in _NOT_HERE:
        raise InvalidStepError(f"The command {program!r} is not offered locally: it needs Hadoop on a real cluster.")
    return LocalCommand(tuple(on_node(argument, node_root) for argument in step.args))


def _script(args: tuple[str, ...], node_root: Path, staging: Path) -> LocalCommand:
    if not args:
        raise InvalidStepError("script-runner.jar has no arguments: name the script to run.")
    return script_command(args[0], args[1:], node_root, staging)


def script_command(path: str, args: tuple[str, ...], node_root: Path, staging: Path) -> LocalCommand:
    """Run the script at `path` (s3:// or a path of the node) with these arguments, as a program of its own."""
    arguments = tuple(on_node(argument, node_root) for argument in args)
    if path.startswith(("s3://", "s3a://", "s3n://")):
        script = staging / path.rsplit("/", 1)[-1]
        return LocalCommand((str(script), *arguments), (Download(path, script),))
    return LocalCommand((on_node(path.removeprefix("file://"), node_root), *arguments))
