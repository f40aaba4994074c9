"""An S3 server on a folder: s3proxy with its filesystem store, on this machine only.

Buckets are folders and objects are files, so what was stored is there when the next server starts. What it does not do:
versions, policies, lifecycle and the like (501); two objects of which one's key is a folder of the other's (`a` and
`a/b`); keys with `//`, `/./` or `/../` (they are taken for paths); names longer than 218 bytes between two slashes.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.local_run import class_archive, processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LOGGING = Path(__file__).resolve().parent / "s3proxy_logback.xml"
READY_SECONDS = 60.0
#: File systems take 255 bytes a name, and the server writes under a name that is 37 bytes longer first.
LONGEST_NAME = 218
# Jetty's line at start: "Started oeje.ServerConnector@1a2b{HTTP/1.1, (http/1.1)}{127.0.0.1:36277}"
CONNECTOR = re.compile(r"Started \S*ServerConnector.*\{127\.0\.0\.1:(\d+)\}")


@dataclass(frozen=True)
class S3Settings:
    """Where the server keeps objects (`data`), its own files (`work`) and its log, and what it runs on.

    `java_options` are the JVM's: without any, it starts from its class archive.
    """

    data: Path
    work: Path
    log: Path
    jars: Path
    java: str = "java"
    memory_megabytes: int = 512
    java_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class S3Endpoint:
    """A running S3 server."""

    url: str
    access_key: str
    secret_key: str


def server_properties(settings: S3Settings, access_key: str, secret_key: str) -> str:
    """s3proxy's configuration. Raises ValueError when the data folder's name cannot stand in it."""
    folder = str(settings.data)
    if folder != folder.strip() or "\n" in folder:
        raise ValueError(f"the S3 folder {folder!r} begins or ends with white space, choose another")
    lines = {
        "s3proxy.endpoint": "http://127.0.0.1:0",
        "s3proxy.authorization": "aws-v2-or-v4",
        "s3proxy.identity": access_key,
        "s3proxy.credential": secret_key,
        "jclouds.provider": "filesystem",
        "jclouds.filesystem.basedir": escape_property(folder),
    }
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def escape_property(text: str) -> str:
    """A value as java.util.Properties reads it: ASCII, and an escape of four hex digits for each other UTF-16 unit."""
    units = text.replace("\\", "\\\\").encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)  # noqa: PLR2004 (ASCII)


def java_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What the server's process sees: little, and always a UTF-8 locale, because Java encodes file names by it."""
    kept = {name: environment[name] for name in ("PATH", "HOME", "JAVA_HOME", "TMPDIR") if name in environment}
    return kept | {"LC_ALL": "C.UTF-8"}


def command(settings: S3Settings, properties: Path) -> list[str]:
    """The command line of the server."""
    return [
        settings.java,
        f"-Xmx{settings.memory_megabytes}m",
        "-XX:+UseSerialGC",  # two cores are busy with Spark; the server mostly waits for the disk
        "-XX:TieredStopAtLevel=1",
        "-Dfile.encoding=UTF-8",
        "-Dsun.jnu.encoding=UTF-8",
        *(settings.java_options or class_archive.reading(settings.jars / class_archive.NAME)),
        f"-Dlogback.configurationFile={LOGGING}",
        "-cp",
        f"{settings.jars}/*",
        "org.gaul.s3proxy.Main",
        "--properties",
        str(properties),
    ]


def check_attributes(folder: Path) -> None:
    """Raises ServerError unless the folder's file system keeps extended attributes, where the ETags are stored."""
    if not hasattr(os, "setxattr"):
        return  # macOS: its file systems do
    try:
        os.setxattr(folder, "user.verger-check", b"1")
        os.removexattr(folder, "user.verger-check")
    except OSError as error:
        raise processes.ServerError(
            f"{folder} lies on a file system without extended attributes ({error.strerror}), and the local S3"
            " server stores ETags in them; put the project on another file system"
        ) from None


@contextlib.contextmanager
def running(settings: S3Settings) -> Iterator[S3Endpoint]:
    """Runs the server with credentials of its own for as long as the context is open. Raises ServerError."""
    settings.data.mkdir(parents=True, exist_ok=True)
    settings.work.mkdir(parents=True, exist_ok=True)
    check_attributes(settings.data)
    access_key, secret_key = f"verger{secrets.token_hex(7)}", secrets.token_urlsafe(30)
    properties = settings.work / "s3proxy.properties"
    properties.unlink(missing_ok=True)
    properties.touch(mode=0o600)
    properties.write_text(server_properties(settings, access_key, secret_key), "ascii")
    server = processes.start("the S3 server", command(settings, properties), java_environment(os.environ), settings.log)
    try:
        port = server.wait_until(_port, READY_SECONDS)
        yield S3Endpoint(f"http://127.0.0.1:{port}", access_key, secret_key)
    finally:
        server.stop()
        properties.unlink(missing_ok=True)


def _port(log: str) -> int | None:
    match = CONNECTOR.search(log)
    return int(match.group(1)) if match else None
