"""`python -m local_emr`: serve until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import shutil
import signal
import sys
import threading
from pathlib import Path

from local_emr.launch import ANNOUNCEMENT
from local_emr.server import LocalEmr
from local_emr.settings import LocalEmrSettings, spark_home_of

_KEYS = {"access_key": "AWS_ACCESS_KEY_ID", "secret_key": "AWS_SECRET_ACCESS_KEY"}


def main() -> int:
    """Serve; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s local_emr %(levelname)s %(message)s")
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    try:
        settings = _settings(_parser().parse_args(), done)
        server = LocalEmr(settings)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"local_emr: error: {error}\n")
        return 2
    server.start()
    sys.stdout.write(f"{ANNOUNCEMENT}{server.endpoint}\n")
    sys.stdout.flush()
    sys.stderr.write(_hint(server.endpoint, settings) + "\n")
    done.wait()
    server.stop()
    return 0


def _settings(options: argparse.Namespace, done: threading.Event) -> LocalEmrSettings:
    if not options.settings_from_stdin:
        return _from_options(options)
    settings = LocalEmrSettings.from_json(sys.stdin.readline())

    def wait_for_end_of_input() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        done.set()

    threading.Thread(target=wait_for_end_of_input, daemon=True).start()
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local_emr",
        description="An EMR and S3 endpoint for this machine that really runs bootstrap actions and steps.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--allow-host", action="append", default=[], metavar="NAME", help="a name by which clients reach this server")
    add("--port", type=int, default=5005, help="port to listen on, 0 for a free one (%(default)s)")
    add("--work-dir", type=Path, default=Path(".local-emr"), help="nodes and logs (%(default)s)")
    add("--node-root", type=Path, help="a root directory for nodes that is kept between clusters")
    add("--spark-python", type=Path, help="the Python of an environment with pyspark, for spark-submit steps")
    add("--java-home", type=Path, default=_java_home(), help="Java 17 (%(default)s)")
    add("--jars-dir", type=Path, help="jars for every Spark step: S3A")
    add("--yarn", type=Path, metavar="JARS", help="run steps on a real YARN, made of the jars in this folder")
    add("--spark-conf", action="append", default=[], metavar="KEY=VALUE", help="overrides the steps' properties")
    add("--cores", type=int, default=os.cpu_count() or 1, help="task slots of a Spark step (%(default)s)")
    add("--memory-mib", type=int, default=2048, help="largest heap of a Spark step (%(default)s)")
    add("--provision-seconds", type=float, default=0.2, help="time a cluster is STARTING (%(default)s)")
    add("--terminate-seconds", type=float, default=0.1, help="time a cluster is TERMINATING (%(default)s)")
    add("--log-seconds", type=float, default=5.0, help="time between uploads of running logs (%(default)s)")
    add("--grace-seconds", type=float, default=5.0, help="from SIGTERM to SIGKILL at a cluster's end (%(default)s)")
    add("--idle-time-scale", type=float, default=1.0, help="seconds per second of an idle timeout (%(default)s)")
    add("--s3-endpoint", help="another S3 for scripts, logs and steps (this server's own)")
    add("--region", default="eu-west-1", help="region of the steps (%(default)s)")
    add("--env", action="append", default=[], metavar="NAME[=VALUE]", help="a variable for the nodes' processes")
    add("--settings-from-stdin", action="store_true", help="for programs: settings as a line of JSON, ends with it")
    return parser


def _java_home() -> Path | None:
    """JAVA_HOME, else where the `java` of the path really lies: nodes have a path of their own."""
    if os.environ.get("JAVA_HOME"):
        return Path(os.environ["JAVA_HOME"])
    java = shutil.which("java")
    return Path(java).resolve().parent.parent if java else None


def _from_options(options: argparse.Namespace) -> LocalEmrSettings:
    spark_python: Path | None = options.spark_python
    credentials = {name: os.environ[variable] for name, variable in _KEYS.items() if variable in os.environ}
    if len(credentials) == 1:
        raise ValueError(f"of {' and '.join(_KEYS.values())}, only one is set")
    return LocalEmrSettings(
        work_dir=options.work_dir,
        host=options.host,
        port=options.port,
        allow_hosts=options.allow_host,
        node_root=options.node_root,
        spark_home=spark_home_of(spark_python) if spark_python else None,
        spark_python=spark_python,
        java_home=options.java_home,
        jars_dir=options.jars_dir,
        yarn_jars_dir=options.yarn,
        spark_conf=dict(_pair("--spark-conf", text) for text in options.spark_conf),
        cores=options.cores,
        memory_mib=options.memory_mib,
        provision_seconds=options.provision_seconds,
        terminate_seconds=options.terminate_seconds,
        log_seconds=options.log_seconds,
        grace_seconds=options.grace_seconds,
        idle_time_scale=options.idle_time_scale,
        s3_endpoint=options.s3_endpoint,
        region=options.region,
        extra_env=dict(_variable(text) for text in options.env),
        **credentials,
    )


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ValueError(f"{option} {text!r} is not of the form name=value")
    return name, value


def _variable(text: str) -> tuple[str, str]:
    """`NAME=VALUE`, or `NAME` for what the server's own environment says."""
    if "=" in text:
        return _pair("--env", text)
    if text not in os.environ:
        raise ValueError(f"--env {text}: there is no such variable")
    return text, os.environ[text]


def _hint(endpoint: str, settings: LocalEmrSettings) -> str:
    if all(name in os.environ for name in _KEYS.values()):
        key = "  # with the AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY that this server was started with"
    else:
        key = f"  export AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(_write_key(settings)))}"
    return "\n".join(
        [
            "Use it with:",
            f"  export AWS_ENDPOINT_URL={endpoint}",
            *([f"  export AWS_ENDPOINT_URL_S3={settings.s3_endpoint}"] if settings.s3_endpoint else []),
            f"  export AWS_REGION={settings.region} AWS_DEFAULT_REGION={settings.region}",
            key,
        ]
    )


def _write_key(settings: LocalEmrSettings) -> Path:
    """The file with the key that was made for this server, in the form of AWS's tools; only its user can read it."""
    path = settings.work_dir / "credentials"
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(
            f"[default]\naws_access_key_id = {settings.access_key}\naws_secret_access_key = {settings.secret_key}\n"
        )
    return path


if __name__ == "__main__":
    sys.exit(main())
