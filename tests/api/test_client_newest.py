"""Both clients when requests of an older call come late: the newest call wins, as it was begun."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from uuid import uuid4

import httpx2
import pytest

from live import wait_until
from mothlight import AsyncClient, Client, Overloaded
from mothlight.client.conversation import Conversation
from mothlight.client.exchange import Exchange
from mothlight.client.options import Options
from mothlight.errors import Superseded
from mothlight.testing import TestClient
from services import booth, loom
from services.loom import Loom

Begin = Callable[[str], Future[str]]


class Line(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """A network whose first request meets trouble, but not before the call ``newer`` runs."""

    def __init__(self, trouble: str, newer: str) -> None:
        self.trouble, self.newer = trouble, newer
        self.verbs: list[str] = []
        self.met = threading.Event()
        self._plain = httpx2.HTTPTransport()
        self._awaited = httpx2.AsyncHTTPTransport()

    def _meet(self, request: httpx2.Request) -> httpx2.Response | None:
        self.verbs.append(request.method)
        if self.met.is_set():
            return None
        self.met.set()
        wait_until(lambda: loom.RAN[self.newer], "the newer call runs", 20)
        if self.trouble == "lost":
            raise httpx2.ConnectError("lost")
        if self.trouble == "refused":
            kind = {"content-type": "application/problem+json", "retry-after": "0"}
            content = json.dumps(Overloaded(retry_after=0.0).problem())
            return httpx2.Response(503, headers=kind, content=content)
        return None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self._meet(request) or self._plain.handle_request(request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        met = await asyncio.to_thread(self._meet, request)
        return met or await self._awaited.handle_async_request(request)

    def close(self) -> None:
        self._plain.close()

    async def aclose(self) -> None:
        await self._awaited.aclose()


@pytest.fixture(scope="module")
def server() -> Iterator[TestClient]:
    with TestClient(Loom) as client:
        yield client


@pytest.fixture
def line(request: pytest.FixtureRequest) -> Line:
    return Line(request.param, uuid4().hex)


@pytest.fixture(params=["sync", "async"])
def begin(request: pytest.FixtureRequest, server: TestClient, line: Line) -> Iterator[Begin]:
    """Begins a call, each by another copy of one client."""
    loom.gate(line.newer)
    if request.param == "sync":
        with (
            ThreadPoolExecutor() as pool,
            Client(server.url, transport=line, trust_env=False) as client,
        ):
            yield lambda name: pool.submit(
                client.with_options(supersede="box").call, Loom.hold, name
            )
    else:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        other = AsyncClient(server.url, transport=line, trust_env=False)
        yield lambda name: asyncio.run_coroutine_threadsafe(
            other.with_options(supersede="box").call(Loom.hold, name), loop
        )
        asyncio.run_coroutine_threadsafe(other.aclose(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.mark.parametrize("line", ["lost", "refused"], indirect=True)
def test_an_older_call_is_not_tried_again(line: Line, begin: Begin, name: str) -> None:
    older = begin(name)
    assert line.met.wait(20)
    newer = begin(line.newer)
    with pytest.raises(Superseded) as caught:
        older.result(20)
    assert len(caught.value.call_id) == 32
    loom.GATES[line.newer].set()
    assert newer.result(20) == f"{line.newer} is done"
    assert line.verbs == ["POST"] * 2 and loom.RAN[name] == 0


@pytest.mark.parametrize("line", ["late"], indirect=True)
def test_the_newest_is_made_anew_where_an_older_one_came_later(
    line: Line, begin: Begin, name: str
) -> None:
    loom.gate(name)
    older = begin(name)
    assert line.met.wait(20)
    newer = begin(line.newer)
    wait_until(lambda: loom.RAN[line.newer] == 2, "it is made anew", 20)
    loom.GATES[line.newer].set()
    with pytest.raises(Superseded):
        older.result(20)
    assert newer.result(20) == f"{line.newer} is done"
    assert line.verbs == ["POST"] * 3


def test_a_conversation_is_not_tried_again_either() -> None:
    options = Options(supersede="box")

    def made() -> Conversation[str]:
        exchange: Exchange[str] = Exchange("http://127.0.0.1:1", booth.Booth.echo, None, options)
        return Conversation(exchange, {})

    older, newer = made(), made()
    older.connecting()
    newer.connecting()
    newer.connecting()
    del newer  # has ended
    with pytest.raises(Superseded):
        older.connecting()
    assert not older.exchange.is_left  # the newer one's request ends it


def test_calls_that_have_ended_are_forgotten(server: TestClient) -> None:
    with Client(server.url, trust_env=False) as client:
        for number in range(20):
            client.with_options(supersede=f"box {number}").call(Loom.together, "a")
        gc.collect()
        assert not client._options.newest._exchanges
