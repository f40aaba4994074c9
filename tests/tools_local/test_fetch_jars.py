"""Jars are resolved by Ivy, checked against the pinned checksums, and appear as a whole or not at all."""

import dataclasses
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools import fetch_jars
from tools.fetch_jars import JarsError, JarSet, Places

PROJECT = Path(__file__).resolve().parents[2]
FRUIT = JarSet("fruit", ("org.fruit:apple:1.0",))

sha256s = st.text("0123456789abcdef", min_size=64, max_size=64)
file_names = st.from_regex(r"[a-z][a-z0-9.\-]{0,20}\.jar", fullmatch=True)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A Maven repository on disk with apple 1.0, which needs seed 2.0, and everything else below tmp_path."""
    repository = tmp_path / "repository"
    _publish(repository, "apple", "1.0", needs="seed")
    _publish(repository, "seed", "2.0")
    settings = tmp_path / "ivysettings.xml"
    settings.write_text(
        '<ivysettings><settings defaultResolver="disk"/><resolvers>'
        f'<ibiblio name="disk" m2compatible="true" root="{repository.as_uri()}"/>'
        "</resolvers></ivysettings>"
    )
    return Places(
        pins=tmp_path / "jars.sha256",
        jars=tmp_path / "jars",
        ivy_cache=tmp_path / "ivy",
        spark_env=PROJECT / ".venv" / "spark",
        ivy_settings=settings,
    )


def _publish(repository: Path, name: str, version: str, needs: str | None = None) -> None:
    folder = repository / "org" / "fruit" / name / version
    folder.mkdir(parents=True)
    dependency = (
        f"<dependencies><dependency><groupId>org.fruit</groupId><artifactId>{needs}</artifactId>"
        "<version>2.0</version></dependency></dependencies>"
        if needs
        else ""
    )
    (folder / f"{name}-{version}.pom").write_text(
        "<project><modelVersion>4.0.0</modelVersion><groupId>org.fruit</groupId>"
        f"<artifactId>{name}</artifactId><version>{version}</version>{dependency}</project>"
    )
    with zipfile.ZipFile(folder / f"{name}-{version}.jar", "w") as jar:
        jar.writestr("name.txt", name)


def _pins(places: Places) -> dict[str, str]:
    return fetch_jars.pin([FRUIT], places, os.environ)["fruit"]


@pytest.mark.spark
def test_a_set_is_fetched_with_what_it_needs_and_then_left_alone(places: Places) -> None:
    pins = _pins(places)
    assert sorted(pins) == ["apple-1.0.jar", "seed-2.0.jar"]
    folder = fetch_jars.fetch(FRUIT, pins, places, os.environ)
    assert {jar.name for jar in folder.glob("*.jar")} == set(pins)
    assert [path.name for path in places.jars.iterdir()] == ["fruit"], "no half-fetched folder stays"

    gone = dataclasses.replace(places, spark_env=Path("/nowhere"))
    assert fetch_jars.fetch(FRUIT, pins, gone, os.environ) == folder, "what is there needs no Ivy"


@pytest.mark.spark
def test_a_jar_with_another_checksum_is_never_used(places: Places) -> None:
    pins = _pins(places)
    good = fetch_jars.fetch(FRUIT, pins, places, os.environ)
    wrong = pins | {"seed-2.0.jar": "0" * 64}
    with pytest.raises(JarsError, match=r"seed-2\.0\.jar has the SHA-256 [0-9a-f]{64}, pinned is 0{64}"):
        fetch_jars.fetch(FRUIT, wrong, places, os.environ)
    assert fetch_jars.is_ready(FRUIT, pins, good), "the former jars are still there"


@pytest.mark.spark
def test_a_repository_that_is_not_reached_gives_one_clear_error(places: Places, tmp_path: Path) -> None:
    assert places.ivy_settings is not None
    settings = places.ivy_settings.read_text()
    places.ivy_settings.write_text(settings.replace((tmp_path / "repository").as_uri(), "http://127.0.0.1:9/"))
    with pytest.raises(
        JarsError, match=r"the jars fruit could not be fetched: .*(refused|not found).*network"
    ) as error:
        fetch_jars.fetch(FRUIT, {}, places, os.environ)
    assert "\n" not in str(error.value)
    assert not (places.jars / "fruit").exists()


def test_jars_that_are_missing_or_not_pinned_are_named() -> None:
    with pytest.raises(JarsError, match=r"a\.jar is missing; b\.jar is not pinned"):
        fetch_jars.check("fruit", {"b.jar": "1"}, {"a.jar": "1"})


def test_a_jar_that_disappeared_is_noticed(tmp_path: Path) -> None:
    pins = {"a.jar": hashlib.sha256(b"a").hexdigest()}
    (tmp_path / ".ready").write_text(fetch_jars._ready_mark(FRUIT, pins))
    assert not fetch_jars.is_ready(FRUIT, pins, tmp_path)
    (tmp_path / "a.jar").write_bytes(b"a")
    assert fetch_jars.is_ready(FRUIT, pins, tmp_path)


@given(st.dictionaries(st.sampled_from(["s3a", "s3proxy"]), st.dictionaries(file_names, sha256s, min_size=1)))
def test_pins_are_read_as_they_were_written(pins: dict[str, dict[str, str]]) -> None:
    assert fetch_jars.parse_pins(fetch_jars.format_pins(pins)) == pins


def test_the_committed_sets_and_pins_belong_together() -> None:
    places = Places()
    assert set(fetch_jars.read_sets(places.wanted)) == set(fetch_jars.parse_pins(places.pins.read_text()))


def test_a_coordinate_without_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'org\.fruit:apple' is no group:artifact:version"):
        fetch_jars.ivy_module(JarSet("fruit", ("org.fruit:apple",)))


def test_an_unknown_set_is_refused_with_the_known_ones() -> None:
    result = subprocess.run(
        [sys.executable, str(PROJECT / "tools" / "fetch_jars.py"), "s3b"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert "there is no jar set s3b; there are s3a, s3proxy" in result.stderr
