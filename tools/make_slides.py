"""Makes slides of docs/presentation.md: a PDF, and with --pictures a PNG of each page.

pandoc reads the Markdown (a heading of the second level begins a slide), Typst sets it; both come with their Python
packages, and the letters with matplotlib, so that every machine makes the same pages.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pypandoc
import typst

from tools.documents.drawing import FONTS

PROJECT = Path(__file__).resolve().parents[1]
SOURCE = PROJECT / "docs" / "presentation.md"
LOOK = PROJECT / "tools" / "documents"


def as_typst(source: Path) -> str:
    """The slides in Typst's language; raises RuntimeError with pandoc's words."""
    options = ["--template", str(LOOK / "slides.typ"), "--lua-filter", str(LOOK / "slides.lua"), "--standalone"]
    return str(pypandoc.convert_file(str(source), to="typst", format="markdown", extra_args=options))


def compile_slides(source: Path, output: Path, *, pictures: bool) -> list[Path]:
    """Write presentation.pdf, and its pages as pictures if wanted; raises RuntimeError."""
    output.mkdir(parents=True, exist_ok=True)
    # Its types want the text and the folder to be of one kind, which it does not.
    compile_text: Any = partial(
        typst.compile,
        as_typst(source).encode(),
        # Pictures are named from the project's folder: Typst reads nothing outside it.
        root=str(PROJECT),
        font_paths=[str(FONTS)],
        ignore_system_fonts=True,
    )
    pdf = output / f"{source.stem}.pdf"
    compile_text(output=str(pdf))
    if not pictures:
        return [pdf]
    compile_text(output=str(output / f"{source.stem}-{{0p}}.png"), format="png", ppi=80)
    return [pdf, *sorted(output.glob(f"{source.stem}-*.png"))]


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=PROJECT / "docs-output", metavar="DIR")
    parser.add_argument("--pictures", action="store_true", help="a PNG of each page, too")
    asked = parser.parse_args()
    try:
        made = compile_slides(SOURCE, asked.output.resolve(), pictures=asked.pictures)
    except RuntimeError as error:
        print(f"verger: error: {SOURCE.relative_to(PROJECT)}: {error}", file=sys.stderr)
        return 1
    print(made[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
