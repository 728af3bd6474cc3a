"""/docs: one page with nothing from elsewhere, that may run nothing but its own script."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from mothlight import App
from services.kitchen import Kitchen

VOID = {"meta", "link", "input", "br", "img", "path", "use", "ellipse"}


class Page(HTMLParser):
    """Fails on a tag that is not closed, or closed twice; collects ids, links and texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inline: dict[str, list[str]] = {"script": [], "style": []}
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in self.inline:
            self.inline[self.open[-1]].append(data)


def ask(*paths: str, app: Any = None) -> list[httpx2.Response]:
    async def get() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(app=app or App(Kitchen, workers=0))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(get())


@pytest.fixture(scope="module")
def response() -> httpx2.Response:
    return ask("/docs")[0]


@pytest.fixture(scope="module")
def page(response: httpx2.Response) -> Page:
    return Page(response.text)


def policy(response: httpx2.Response) -> dict[str, list[str]]:
    parts = response.headers["content-security-policy"].split(";")
    return {words[0]: words[1:] for words in (part.split() for part in parts)}


def test_it_is_one_html_page(response: httpx2.Response, page: Page) -> None:
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert page.open == []
    names = [tag for tag, _ in page.tags]
    assert names.count("h1") == names.count("main") == names.count("title") == 1
    assert dict(page.tags)["html"]["lang"] == "en"
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for wanted in re.findall(r'\$\("(\w+)"\)', response.text):
        assert wanted in ids


def test_nothing_comes_from_elsewhere(response: httpx2.Response, page: Page) -> None:
    assert not re.search(r"https?:|\burl\(|@import|//\w+\.\w", response.text)
    for tag, attributes in page.tags:
        for name in ("src", "href"):
            if target := attributes.get(name):
                relative = re.fullmatch(r"#\w+|[\w.]+", target)
                assert relative or target.startswith("data:image/png"), (tag, target)


def test_only_its_own_script_and_style_may_run(response: httpx2.Response, page: Page) -> None:
    allowed = policy(response)
    assert allowed["default-src"] == ["'none'"]
    for kind, texts in page.inline.items():
        assert len(texts) == 1
        digest = base64.b64encode(hashlib.sha256(texts[0].encode()).digest()).decode()
        assert allowed[f"{kind}-src"] == [f"'sha256-{digest}'"]
    assert "unsafe" not in response.headers["content-security-policy"]
    assert allowed["connect-src"] == ["'self'"]
    assert allowed["frame-ancestors"] == ["'none'"]
    assert response.headers["x-content-type-options"] == "nosniff"
    for _, attributes in page.tags:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(
        r"\beval\(|innerHTML|outerHTML|insertAdjacentHTML", page.inline["script"][0]
    )


def test_it_works_where_it_is_mounted() -> None:
    host = Starlette(routes=[Mount("/ml", App(Kitchen, workers=0))])
    docs, contract, openapi = ask("/ml/docs", "/ml/contract", "/ml/openapi.json", app=host)
    assert [r.status_code for r in (docs, contract, openapi)] == [200, 200, 200]
    # The page asks for its neighbours by relative names, and the host's own paths stay out of it.
    assert 'const base = new URL(".", location.href).href' in docs.text
    assert not re.search(r"""(?:get\(|base \+ )["'`]/""", docs.text)
    assert openapi.json()["servers"] == [{"url": "/ml"}]
    assert contract.json()["services"][0]["methods"][0]["http"]["path"] == "/kitchen/analyze"


def test_it_can_be_switched_off() -> None:
    app = App(Kitchen, workers=0, docs=False)
    assert [r.status_code for r in ask("/docs", "/openapi.json", "/contract", app=app)] == [404] * 3
