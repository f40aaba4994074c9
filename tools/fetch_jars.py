"""Fetches the jars of the local run into `.cache/jars/<set>/`, each checked against requirements/jars.sha256.

    python tools/fetch_jars.py [s3a] [s3proxy]     fetch what is missing (all sets when none is named)
    python tools/fetch_jars.py --pin               fetch anew and write the checksums

Apache Ivy does the resolving: pyspark brings it along, so nothing but Java and pyspark has to be there.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

PROJECT = Path(__file__).resolve().parent.parent
READY = ".ready"


class JarsError(Exception):
    """The jars could not be had; the message says why and what to do."""


@dataclass(frozen=True)
class JarSet:
    """Jars that are resolved together.

    `packages` are Maven coordinates `group:artifact:version`, `excludes` are `group:artifact` or `group:*`.
    """

    name: str
    packages: tuple[str, ...]
    excludes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Places:
    """Where things are read from and stored."""

    wanted: Path = PROJECT / "requirements" / "jars.toml"
    pins: Path = PROJECT / "requirements" / "jars.sha256"
    jars: Path = PROJECT / ".cache" / "jars"
    ivy_cache: Path = PROJECT / ".cache" / "ivy"
    spark_env: Path = PROJECT / ".venv" / "spark"
    ivy_settings: Path | None = None


def read_sets(path: Path) -> dict[str, JarSet]:
    """The jar sets that a `jars.toml` names."""
    tables = tomllib.loads(path.read_text("utf-8"))
    return {
        name: JarSet(name, tuple(table["packages"]), tuple(table.get("excludes", ()))) for name, table in tables.items()
    }


def ivy_module(jar_set: JarSet) -> str:
    """The Ivy file that asks for a jar set. Raises ValueError for what is not a Maven coordinate."""
    lines = []
    for package in jar_set.packages:
        try:
            group, artifact, version = package.split(":")
        except ValueError:
            raise ValueError(f"{package!r} is no group:artifact:version") from None
        lines.append(
            f"<dependency org={quoteattr(group)} name={quoteattr(artifact)} rev={quoteattr(version)}"
            ' conf="default->master,runtime"/>'
        )
    for exclude in jar_set.excludes:
        group, _, artifact = exclude.partition(":")
        lines.append(f"<exclude org={quoteattr(group)} module={quoteattr(artifact or '*')}/>")
    return (
        f'<ivy-module version="2.0"><info organisation="verger" module={quoteattr(jar_set.name)}/>'
        '<configurations><conf name="default"/></configurations>'
        f"<dependencies>{''.join(lines)}</dependencies></ivy-module>"
    )


def parse_pins(text: str) -> dict[str, dict[str, str]]:
    """Reads `<sha256>  <set>/<file>` lines into set -> file -> sha256."""
    pins: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        digest, name = line.split(maxsplit=1)
        set_name, _, file_name = name.partition("/")
        pins.setdefault(set_name, {})[file_name] = digest
    return pins


def format_pins(pins: Mapping[str, Mapping[str, str]]) -> str:
    """What parse_pins reads; `sha256sum --check` reads it as well, in the folder of the sets."""
    lines = [
        f"{digest}  {set_name}/{file_name}"
        for set_name, files in sorted(pins.items())
        for file_name, digest in sorted(files.items())
    ]
    return "# Made by tools/fetch_jars.py --pin\n" + "".join(f"{line}\n" for line in lines)


def digests(folder: Path) -> dict[str, str]:
    """The SHA-256 of each jar of a folder."""
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in sorted(folder.glob("*.jar"))}


def check(name: str, found: Mapping[str, str], pinned: Mapping[str, str]) -> None:
    """Raises JarsError unless exactly the pinned jars were found, byte for byte."""
    problems = [f"{jar} is missing" for jar in sorted(pinned.keys() - found.keys())]
    problems += [f"{jar} is not pinned" for jar in sorted(found.keys() - pinned.keys())]
    problems += [
        f"{jar} has the SHA-256 {found[jar]}, pinned is {pinned[jar]}"
        for jar in sorted(found.keys() & pinned.keys())
        if found[jar] != pinned[jar]
    ]
    if problems:
        raise JarsError(
            f"the jars {name} are not the pinned ones: {'; '.join(problems)}. They were not used. After a"
            " change of requirements/jars.toml pin anew: .venv/spark/bin/python tools/fetch_jars.py --pin"
        )


def java_command(environment: Mapping[str, str]) -> str:
    """JAVA_HOME's java, else the one on PATH."""
    home = environment.get("JAVA_HOME")
    return str(Path(home) / "bin" / "java") if home else "java"


def _ivy_jar(places: Places) -> Path:
    found = sorted(places.spark_env.glob("lib/python3*/site-packages/pyspark/jars/ivy-*.jar"))
    if not found:
        raise JarsError(f"{places.spark_env} holds no pyspark (which brings Ivy): make .venv/spark/.ready")
    return found[-1]


def _resolve(jar_set: JarSet, folder: Path, places: Places, environment: Mapping[str, str]) -> None:
    """Lets Ivy put a set's jars into `folder`. Raises JarsError."""
    module = folder / "ivy.xml"
    module.write_text(ivy_module(jar_set), "utf-8")
    command = [java_command(environment), "-jar", str(_ivy_jar(places))]
    if places.ivy_settings:
        command += ["-settings", str(places.ivy_settings)]
    command += ["-ivy", str(module), "-cache", str(places.ivy_cache), "-confs", "default", "-m2compatible"]
    command += ["-types", "jar", "bundle", "-warn"]
    command += ["-retrieve", f"{folder}/[artifact]-[revision](-[classifier]).[ext]"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(environment))
    except FileNotFoundError:
        raise JarsError(f"{command[0]} was not found: install Java 17 or newer, or set JAVA_HOME") from None
    module.unlink()
    if result.returncode:
        log = places.jars / f"{jar_set.name}.log"
        log.write_text(result.stdout + result.stderr, "utf-8")
        raise JarsError(
            f"the jars {jar_set.name} could not be fetched: {_reason(result.stdout + result.stderr)}."
            " Is the network there? Behind a proxy: JAVA_TOOL_OPTIONS='-Dhttps.proxyHost=HOST"
            f" -Dhttps.proxyPort=PORT'; for a mirror: --ivy-settings FILE. Ivy's words are in {log}"
        )


def _reason(output: str) -> str:
    """The line of Ivy's output that says most."""
    lines = [line.strip(" \t:") for line in output.splitlines()]
    for sign in ("UnknownHostException", "ConnectException", "Exception", "not found", "FAILED"):
        for line in lines:
            if sign in line:
                return line
    return lines[-1] if lines else "Ivy said nothing"


@contextlib.contextmanager
def _fresh_folder(parent: Path, name: str) -> Iterator[Path]:
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ready_mark(jar_set: JarSet, pinned: Mapping[str, str]) -> str:
    return hashlib.sha256((ivy_module(jar_set) + format_pins({jar_set.name: pinned})).encode()).hexdigest()


def is_ready(jar_set: JarSet, pinned: Mapping[str, str], folder: Path) -> bool:
    """Whether `folder` holds the checked jars of this set and these pins."""
    mark = folder / READY
    if not mark.is_file() or mark.read_text("utf-8") != _ready_mark(jar_set, pinned):
        return False
    return {jar.name for jar in folder.glob("*.jar")} == set(pinned)


def fetch(jar_set: JarSet, pinned: Mapping[str, str], places: Places, environment: Mapping[str, str]) -> Path:
    """Puts a set's jars into their folder and returns it; does nothing when they are there.

    The folder appears by one rename, after every jar has been checked. Raises JarsError.
    """
    target = places.jars / jar_set.name
    if is_ready(jar_set, pinned, target):
        return target
    with _fresh_folder(places.jars, jar_set.name) as folder:
        _resolve(jar_set, folder, places, environment)
        check(jar_set.name, digests(folder), pinned)
        (folder / READY).write_text(_ready_mark(jar_set, pinned), "utf-8")
        folder.chmod(0o755)
        with contextlib.suppress(FileNotFoundError):
            target.rename(folder / "former")  # removed with what is left of the temporary folder
        try:
            folder.rename(target)
        except OSError:
            if not is_ready(jar_set, pinned, target):  # else another process was faster
                raise
    shutil.rmtree(target / "former", ignore_errors=True)
    return target


def pin(jar_sets: Sequence[JarSet], places: Places, environment: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Resolves the sets anew and returns their checksums. Raises JarsError."""
    pins = {}
    for jar_set in jar_sets:
        with _fresh_folder(places.jars, jar_set.name) as folder:
            _resolve(jar_set, folder, places, environment)
            pins[jar_set.name] = digests(folder)
    return pins


def main(argv: Sequence[str] | None = None) -> int:
    """The command line. Returns the exit code: 0, or 1 when the jars could not be had."""
    parser = argparse.ArgumentParser(description="Fetches the jars of the local run.")
    parser.add_argument("sets", nargs="*", help="the jar sets to fetch (default: all)")
    parser.add_argument("--pin", action="store_true", help="write the checksums of what is found now")
    parser.add_argument("--ivy-settings", type=Path, help="an ivysettings.xml, for a mirror of your own")
    arguments = parser.parse_args(argv)
    places = Places(ivy_settings=arguments.ivy_settings)
    wanted = read_sets(places.wanted)
    unknown = [name for name in arguments.sets if name not in wanted]
    if unknown:
        parser.error(f"there is no jar set {', '.join(unknown)}; there are {', '.join(wanted)}")
    chosen = [wanted[name] for name in arguments.sets or wanted]
    environment = dict(os.environ)
    try:
        if arguments.pin:
            former = parse_pins(places.pins.read_text("utf-8")) if places.pins.exists() else {}
            places.pins.write_text(format_pins(former | pin(chosen, places, environment)), "utf-8")
        pins = parse_pins(places.pins.read_text("utf-8"))
        for jar_set in chosen:
            fetch(jar_set, pins.get(jar_set.name, {}), places, environment)
    except JarsError as error:
        print(f"verger: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
