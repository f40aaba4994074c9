"""The tab of a DAG run as a person sees it: Airflow's own page in a headless Chromium, the results in its frame."""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa
import pytest
from selenium.common.exceptions import TimeoutException, WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from verger.publish.plots import draw_map
from verger.serve.tab import tab_path

from tests.explorer.explorer_world import groups, write_site
from tests.verger.serve.conftest import Site

pytestmark = pytest.mark.server

_WAIT_SECONDS = 120

HOSTILE = "<img src=x onerror=document.title='run'>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """The system's own Chromium; the tests are skipped where it is missing."""
    driver = shutil.which("chromedriver")
    if driver is None or shutil.which("chromium") is None:
        pytest.skip("Chromium is missing: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    folder = tmp_path_factory.mktemp("chromium")
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1500,900",
        "--enable-unsafe-swiftshader", f"--user-data-dir={folder}",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = Chrome(options=options, service=Service(executable_path=driver))
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def logged_in(site: Site, browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Chrome:
    """A browser that holds the login, and the explorer of 150 pictures to look at."""
    folder = tmp_path_factory.mktemp("results")
    write_site(folder, groups({"apple": 90, "banana": 40, HOSTILE: 20}))
    for path in (folder / "results").rglob("*"):
        if path.is_file():
            site.put(path.relative_to(folder / "results").as_posix(), path.read_bytes())
    site.put(
        "map.svg", draw_map(pa.table({"label": ["Apple", "Kiwi"], "pc_1": [0.0, 1.0], "pc_2": [1.0, 0.0]}), 2, "svg")
    )
    browser.get(f"{site.url}/api/v2/version")
    browser.add_cookie({"name": "_token", "value": site.token, "path": "/"})
    return browser


def wait_for(browser: Chrome, what: Callable[[Chrome], Any]) -> Any:
    """Wait until something is there; what the page shows is in the error when it is not."""
    try:
        return WebDriverWait(browser, _WAIT_SECONDS, ignored_exceptions=[WebDriverException]).until(what)
    except TimeoutException:
        text = browser.find_element(By.TAG_NAME, "body").text
        raise AssertionError(f"{browser.current_url} shows:\n{text[:3000]}") from None


def open_frame(browser: Chrome, address: str) -> None:
    """Open the tab, and go into its frame."""
    browser.get(address)
    browser.switch_to.frame(wait_for(browser, lambda page: page.find_element(By.CSS_SELECTOR, "main iframe, iframe")))


def test_the_tab_of_a_run_shows_the_explorer_of_its_pictures(site: Site, logged_in: Chrome) -> None:
    run = f"{site.url}/dags/small/runs/{quote(site.runs['published'], safe='')}"
    logged_in.get(run)
    wait_for(logged_in, lambda page: page.find_element(By.LINK_TEXT, "Results")).click()
    frame = wait_for(logged_in, lambda page: page.find_element(By.TAG_NAME, "iframe"))
    logged_in.switch_to.frame(frame)
    wait_for(logged_in, lambda page: "150" in page.find_element(By.ID, "app").text)
    wait_for(logged_in, lambda page: page.find_element(By.TAG_NAME, "canvas").is_displayed())
    assert "apple" in logged_in.find_element(By.ID, "app").text
    assert logged_in.execute_script("return document.title") != "run"
    logged_in.switch_to.default_content()
    log: Any = logged_in.get_log("browser")  # type: ignore[no-untyped-call] # Selenium's
    messages = [entry["message"] for entry in log if entry["level"] == "SEVERE"]
    assert not [message for message in messages if "/results/" in message]
    assert unquote(logged_in.current_url) == site.url + unquote(tab_path("small", site.runs["published"]))


def test_a_run_without_an_explorer_shows_its_report(site: Site, logged_in: Chrome) -> None:
    site.put("report.html", b"<!doctype html><title>report</title><style>p { color: green }</style><p>The report</p>")
    key = site.results().result_file("explorer/index.html").key
    site.s3.delete_object(Bucket=site.results().layout.bucket, Key=key)
    try:
        open_frame(logged_in, site.url + tab_path("small", site.runs["published"]))
        logged_in.switch_to.frame(wait_for(logged_in, lambda page: page.find_element(By.TAG_NAME, "iframe")))
        wait_for(logged_in, lambda page: page.find_element(By.TAG_NAME, "p").text == "The report")
    finally:
        site.put("explorer/index.html", b"")


def test_a_run_at_work_says_that_its_results_are_not_there_yet(site: Site, logged_in: Chrome) -> None:
    open_frame(logged_in, site.url + tab_path("small", site.runs["running"]))
    wait_for(logged_in, lambda page: "not there yet" in page.find_element(By.TAG_NAME, "h1").text)


def test_the_note_of_the_run_shows_the_summary_with_the_map(site: Site, logged_in: Chrome) -> None:
    logged_in.get(f"{site.url}/dags/small/runs/{quote(site.runs['published'], safe='')}")
    wait_for(logged_in, lambda page: page.find_element(By.XPATH, "//text()[contains(., '148 pictures on')]/.."))

    def opened(page: Chrome) -> Any:
        # A page that is still being put together forgets a click: a person clicks again.
        found = page.find_elements(By.CSS_SELECTOR, "[role=dialog] img[alt^='The pictures on']")
        if not found:
            page.find_element(By.CSS_SELECTOR, "button[aria-label='Edit note']").click()
        return found

    picture = wait_for(logged_in, opened)[0]
    wait_for(logged_in, lambda _: picture.is_displayed() and int(picture.get_property("naturalWidth")) > 0)
    assert logged_in.find_element(By.CSS_SELECTOR, "[role=dialog] a[href$='/plugin/results']").is_displayed()


def test_the_link_on_the_task_opens_the_tab(site: Site, logged_in: Chrome) -> None:
    run = f"{site.url}/dags/small/runs/{quote(site.runs['published'], safe='')}"
    logged_in.get(f"{run}/tasks/publish_results/details")
    link = wait_for(logged_in, lambda page: page.find_element(By.CSS_SELECTOR, "a[href$='/plugin/results']"))
    assert link.text == "Results"
    assert str(link.get_property("href")).endswith(tab_path("small", site.runs["published"]))


class Elsewhere:
    """Another host that counts who comes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                asked.append(f"{self.command} {self.path}")
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<p>elsewhere</p>")

            do_GET = do_POST = _answer  # noqa: N815 - the names that the class calls

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the class's name for it
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    """A host that no page of a bucket may lead to."""
    other = Elsewhere()
    thread = threading.Thread(target=other.server.serve_forever)
    thread.start()
    yield other
    other.server.shutdown()
    thread.join()
    other.server.server_close()


def hostile_pages(url: str) -> dict[str, str]:
    """Pages that want to leave, by what they try; `go` is what a person would click."""
    style = "<style>#go { position: fixed; inset: 0; display: block }</style>"
    return {
        "refresh": f'<meta http-equiv="refresh" content="0; url={url}/refresh"><b id=go>x</b>',
        "link": f'{style}<a id=go href="{url}/link">x</a>',
        "link over the page": f'{style}<a id=go target=_top href="{url}/top">x</a>',
        "link in a window": f'{style}<a id=go target=_blank href="{url}/blank">x</a>',
        "base": f'<base href="{url}/base/" target=_top>{style}<a id=go href="x">x</a>',
        "form": f'<form action="{url}/form" method=post><button id=go>x</button></form>',
        "form by get": f'<form action="{url}/form" target=_top><button id=go>x</button></form>',
        "frame": f'<iframe src="{url}/frame"></iframe><b id=go>x</b>',
        "object": f'<object data="{url}/object"></object><embed src="{url}/embed"><b id=go>x</b>',
        "script": f"<script>location = '{url}/script'</script><img src=x onerror=\"location='{url}/x'\"><b id=go>x</b>",
        "load": f'<img src="{url}/image"><link rel=stylesheet href="{url}/style"><b id=go>x</b>',
        "prefetch": f'<link rel=prefetch href="{url}/p"><link rel=preconnect href="{url}"><b id=go>x</b>',
        "pixel": f'<style>b {{ background: url("{url}/pixel") }} @import "{url}/import";</style><b id=go>x</b>',
    }


@pytest.mark.parametrize("trick", hostile_pages(""))
@pytest.mark.parametrize("inside_airflow", [True, False], ids=["in the tab", "opened by itself"])
def test_a_page_in_the_bucket_cannot_leave_the_host_of_airflow(
    site: Site, logged_in: Chrome, elsewhere: Elsewhere, trick: str, inside_airflow: bool
) -> None:
    site.put("report.html", f"<!doctype html>{hostile_pages(elsewhere.url)[trick]}<i>end</i>".encode())
    key = site.results().result_file("explorer/index.html").key
    site.s3.delete_object(Bucket=site.results().layout.bucket, Key=key)
    windows = logged_in.window_handles
    try:
        if inside_airflow:
            open_frame(logged_in, site.url + tab_path("small", site.runs["published"]))
        else:
            logged_in.get(site.address("report.html"))
        frame = wait_for(logged_in, lambda page: page.find_element(By.CSS_SELECTOR, "iframe[sandbox]"))
        logged_in.switch_to.frame(frame)
        wait_for(logged_in, lambda page: page.find_element(By.ID, "go")).click()
        logged_in.switch_to.default_content()
        time.sleep(1)  # a navigation that must not come tells nobody that it does not
        assert elsewhere.asked == []
        assert logged_in.current_url.startswith(site.url)
        assert logged_in.window_handles == windows
    finally:
        site.put("explorer/index.html", b"")


@pytest.mark.parametrize("trick", ["refresh", "link", "script"])
def test_a_drawing_in_the_bucket_cannot_leave_either(
    site: Site, logged_in: Chrome, elsewhere: Elsewhere, trick: str
) -> None:
    refresh = f'<meta http-equiv="refresh" content="0; url={elsewhere.url}"/>'
    inside = {
        "refresh": f'<html xmlns="http://www.w3.org/1999/xhtml">{refresh}</html>',
        "link": f'<a href="{elsewhere.url}/link"><rect width="900" height="600"/></a>',
        "script": f"<script>location = '{elsewhere.url}/script'</script>",
    }[trick]
    last = '<rect id="go" width="1" height="1"/>'
    drawing = f'<svg xmlns="http://www.w3.org/2000/svg" width="900" height="600">{inside}{last}</svg>'
    site.put("drawn.svg", drawing.encode())
    logged_in.get(site.address("drawn.svg"))
    logged_in.switch_to.frame(wait_for(logged_in, lambda page: page.find_element(By.CSS_SELECTOR, "iframe[sandbox]")))
    wait_for(logged_in, lambda page: page.find_element(By.ID, "go"))
    if trick == "link":
        logged_in.find_element(By.CSS_SELECTOR, "a rect").click()
    logged_in.switch_to.default_content()
    time.sleep(1)  # as above
    assert elsewhere.asked == []


def test_the_other_host_would_have_been_seen(logged_in: Chrome, elsewhere: Elsewhere) -> None:
    """What the two tests above rest on: the browser does reach that host."""
    logged_in.get(elsewhere.url + "/seen")
    assert elsewhere.asked[0] == "GET /seen"
