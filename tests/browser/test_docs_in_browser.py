"""The page /docs in a real browser: run a method, follow a stream, stop it, see an error."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mothlight.testing import TestClient

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = pytest.mark.slow

if CHROMIUM is None:
    reason = "no Chromium here; as root on Debian:   apt-get install chromium"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason, allow_module_level=True)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    from examples import errors, pictures, streaming

    with TestClient(errors.Ruler, pictures.Pictures, streaming.Speaker) as client:
        yield client.url


@pytest.fixture
def page(url: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        faults: list[str] = []
        asked: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        yield page
        assert not faults
        assert all(address.startswith((url, "data:", "blob:")) for address in asked), asked
        browser.close()


def test_a_message_is_answered(page: Any, url: str) -> None:
    page.goto(f"{url}/docs#Ruler.measure")
    page.get_by_label("text").fill("moth")
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector(".result pre")
    assert '"characters": 4' in page.inner_text(".result pre")
    assert "200" in page.inner_text(".result")


def test_a_declared_error_is_shown(page: Any, url: str) -> None:
    page.goto(f"{url}/docs#Ruler.measure")
    page.get_by_label("text").fill("m" * 101)
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector(".result :text('101 characters')")
    assert "TextTooLong" in page.inner_text(".result")


def test_a_stream_arrives_item_by_item(page: Any, url: str) -> None:
    page.goto(f"{url}/docs#Speaker.spell")
    page.get_by_label("text").fill("moth")
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector(".items li:nth-child(4)")
    assert "4" in page.inner_text(".items") or '"h"' in page.inner_text(".items")


def test_a_photo_is_sent_and_a_picture_shown(page: Any, url: str) -> None:
    page.goto(f"{url}/docs#Pictures.mirror")
    page.set_input_files("input[type=file]", str(EXAMPLES / "photos" / "chelsea.jpg"))
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector(".result img")
    width = page.eval_on_selector(
        ".result img", "async i => { await i.decode(); return i.naturalWidth }"
    )
    assert width == 451
