"""Every pinned wheel of the nodes, x86_64 and Graviton, needs no newer C or C++ library than a node has.

The wheels are fetched with pip as on a node (about 1.1 GB, most of it TensorFlow, once for each change of the pins) and
read with elfdeps; what they need is kept under `.cache/wheel-needs`, by the digest of the pins. A wheel that cannot be
fetched fails the test.
"""

import hashlib
import json
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import elfdeps
import pytest
from elfdeps import ELFAnalyzeSettings
from hypothesis import given
from hypothesis import strategies as st

#: EMR 7.0 and later, and EMR Spark 8, run on Amazon Linux 2023
#: (https://docs.aws.amazon.com/emr/latest/ManagementGuide/emr-custom-ami.html). It has
#: - glibc 2.34 for all its life: https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html;
#: - libstdc++ 14.2.1 since 2023.7.20250331 (11.4 before): https://github.com/docker-library/official-images/pull/18759.
#:   That is GLIBCXX_3.4.33 and CXXABI_1.3.15: https://gcc.gnu.org/onlinedocs/libstdc++/manual/abi.html (GCC 14.1.0).
AMAZON_LINUX_2023 = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 33), "CXXABI": (1, 3, 15)}
ARCHITECTURES = ("x86_64", "aarch64")
_SYMBOL_VERSION = re.compile(r"(GLIBC|GLIBCXX|CXXABI)_(\d+(?:\.\d+)*)")
Version = tuple[int, ...]
Needs = dict[str, dict[str, str]]


def version(text: str) -> Version:
    """`3.4.30` as numbers, since as texts 3.4.9 would be the newer one."""
    return tuple(int(part) for part in text.split("."))


def newest(symbol_versions: Iterable[str]) -> dict[str, str]:
    """The newest version needed of each library, of names such as `GLIBC_2.17`."""
    found: dict[str, str] = {}
    for name in symbol_versions:
        if match := _SYMBOL_VERSION.fullmatch(name):
            found[match[1]] = max(found.get(match[1], "0"), match[2], key=version)
    return found


def too_new(needs: Mapping[str, str]) -> dict[str, str]:
    """What of it Amazon Linux 2023 does not have."""
    return {name: needed for name, needed in needs.items() if version(needed) > AMAZON_LINUX_2023[name]}


def read_needs(wheel: Path) -> dict[str, str]:
    """What a wheel's shared libraries need; nothing for one of Python alone."""
    with zipfile.ZipFile(wheel) as archive:
        libraries = list(elfdeps.analyze_zipfile(archive, settings=ELFAnalyzeSettings()))
    return newest(need.version for library in libraries for need in library.requires if need.version)


def platforms(architecture: str) -> list[str]:
    """The tags that pip takes on a node with glibc 2.34: https://peps.python.org/pep-0600/."""
    tags = [f"manylinux_2_{minor}_{architecture}" for minor in range(AMAZON_LINUX_2023["GLIBC"][1], 4, -1)]
    tags += [f"{name}_{architecture}" for name in ("manylinux2014", "manylinux2010", "manylinux1")]
    return [word for tag in tags for word in ("--platform", tag)]


def wheel_needs(project: Path, requirements: Path, architecture: str) -> Needs:
    """What each pinned wheel needs; fetched unless it is known already."""
    digest = hashlib.sha256(requirements.read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]
    kept = project / ".cache" / "wheel-needs" / f"{requirements.stem}-{architecture}-{digest}.json"
    if kept.exists():
        known: Needs = json.loads(kept.read_text())
        return known
    with tempfile.TemporaryDirectory() as folder:
        fetch(project, requirements, architecture, Path(folder))
        needs = {wheel.name: read_needs(wheel) for wheel in sorted(Path(folder).iterdir())}
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(needs, indent=1))
    return needs


def fetch(project: Path, requirements: Path, architecture: str, folder: Path) -> None:
    """Download the wheels that a node would install."""
    pip = [str(project / ".venv" / "uv" / "bin" / "python"), "-m", "pip", "download", "--quiet"]
    pip += ["--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    node = ["--python-version", "3.11", "--implementation", "cp", *platforms(architecture)]
    done = subprocess.run(
        [*pip, *node, "--requirement", str(requirements), "--dest", str(folder)],
        capture_output=True, text=True, check=False, timeout=500,
    )  # fmt: skip
    if done.returncode:
        pytest.fail(
            f"THE {architecture} WHEELS OF {requirements.name} WERE NOT CHECKED: pip could not fetch them:\n"
            f"{done.stderr}"
        )


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("requirements", ["requirements.txt", "requirements-keras.txt"])
def test_no_pinned_wheel_needs_a_newer_library_than_amazon_linux_2023_has(
    project: Path, requirements: str, architecture: str
) -> None:
    file = project / "bootstrap" / requirements
    needs = wheel_needs(project, file, architecture)
    pins = re.findall(r"^([\w.-]+)==", file.read_text(), re.MULTILINE)
    assert len(needs) == len(pins), "a wheel for each pin"
    assert any("GLIBCXX" in found for found in needs.values()), "nothing was read"
    refused = {wheel: bad for wheel, found in needs.items() if (bad := too_new(found))}
    assert not refused, f"they would not load on a node: Amazon Linux 2023 has {AMAZON_LINUX_2023}"


def test_a_wheel_that_needs_more_is_found_out(project: Path) -> None:
    """The check reads real libraries: a system with the C library of Amazon Linux 2 would be refused."""
    needs = wheel_needs(project, project / "bootstrap" / "requirements.txt", "aarch64")
    (litert,) = [found for wheel, found in needs.items() if wheel.startswith("ai_edge_litert-")]
    assert version(litert["GLIBC"]) > (2, 26)
    assert too_new({"GLIBC": "2.35", "GLIBCXX": "3.4.33", "CXXABI": "1.3.16"}) == {"GLIBC": "2.35", "CXXABI": "1.3.16"}


def test_a_wheel_that_cannot_be_fetched_fails_loudly(project: Path, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(f"numpy==2.4.6 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(pytest.fail.Exception, match="WERE NOT CHECKED"):
        fetch(project, file, "x86_64", tmp_path / "wheels")


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1))
def test_versions_are_compared_as_numbers(versions: list[tuple[int, int]]) -> None:
    names = [f"GLIBC_{major}.{minor}" for major, minor in versions]
    most = max(versions)
    assert newest([*names, "GLIBC_PRIVATE", "Qt_5", "GCC_3.0"]) == {"GLIBC": f"{most[0]}.{most[1]}"}
