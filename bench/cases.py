"""What is measured: works, contenders, and the figure that counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

from . import models
from .load import Request

MOTHLIGHT, FASTAPI, BARE, LOOP = "Mothlight", "FastAPI", "bare uvicorn", "plain loop"


@dataclass(frozen=True)
class Work:
    """One row: so many connections, and the figure that counts: ``rate`` (a second, more is
    better), ``p50`` or ``first`` (milliseconds, less is better)."""

    title: str
    connections: int
    figure: str

    @property
    def unit(self) -> str:
        return "/s" if self.figure == "rate" else " ms"


@dataclass(frozen=True)
class Contender:
    """``module``: who serves it; ``loop`` is not a server. ``path``: where it differs."""

    name: str
    module: str
    path: str = ""


@dataclass(frozen=True)
class Case:
    """Some works on the same servers; ``limit`` is the contender that nobody can beat."""

    name: str
    about: str
    request: Callable[[], Request]
    works: tuple[Work, ...]
    contenders: tuple[Contender, ...]
    limit: str

    def request_of(self, contender: Contender) -> Request:
        request = self.request()
        return replace(request, path=contender.path) if contender.path else request


def _review() -> Request:
    body = json.dumps({"text": models.TEXT}).encode()
    return Request("POST", "/score", "application/json", body)


def _photo() -> Request:
    mark = "bench-1f0c2a"
    head = (
        f"--{mark}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\"\r\n"
        "Content-Type: image/jpeg\r\n\r\n"
    )  # fmt: skip
    body = head.encode() + models.photo() + f"\r\n--{mark}--\r\n".encode()
    return Request("POST", "/classify", f"multipart/form-data; boundary={mark}", body)


def _tokens() -> Request:
    return Request("GET", "/tokens", items=models.ITEMS)


_MOTHLIGHT = Contender(MOTHLIGHT, "served")
_FASTAPI = Contender(FASTAPI, "byhand")
_FASTAPI_ASYNC = Contender("FastAPI, async def", "byhand", "/score_async")

CASES = {
    case.name: case
    for case in (
        Case(
            "noop",
            "a trivial JSON call, no model",
            _review,
            (Work("128 connections", 128, "rate"), Work("1 connection, p50", 1, "p50")),
            (
                _MOTHLIGHT,
                Contender("Mothlight, @method", "served", "/score_one"),
                _FASTAPI,
                _FASTAPI_ASYNC,
                Contender(BARE, "bare"),
            ),
            BARE,
        ),
        Case(
            "text",
            "a small MLP, p50 0.5 to 0.9 ms alone, 0.09 to 0.11 an item in batches of 32",
            _review,
            (Work("128 connections", 128, "rate"), Work("1 connection, p50", 1, "p50")),
            (_MOTHLIGHT, _FASTAPI, _FASTAPI_ASYNC, Contender(LOOP, "loop")),
            LOOP,
        ),
        Case(
            "image",
            "a JPEG of 100 kB through EfficientNet-Lite0",
            _photo,
            (Work("8 connections", 8, "rate"),),
            (_MOTHLIGHT, _FASTAPI, Contender(LOOP, "loop")),
            LOOP,
        ),
        Case(
            "stream",
            "streams of 200 items without delay",
            _tokens,
            (Work("64 streams, items", 64, "rate"), Work("1 stream, first item", 1, "first")),
            (_MOTHLIGHT, _FASTAPI, Contender(BARE, "bare")),
            BARE,
        ),
    )
}
