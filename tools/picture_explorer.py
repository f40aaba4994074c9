"""Pictures of the explorer's views for the documents, from the results of a real run.

make demo IMAGES=... WEIGHTS=... OUT=demo-output
python -m tools.picture_explorer demo-output docs/images
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Browser, Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: An adaptive palette: a third of the bytes, and nobody sees it in a document.
COLOURS = 255
DESKTOP = (1360, 850)
PHONE = (390, 844)


@dataclass(frozen=True)
class View:
    """One picture: its file, what is done before it is taken, the window and the theme."""

    file: str
    prepare: Callable[[Page], None]
    size: tuple[int, int] = DESKTOP
    dark: bool = False


def _choose_odd_one(page: Page) -> None:
    """Choose the first picture that may be mislabelled, else the first of all; the map shows it among all again."""
    odd = page.locator(".pill", has_text="May be mislabelled")
    if odd.count():
        odd.click()
    page.locator(".side-panel .card").first.click()
    page.locator(".pill", has_text="All").first.click()


def _show(view: str) -> Callable[[Page], None]:
    return lambda page: page.locator(f"#tab-{view}").click()


VIEWS = (
    View("explorer-map.png", lambda _: None),
    View("explorer-picture.png", _choose_odd_one),
    View("explorer-compare.png", _show("compare")),
    View("explorer-quality.png", _show("quality")),
    View("explorer-duplicates.png", _show("duplicates")),
    View("explorer-run.png", _show("run")),
    View("explorer-dark.png", _choose_odd_one, dark=True),
    View("explorer-phone.png", lambda _: None, size=PHONE),
)


def take(browser: Browser, page_file: Path, view: View) -> bytes:
    """One view as PNG."""
    width, height = view.size
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if view.dark else "light"
    )
    page = context.new_page()
    page.goto(page_file.resolve().as_uri())
    page.wait_for_selector("html[data-ready]")
    view.prepare(page)
    page.mouse.move(0, 0)
    page.wait_for_timeout(800)  # sheets of thumbnails are still being decoded
    taken = page.screenshot()
    context.close()
    return taken


def smaller(png: bytes) -> bytes:
    """The same picture with a palette."""
    stored = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(stored, format="PNG", optimize=True)
    return stored.getvalue()


def main() -> int:
    """Take every view of a run's explorer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="the results of a run: the OUT of make demo")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    arguments = parser.parse_args()
    page_file = arguments.results / "explorer" / "index.html"
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None or not page_file.is_file():
        problem = "no Chromium is on PATH" if program is None else f"{page_file} does not exist"
        print(f"verger: error: {problem}", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for view in VIEWS:
            picture = smaller(take(browser, page_file, view))
            (arguments.folder / view.file).write_bytes(picture)
            print(f"{arguments.folder / view.file}: {len(picture) / 1000:.0f} kB")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
