"""Airflow's UI as a person sees it: a headless Chromium, logged in."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect, sync_playwright

WAIT_MILLISECONDS = 90_000


@contextlib.contextmanager
def chromium() -> Iterator[Page]:
    """A page of the system's own Chromium, which waits for what it is asked for."""
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("Chromium is missing: apt-get install chromium")
    expect.set_options(timeout=WAIT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page(viewport={"width": 1400, "height": 2400})
        page.set_default_timeout(WAIT_MILLISECONDS)
        yield page
        browser.close()


def log_in(page: Page, address: str, user: str, password: str) -> None:
    """Logs in through the form."""
    page.goto(address)
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "login" not in url)


def open_form(page: Page, address: str) -> Locator:
    """Opens the trigger form of `fruits_features` by its button; returns the dialogue."""
    page.goto(f"{address}/dags/fruits_features")
    page.click("button[aria-label='Trigger Dag']")
    return page.locator(".chakra-dialog__content")


def open_section(form: Locator, name: str) -> None:
    """Opens a section of the form."""
    form.get_by_role("button", name=name, exact=True).click()


def fill(form: Locator, name: str, text: str) -> None:
    """Replaces what stands in one of the form's fields."""
    field = form.locator(f"[name=element_{name}]")
    field.fill(text)
    field.blur()


def trigger_button(form: Locator) -> Locator:
    """The button that starts the run."""
    return form.get_by_role("button", name="Trigger", exact=True)
