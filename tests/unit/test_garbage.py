"""A call leaves nothing behind that only the garbage collector can free.

While that looks nobody is answered: for 15 to 50 ms, every few hundred calls that had failed.
"""

from __future__ import annotations

import gc
import http.client
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import BaseModel

from mothlight import App, Code, Error, batched, method, service
from mothlight.testing import TestClient


class Odd(Error):
    "{n} is odd"

    code = Code.INVALID_ARGUMENT
    n: int


class Number(BaseModel):
    n: int


@service
class Sums:
    @batched(max_size=4)
    def double(self, numbers: list[Number]) -> list[Number]:
        return [Number(n=2 * number.n) for number in numbers]

    @method(raises=[Odd])
    def halve(self, number: Number) -> Number:
        if number.n % 2:
            raise Odd(n=number.n)
        return Number(n=number.n // 2)

    @method
    def divide(self, number: Number) -> Number:
        return Number(n=1 // number.n)

    @method(raises=[Odd])
    def count(self, number: Number) -> Iterator[Number]:
        for n in range(number.n):
            time.sleep(0.002)
            yield Number(n=n)
            if n == 5:
                raise Odd(n=n)


CONNECTION = [
    "mothlight.server.Protocol",
    "mothlight.connection.Alarm",
    "mothlight.connection.Short",
    "mothlight.protocols.exchange.Exchange",
    "mothlight.calls.base.Terms",
]
"""A connection and its last call, which hold each other; each client has one for many calls."""

KEY = "0123456789abcdef0123456789abcdef"


def ask(url: str, path: str, n: Any, **headers: str) -> bytes:
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    sent = {"content-type": "application/json", **headers}
    connection.request("POST", path, json.dumps({"n": n}), sent)
    answer = connection.getresponse()
    try:
        return answer.read()
    finally:
        connection.close()


def leave(url: str, path: str, n: Any, **headers: str) -> bytes:
    host, port = urlsplit(url).netloc.split(":")
    body = json.dumps({"n": n})
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(
            f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}".encode()
        )
        time.sleep(0.005)
    return b""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with TestClient(App(Sums, workers=0)) as client:
        yield client.url


@pytest.mark.parametrize(
    ("path", "n", "headers", "act"),
    [
        ("double", 1, {}, ask),
        ("double", "x", {}, ask),
        ("double", 1, {"idempotency-key": KEY}, ask),
        ("halve", 2, {}, ask),
        ("halve", 1, {}, ask),
        ("divide", 0, {}, ask),
        ("nowhere", 0, {}, ask),
        ("count", 3, {}, ask),
        ("count", 9, {}, ask),
        ("count", 9, {"idempotency-key": KEY[::-1]}, ask),
        ("count", "x", {}, ask),
        ("count", 100, {}, leave),
        ("count", 3, {"call-timeout": "0.001"}, ask),
        ("double", 1, {"call-timeout": "0.000001"}, ask),
    ],
)
def test_a_call_leaves_no_garbage(
    url: str, path: str, n: Any, headers: dict[str, str], act: Any
) -> None:
    for _ in range(3):
        act(url, f"/sums/{path}", n, **headers)
    # What a test before this one has left may fall due at any time, but not each time.
    for _ in range(3):
        if not (found := left_by(lambda: act(url, f"/sums/{path}", n, **headers))):
            return
    assert not found


def left_by(act: Callable[[], object]) -> list[str]:
    """The types of ours that ten times leave to the collector."""
    time.sleep(0.05)
    gc.collect()
    gc.disable()
    try:
        for _ in range(10):
            act()
        time.sleep(0.1)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found = Counter(
            f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.garbage
        )
    finally:
        gc.set_debug(0)
        gc.enable()
        gc.garbage.clear()
    for name in CONNECTION:
        del found[name]
    return [name for name in found if name.startswith("mothlight") or name == "builtins.frame"]


@service
class Collector:
    @method
    def works(self) -> bool:
        return gc.isenabled() and gc.get_freeze_count() > 10_000 and gc.get_threshold()[0] == 5_000


def test_a_worker_that_has_started_collects_and_not_what_it_has_loaded() -> None:
    with TestClient(App(Collector, workers=1)) as client:
        assert client.call(Collector.works) is True
