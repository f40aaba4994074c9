"""The committed page is what its source builds, and asks for nothing that a strict policy forbids."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from verger.publish.explorer.site import PAGE


def run(folder: Path, *command: str) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not here: the page is not built again and compared")
def test_the_committed_page_is_what_the_source_builds(project: Path, tmp_path: Path) -> None:
    source = tmp_path / "explorer"
    shutil.copytree(project / "explorer", source, ignore=shutil.ignore_patterns("node_modules"))
    run(source, "npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--prefer-offline")
    run(source, "npm", "run", "--silent", "check")
    run(source, "node", "build.mjs", str(tmp_path / "page"))
    built = {path.name: path.read_bytes() for path in (tmp_path / "page").iterdir()}
    committed = {path.name: path.read_bytes() for path in PAGE.iterdir()}
    assert built == committed, "run `make explorer` and commit what it writes"


def test_the_page_loads_only_what_lies_beside_it() -> None:
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'(?:src|href)="([^"]+)"', page)) == {"style.css", "app.js", "data:,"}
    assert "<script>" not in page
    assert "<style" not in page
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert "unsafe" not in policy[1]
    assert policy[1].startswith("default-src 'none'; script-src 'self'; style-src 'self'")


def test_the_source_never_makes_markup_of_text(project: Path) -> None:
    markup = re.compile(r"\.(?:innerHTML|outerHTML|insertAdjacentHTML|write)\b|\beval\(|new Function")
    sources = sorted((project / "explorer" / "src").glob("*.ts"))
    assert len(sources) > 10
    found = {path.name: markup.findall(path.read_text(encoding="utf-8")) for path in sources}
    assert not {name: hits for name, hits in found.items() if hits}


def test_the_packages_are_pinned_without_an_address(project: Path) -> None:
    lock = (project / "explorer" / "package-lock.json").read_text(encoding="utf-8")
    assert '"integrity"' in lock
    assert '"resolved"' not in lock
