"""A real headless Chromium, and runs for it to look at."""

import contextlib
import functools
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.explorer import explorer_world as world

HOSTILE = '<img src=x onerror="window.hacked=1">'
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


# As long as a module: while Playwright is there, its event loop counts as running, and nobody else's may.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium as the machine has it; the tests say so when there is none."""
    program = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser is here ({', '.join(BROWSERS)}): the explorer's page is not tried")
    # What is waited for comes at once; a machine that does other things besides is given time.
    expect.set_options(timeout=90_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page, and all that went wrong on it or was asked for."""

    page: Page
    address: str
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, words: str = "") -> "Visit":
        """Open the explorer and wait until it is there."""
        self.page.goto(self.address + words)
        self.page.wait_for_selector("html[data-ready]", timeout=90_000)
        return self


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Open pages; after the test no page complained and none asked anybody else."""
    with contextlib.ExitStack() as stack:
        visits: list[Visit] = []

        def start(address: str, **context: Any) -> Visit:
            context = {"viewport": {"width": 1440, "height": 900}, **context}
            opened = browser.new_context(**context)
            stack.callback(opened.close)
            visit = Visit(opened.new_page(), address)
            visit.page.on("console", lambda message: visit.complaints.append(f"{message.type}: {message.text}"))
            visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
            visit.page.on("request", lambda request: visit.requests.append(request.url))
            visits.append(visit)
            return visit

        yield start
        for visit in visits:
            assert visit.complaints == []
            origin = visit.address.partition("explorer/index.html")[0]
            strangers = [url for url in visit.requests if not url.startswith((origin, "data:"))]
            assert strangers == []


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
        """Say nothing."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """What `python -m http.server` serves; the address of the explorer's page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/explorer/index.html"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def small_run() -> world.Pictures:
    """Three groups; one apple lies among the bananas, one far away from everything; a hostile label and names."""
    found = world.groups({"apple": 60, "banana": 50, HOSTILE: 30}, k=4)
    names, scores = list(found.names), found.scores.copy()
    banana = scores[[name.startswith("banana/") for name in names]].mean(axis=0)
    scores[names.index("apple/apple_00007.jpg")] = banana
    apples = [name.startswith("apple/") for name in names]
    scores[names.index("apple/apple_00011.jpg")] = scores[apples].mean(axis=0) + np.array([0, 0, 0, 9.0])
    names[names.index("apple/apple_00003.jpg")] = 'apple/apple_00003 "><svg onload=hacked=1>.jpg'
    rejects = [("mixed/<b>broken</b>.jpg", "truncated"), ("mixed/empty.png", "empty")]
    new = frozenset({"banana/banana_00001.jpg", "banana/banana_00002.jpg"})
    return replace(found, names=names, scores=scores, rejects=rejects, new=new)


@pytest.fixture(scope="session")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small run's explorer; the address of its page's file."""
    return world.write_site(tmp_path_factory.mktemp("a small+run"), small_run())


@pytest.fixture(scope="session")
def small(small_site: Path) -> Iterator[str]:
    """The same, served."""
    with serving(small_site.parents[1]) as address:
        yield address


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """50,000 pictures of 20 labels in ten components."""
    sizes = {f"label {number}": 2_500 for number in range(20)}
    page = world.write_site(tmp_path_factory.mktemp("large"), world.groups(sizes, k=10, apart=4.0), every=10)
    with serving(page.parents[1]) as address:
        yield address
