"""The slides of docs/presentation.md: each heading is one page, and every picture is on it."""

import re
from pathlib import Path

import pypandoc
import pytest
import typst

from tests.docs.documents import PROJECT
from tools import make_slides
from tools.make_slides import SOURCE, as_typst, compile_slides


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return compile_slides(SOURCE, tmp_path_factory.mktemp("slides"), pictures=True)


def test_each_heading_is_one_page_and_nothing_runs_over(made: list[Path]) -> None:
    headings = re.findall(r"^## ", SOURCE.read_text("utf-8"), re.MULTILINE)
    assert len(made) - 1 == len(headings) + 1, "a page for each heading, and the title: what is too long has two"
    assert 12 <= len(headings) <= 22, "for twenty minutes"


def test_the_pdf_is_one(made: list[Path]) -> None:
    assert made[0].name == "presentation.pdf"
    assert made[0].read_bytes().startswith(b"%PDF-")


def test_notes_are_for_the_speaker_alone() -> None:
    assert "::: notes" in SOURCE.read_text("utf-8")
    notes = re.findall(r"::: notes\n(.{20})", SOURCE.read_text("utf-8"))
    assert not [note for note in notes if note in as_typst(SOURCE)]


def test_every_picture_is_one_of_ours() -> None:
    shown = re.findall(r'image\("/([^"]+)"', as_typst(SOURCE))
    assert shown
    assert not [name for name in shown if not (PROJECT / name).is_file()]


def test_a_picture_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "presentation.md"
    source.write_text("## Nothing\n\n![](diagrams/nothing.svg)\n")
    monkeypatch.setattr(make_slides, "SOURCE", source)
    monkeypatch.setattr(make_slides, "PROJECT", tmp_path)
    monkeypatch.setattr("sys.argv", ["make_slides.py", "--output", str(tmp_path)])
    assert make_slides.main() == 1
    complaint = capsys.readouterr().err
    assert complaint.startswith("verger: error: presentation.md: ")
    assert "nothing.svg" in complaint


def test_the_programs_come_with_their_packages() -> None:
    assert Path(pypandoc.get_pandoc_path()).resolve().is_relative_to(Path(pypandoc.__file__).resolve().parent)
    assert Path(typst.__file__).suffix == ".py"
