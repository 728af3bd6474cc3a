"""The page /docs in a real browser: run a method, follow a stream, stop it, see an error."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from mothlight import App, Credentials, Principal, Unauthenticated, method, service
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


@service
class Radio:
    @method
    async def play(self, paths: AsyncIterator[str]) -> AsyncIterator[str]:
        "Plays until nobody listens, and leaves a mark then."
        path = await anext(paths)
        try:
            while True:
                yield path
                await asyncio.sleep(0.05)
        finally:
            Path(path).touch()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    from examples import errors, pictures, streaming

    from services.booth import Booth

    with TestClient(errors.Ruler, pictures.Pictures, streaming.Speaker, Booth, Radio) as client:
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
        homes = (url, "http://127.0.0.1:", "data:", "blob:")
        assert all(address.startswith(homes) for address in asked), asked
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


def test_a_method_that_takes_a_stream_gets_a_message_over_a_socket(page: Any, url: str) -> None:
    page.goto(f"{url}/docs#Booth.sum")
    assert "WebSocket" in page.inner_text(".route")
    assert "/booth/sum" in page.inner_text(".calls pre")
    page.get_by_label("numbers").fill("7")
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector(".result :text('ended')")
    assert page.locator(".items li").all_inner_texts() == ["1\n7"]


def test_it_gets_a_file_too(page: Any, url: str) -> None:
    page.goto(f"{url}/docs#Booth.weigh")
    photo = EXAMPLES / "photos" / "chelsea.jpg"
    page.set_input_files("input[type=file]", str(photo))
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector(".result :text('ended')")
    assert page.locator(".items li").all_inner_texts() == [f"1\n{photo.stat().st_size}"]


def test_its_error_is_shown(page: Any, url: str) -> None:
    page.goto(f"{url}/docs#Booth.tire")
    page.get_by_label("numbers").fill("-1")
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector(".result :text('after 0')")
    assert "Tired" in page.inner_text(".result")


def test_to_leave_the_page_of_a_method_is_to_leave_the_call(
    page: Any, url: str, tmp_path: Path
) -> None:
    left = tmp_path / "left"
    page.goto(f"{url}/docs#Radio.play")
    page.get_by_label("paths").fill(str(left))
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector(".items li:nth-child(3)")
    page.locator("#methods a", has_text="spell").click()
    deadline = time.monotonic() + 20
    while not left.exists():
        assert time.monotonic() < deadline
        page.wait_for_timeout(20)


def test_a_key_is_sent_where_one_is_asked_for(page: Any, url: str) -> None:
    from examples import streaming

    from services.booth import Booth

    def who(credentials: Credentials) -> Principal:
        if credentials.bearer != "moth_1.2-3":
            raise Unauthenticated(reason="a key is needed")
        return Principal("anna")

    page.goto(f"{url}/docs")
    page.wait_for_selector("#methods a")
    assert page.locator("#token").is_hidden()
    with TestClient(App(streaming.Speaker, Booth, workers=0, authenticate=who)) as client:
        for hash, label, last in (("Speaker.spell", "text", 4), ("Booth.echo", "words", 1)):
            page.goto("about:blank")
            page.goto(f"{client.url}/docs#{hash}")
            page.get_by_label(label).fill("moth")
            page.get_by_role("button", name="Run").click()
            page.wait_for_selector(".result .bad")
            page.get_by_label("API key").fill("moth_1.2-3")
            page.get_by_role("button", name="Run").click()
            page.wait_for_selector(f".items li:nth-child({last})")
            assert "moth_1" not in page.inner_text(".calls")
