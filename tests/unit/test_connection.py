"""The connection: its short way gives the same bytes as ASGI's, for each request and in any order;
who leaves cancels; who drains is answered."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import desk
import pytest
from asgi import Exchange
from desk import Desk
from uvicorn.server import ServerState

from live import multipart, wait_until
from mothlight import App
from mothlight.backend.base import Reply, Request
from mothlight.backend.promise import Promise
from mothlight.connection import MAX_SHORT, Alarm, Connection
from mothlight.errors import Overloaded, Unavailable
from mothlight.protocols import exposition
from mothlight.protocols.rest import Rest
from mothlight.schema import Payload
from mothlight.server import Server
from mothlight.testing import TestClient

Run = Callable[[Coroutine[Any, Any, Any]], Any]
pytestmark = pytest.mark.usefixtures("fresh_hold")


def post(path: str, body: bytes = b"", *lines: str, verb: str = "POST", kind: str = "") -> bytes:
    head = [f"{verb} {path} HTTP/1.1", "host: a", f"content-length: {len(body)}", *lines]
    if kind != "none":
        head.append(f"content-type: {kind or 'application/json'}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


NOTE = b'{"text": "hi"}'
GOOD = post("/desk/echo", NOTE)
FORM = "application/x-www-form-urlencoded"

SHORT = {
    "a call": GOOD,
    "a named call": post("/desk/echo", NOTE, "idempotency-key: 3f2b8c1d9e7a4650b1c2d3e4f5a69788"),
    "two connections": post("/desk/echo", NOTE, "connection: keep-alive"),
    "a bad name": post("/desk/echo", NOTE, "idempotency-key: a b"),
    "an empty name": post("/desk/echo", NOTE, "idempotency-key:"),
    "a declared error": post("/desk/echo", b'{"text": "busy"}'),
    "a failure": post("/desk/boom", NOTE),
    "no message": post("/desk/bell"),
    "no message, a body": post("/desk/bell", b"ignored"),
    "no length": b"POST /desk/bell HTTP/1.1\r\nhost: a\r\n\r\n",
    "a default": post("/desk/double", kind="none"),
    "a bare value": post("/desk/double", b"2.5"),
    "a bad bare value": post("/desk/double", b'"x"'),
    "not JSON": post("/desk/echo", b"{"),
    "an empty body": post("/desk/echo"),
    "not the message": post("/desk/echo", b'{"count": 0}'),
    "a form": post("/desk/echo", b"text=a+b&count=2", kind=FORM),
    "raw bytes": post("/desk/bare", b"123", kind="application/octet-stream"),
    "an unknown type": post("/desk/echo", NOTE, kind="text/plain"),
    "a charset": post("/desk/echo", NOTE, kind="application/json; charset=latin-1"),
    "packed": post("/desk/echo", NOTE, "content-encoding: gzip"),
    "a file": post("/desk/blank", b"7"),
    "files in JSON": post("/desk/kept", NOTE),
    "a deadline": post("/desk/echo", NOTE, "request-timeout: 5"),
    "a bad deadline": post("/desk/echo", NOTE, "request-timeout: soon"),
    "a priority": post("/desk/echo", NOTE, "priority: u=1, i"),
    "a bad priority": post("/desk/echo", NOTE, "priority: u=seven"),
    "the largest": post("/desk/bare", b"x" * MAX_SHORT, kind="application/octet-stream"),
    "an upgrade": post("/desk/echo", NOTE, "connection: upgrade", "upgrade: h2c"),
    "a lone upgrade": post("/desk/echo", NOTE, "upgrade: h2c"),
}
ASGI = {
    "larger": post("/desk/bare", b"x" * (MAX_SHORT + 1), kind="application/octet-stream"),
    "too large": post("/desk/echo", b"x" * 200_000),
    "the last": post("/desk/echo", NOTE, "connection: close"),
    "an old client": GOOD.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "another verb": post("/desk/echo", NOTE, verb="PUT"),
    "a query": post("/desk/echo?x=1", NOTE),
    "an escape": post("/desk/ech%6f", NOTE),
    "nowhere": post("/desk/nowhere", NOTE),
    "chunks": post("/desk/echo", b"", "transfer-encoding: chunked").replace(
        b"content-length: 0\r\n", b""
    )
    + b"5\r\n%b\r\n9\r\n%b\r\n0\r\n\r\n" % (NOTE[:5], NOTE[5:]),
    "a get": b"GET /desk/find?text=a HTTP/1.1\r\nhost: a\r\n\r\n",
    "a delete without answer": b"DELETE /desk/find?text=a HTTP/1.1\r\nhost: a\r\n\r\n",
    "a page": b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n",
    "a head": b"HEAD /health/live HTTP/1.1\r\nhost: a\r\n\r\n",
    "a stream": post("/desk/words", b'{"text": "a b c"}'),
    "expectation": post("/desk/echo", NOTE, "expect: 100-continue"),
}
CASES = {**SHORT, **ASGI}


def plain(answer: bytes) -> bytes:
    """An answer without what differs from call to call."""
    answer = re.sub(rb"date: [^\r]+", b"date: D", answer)
    answer = re.sub(rb"call-id: [0-9a-f]{32}\r", b"call-id: C\r", answer)
    return re.sub(rb"dur=\d+\.\d\d", b"dur=0", answer)


def curl_features() -> str:
    try:
        return subprocess.run(["curl", "-V"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return ""


class Wire:
    """A raw connection to a server; ``answer()`` is one whole response as it came."""

    def __init__(self, url: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 20)
        self.file = self.sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, *, is_head: bool = False) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.file.readline()
            if not line:
                return head
            head += line
        if head.startswith(b"HTTP/1.1 100"):
            return head + self.answer()
        if b"transfer-encoding: chunked" in head:
            while not head.endswith(b"\r\n0\r\n\r\n"):
                head += self.file.readline()
        elif (size := re.search(rb"content-length: (\d+)", head)) and not is_head:
            head += self.file.read(int(size[1]))
        return head

    def close(self) -> None:
        self.file.close()
        self.sock.close()


@contextmanager
def wire(url: str) -> Iterator[Wire]:
    opened = Wire(url)
    try:
        yield opened
    finally:
        opened.close()


def one(url: str, request: bytes) -> bytes:
    with wire(url) as opened:
        opened.send(request)
        return opened.answer(is_head=request.startswith(b"HEAD"))


def served(*, is_short: bool = True, **options: Any) -> TestClient:
    app = App(Desk, **{"workers": 0, "grace": 1, "max_body": 150_000, **options})
    if not is_short:
        app.site.rest.short.clear()
    return TestClient(app)


@pytest.fixture(scope="module")
def short() -> Iterator[str]:
    with served() as client:
        yield client.url


@pytest.fixture(scope="module")
def long() -> Iterator[str]:
    with served(is_short=False) as client:
        yield client.url


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which way each request went."""
    went: list[str] = []
    submit, serve = Rest.submit, Connection._begin_asgi

    def submits(*args: Any) -> Any:
        went.append("short")
        return submit(*args)

    def serves(self: Any) -> None:
        went.append("asgi")
        serve(self)

    monkeypatch.setattr(Rest, "submit", submits)
    monkeypatch.setattr(Connection, "_begin_asgi", serves)
    return went


# The same bytes


@pytest.mark.parametrize("case", CASES)
def test_both_ways_answer_alike(short: str, long: str, ways: list[str], case: str) -> None:
    mine = one(short, CASES[case])
    assert ways == ["short" if case in SHORT else "asgi"]
    theirs = one(long, CASES[case])
    assert ways[1:] == ["asgi"]
    assert mine.startswith(b"HTTP/1.1 ")
    assert plain(mine) == plain(theirs)


@pytest.mark.parametrize("case", SHORT)
def test_another_asgi_server_would_answer_alike(run: Run, short: str, case: str) -> None:
    head, _, body = SHORT[case].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    verb, path, _ = first.split(" ")
    headers = {k: v.strip() for k, _, v in (line.partition(":") for line in lines)}

    async def main() -> Any:
        async with App(Desk, workers=0, drain=1, max_body=150_000) as app:
            return await Exchange(app, verb, path, body, headers=headers)()

    theirs = run(main())
    head, _, body = plain(one(short, SHORT[case])).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")[1:]
    mine = [line for line in lines if not line.startswith("date")]
    found = "\r\n".join(f"{k}: {v}" for k, v in theirs.headers.items()) + "\r\n"
    assert [*mine, ""] == plain(found.encode()).decode().split("\r\n")
    assert body == theirs.body
    assert head.split(b" ")[1] == b"%d" % theirs.status


def test_pipelined_requests_are_answered_in_order(short: str) -> None:
    names = [n for n in CASES if n not in ("the last", "an old client", "too large")]
    names.remove("a head")  # has no body to tell its end by
    alone = {name: plain(one(short, CASES[name])) for name in names}
    mixed = [*names, *reversed(names), *(["a call"] * 10)]
    with wire(short) as opened:
        threading.Thread(
            target=opened.send, args=(b"".join(CASES[n] for n in mixed),), daemon=True
        ).start()
        for name in mixed:
            assert plain(opened.answer()) == alone[name], name


def test_a_fast_call_waits_for_the_slow_one_before_it(short: str) -> None:
    for first in ("/desk/wait", "/desk/wait?x=1"):  # the short way, and ASGI's
        desk.hold = desk.Hold()
        with wire(short) as opened:
            opened.send(post(first, b"1") + GOOD + post("/desk/bell"))
            assert desk.hold.began.wait(10)
            opened.sock.settimeout(0.1)
            with pytest.raises(TimeoutError):
                opened.sock.recv(1)
            opened.sock.settimeout(10)
            desk.hold.go.set()
            opened.file = opened.sock.makefile("rb")
            bodies = [opened.answer().partition(b"\r\n\r\n")[2] for _ in range(3)]
            assert bodies == [b"1", b'{"text":"hi","count":1}', b'"ding"']


# Upgrades to what is not spoken here: as if they had not been asked for (RFC 9110, 7.8)

H2C = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA\r\n"
"""What curl --http2 and Java's HttpClient send with every request."""

WITHIN = post("/desk/echo", b'{"text": "smuggled"}')
SMUGGLED = post("/desk/bare", WITHIN, kind="application/octet-stream")
"""A call whose file is a call."""


def asking(request: bytes, lines: bytes = H2C) -> bytes:
    return request.replace(b"host: a\r\n", b"host: a\r\n" + lines, 1)


@pytest.mark.parametrize("case", CASES)
def test_who_asks_for_an_upgrade_is_answered_as_any(short: str, ways: list[str], case: str) -> None:
    asked = [CASES[case], asking(CASES[case])]
    answers = [plain(one(short, request)) for request in asked]
    assert answers[0].startswith(b"HTTP/1.1 ")
    assert answers[0] == answers[1]
    assert ways[0] == ways[1]


def test_an_upgrades_body_is_not_the_next_request(short: str) -> None:
    with wire(short) as opened:
        opened.send(asking(SMUGGLED).removesuffix(WITHIN))
        opened.send(WITHIN)
        opened.send(GOOD)
        assert opened.answer().endswith(b"\r\n\r\n%d" % len(WITHIN))
        assert opened.answer().endswith(b'{"text":"hi","count":1}')


def test_an_upgrade_may_be_cut_anywhere_on_its_way(short: str) -> None:
    request = asking(SMUGGLED)
    with wire(short) as opened:
        opened.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in range(1, len(request)):
            opened.send(request[:cut])
            opened.send(request[cut:] + GOOD)
            assert opened.answer().endswith(b"\r\n\r\n%d" % len(WITHIN)), cut
            assert opened.answer().endswith(b'{"text":"hi","count":1}'), cut


@pytest.mark.skipif(" HTTP2 " not in curl_features(), reason="no curl that speaks HTTP/2")
def test_curl_may_ask_for_http_2(short: str) -> None:
    kind = "content-type: application/octet-stream"
    for size in (0, 1, MAX_SHORT + 1, 140_000):
        done = subprocess.run(
            ["curl", "-s", "--http2", "-H", kind, "--data-binary", "@-", short + "/desk/bare"],
            input=b"x" * size,
            capture_output=True,
            timeout=60,
            check=True,
        )
        assert done.stdout == b"%d" % size


def test_a_websocket_that_waits_behind_a_call_is_none(short: str) -> None:
    lines = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    plainly = b"GET /calls HTTP/1.1\r\nhost: a\r\n\r\n"
    with wire(short) as opened:
        opened.send(post("/desk/wait", b"1") + asking(plainly, lines) + GOOD)
        assert desk.hold.began.wait(10)
        desk.hold.go.set()
        assert opened.answer().endswith(b"\r\n1")
        assert plain(opened.answer()) == plain(one(short, plainly))
        assert opened.answer().endswith(b'{"text":"hi","count":1}')


@pytest.mark.parametrize("target", ["/desk/find", "http://a/desk/find", "a:443"])
def test_a_tunnel_is_refused_for_good(short: str, target: str) -> None:
    with wire(short) as opened:
        opened.send(post(target, GOOD, verb="CONNECT"))
        assert opened.answer().startswith(b"HTTP/1.1 400 ")
        assert opened.answer() == b"", "what follows may be meant for the tunnel"


# Without sockets: every place that a request can be cut at


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.is_closed = self.is_paused = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


def connect(app: App) -> tuple[Any, Transport]:
    config = Server(app).config
    config.load()
    state = ServerState()
    state.default_headers = [(b"date", b"today")]
    made: Any = config.http_protocol_class(config=config, server_state=state, app_state={})
    transport = Transport()
    made.connection_made(transport)
    return made, transport


async def until(found: Callable[[], Any]) -> None:
    while not found():
        await asyncio.sleep(0.001)


@pytest.mark.parametrize(
    "case",
    ["a named call", "a form", "not JSON", "no message, a body", "chunks", "nowhere", "a default"],
)
def test_a_request_may_come_in_pieces(run: Run, case: str) -> None:
    request = CASES[case]

    async def answers(cuts: list[int]) -> bytes:
        made, transport = connect(app)
        for start, end in zip([0, *cuts], [*cuts, len(request)], strict=True):
            made.data_received(request[start:end])
        await until(lambda: transport.written and not (made.cycle and made.tasks))
        made.connection_lost(None)
        assert made._short._timer is None, "a timer was left behind"
        return plain(transport.written)

    async def main() -> None:
        whole = await answers([])
        for cut in range(1, len(request)):
            assert await answers([cut]) == whole, cut
        assert await answers(list(range(1, len(request)))) == whole

    app = App(Desk, workers=0, drain=1)

    async def started() -> None:
        async with app:
            await main()

    run(started())


def test_upgrades_among_other_requests_may_come_in_pieces(run: Run) -> None:
    names = ["a call", "chunks", "a get", "an escape", "not JSON", "nowhere", "the last"]
    requests = [SMUGGLED, *(CASES[name] for name in names)]

    async def answers(data: bytes, cuts: list[int]) -> bytes:
        made, transport = connect(app)
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            made.data_received(data[start:end])
        await until(lambda: transport.is_closed)
        made.connection_lost(None)
        assert transport.written.count(b"HTTP/1.1 ") == len(requests)
        return plain(transport.written)

    async def main() -> None:
        async with app:
            data = b"".join(requests)
            whole = await answers(data, [])
            assert await answers(data, list(range(1, len(data)))) == whole
            data = b"".join(
                asking(request) if at != 1 else request for at, request in enumerate(requests)
            )
            assert await answers(data, []) == whole
            assert await answers(data, list(range(1, len(data)))) == whole
            for cut in range(1, len(data)):
                assert await answers(data, [cut]) == whole, cut

    app = App(Desk, workers=0, drain=1)
    run(main())


def test_a_body_that_dawdles_is_waited_for_elsewhere(
    run: Run, ways: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mothlight.connection._DAWDLE", 0.001)

    async def main() -> None:
        async with App(Desk, workers=0, drain=1, body_timeout=0.3) as app:
            for rest, status in ((NOTE[3:], b"200"), (b"", b"408")):
                made, transport = connect(app)
                made.data_received(GOOD[: -len(NOTE) + 3])
                assert made._short.is_open
                await until(lambda made=made: not made._short.is_open)
                made.data_received(rest)
                await until(lambda made=made: made.cycle.response_complete or made.cycle.body)
                await until(lambda transport=transport: transport.written)
                assert transport.written.split(b" ")[1] == status
                made.connection_lost(None)
                await until(lambda made=made: not made.tasks)

    run(main())
    assert ways == ["asgi", "asgi"]


# Refusals, and what the backend is asked


class Front:
    """A Backend that keeps what it is asked, and answers as it is told."""

    is_ready, queued = True, 0

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.futures: list[asyncio.Future[Reply]] = []
        self.error: Exception | None = None

    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None: ...

    def unary(self, request: Request) -> asyncio.Future[Reply]:
        if self.error:
            raise self.error
        self.asked.append(request)
        self.futures.append(Promise(asyncio.get_running_loop()))
        return self.futures[-1]


REPLY = Reply(Payload(b'"x"'), 0.001, 0.002, 3)


@pytest.fixture
def front(run: Run) -> Callable[..., Any]:
    """Runs ``work(front, connection, transport)`` with a backend that does what the test says."""

    def front(work: Callable[..., Coroutine[Any, Any, None]], **settings: Any) -> None:
        async def main() -> None:
            backend: Any = Front()
            made, transport = connect(App(Desk, backend=backend, **settings))
            await work(backend, made, transport)
            if made.parser:
                made.connection_lost(None)
            await asyncio.sleep(0)

        run(main())

    return front


def test_a_request_carries_its_urgency_and_deadline(front: Any) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        for line, urgency in (("x: y", 3), ("priority: u=0", 0), ("priority: u=9", 3)):
            made.data_received(post("/desk/echo", NOTE, line, "request-timeout: 7"))
            request = backend.asked[-1]
            assert request.urgency == urgency
            assert request.deadline and request.deadline - made._short._call.start == 7
            assert request.payload == Payload(NOTE)
            backend.futures[-1].set_result(REPLY)
            await until(lambda: made.cycle.response_complete)

    front(work)


@pytest.mark.parametrize("error", [Overloaded(retry_after=1.2), Unavailable(reason="stopping")])
def test_a_refusal_is_answered_at_once(front: Any, error: Any) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        backend.error = error
        made.data_received(GOOD * 3)
        answers = transport.written.split(b"HTTP/1.1 ")[1:]
        assert len(answers) == 3
        assert not made.tasks and not made.pipeline
        for answer in answers:
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"503 ")
            assert b"retry-after: %d" % (2 if error.retry_after > 1 else 1) in head
            assert json.loads(body) == error.problem()
        backend.error = None
        made.data_received(GOOD)
        backend.futures[-1].set_result(REPLY)
        await until(lambda: made.cycle is made._short and made.cycle.response_complete)
        assert transport.written.endswith(b'"x"')

    front(work)


def test_a_bug_of_ours_is_a_500(front: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        backend.error = KeyError("a bug")
        made.data_received(GOOD)
        backend.error = None
        made.data_received(GOOD)
        backend.futures[-1].set_exception(KeyError("a bug"))
        await until(lambda: transport.written.count(b"HTTP/1.1 500") == 2)
        assert b"a bug" not in transport.written
        assert "Desk.echo failed outside its worker" in caplog.text

    front(work)


def test_who_leaves_cancels(front: Any) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        made.data_received(GOOD + GOOD)  # the second one waits, and is never begun
        (future,) = backend.futures
        made.connection_lost(None)
        assert future.cancelled()
        await asyncio.sleep(0)
        assert not made.tasks and len(backend.asked) == 1
        assert transport.written == b""

    front(work)


def test_who_leaves_in_the_middle_of_the_body_leaves_nothing(front: Any) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        made.data_received(GOOD[:-1])
        timer = made._short._timer
        made.connection_lost(None)
        assert timer.cancelled() and not backend.asked

    front(work)


def test_a_call_that_was_accepted_is_answered_while_draining(front: Any) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        made.data_received(GOOD)
        made.shutdown()
        assert not transport.is_closed
        backend.futures[0].set_result(REPLY)
        await until(lambda: transport.is_closed)
        assert b"connection: close\r\n" in transport.written

    front(work)


@pytest.mark.parametrize("path", ["/desk/echo", "/desk/echo?x=1"])  # the short way, and ASGI's
def test_the_end_of_grace_is_told(front: Any, path: str, caplog: pytest.LogCaptureFixture) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        made.data_received(post(path, NOTE))
        await until(lambda: backend.futures)
        made.shutdown()
        for waiting in made.tasks:  # as uvicorn does it: who hears of it must not change the set
            waiting.cancel(msg="Task cancelled, timeout graceful shutdown exceeded")
        await until(lambda: transport.is_closed)
        assert transport.written.startswith(b"HTTP/1.1 503")
        assert b"the server is stopping" in transport.written
        assert not caplog.text

    front(work)


def test_an_idle_connection_may_ask_once_more_after_shutdown(front: Any) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        made.data_received(GOOD)
        backend.futures[0].set_result(REPLY)
        await until(lambda: made.cycle.response_complete)
        made.shutdown()
        assert not transport.is_closed, "its next request may be on its way"
        assert not made.is_draining  # which the server sets for all
        made.is_draining = True
        made.data_received(GOOD)
        backend.futures[1].set_result(REPLY)
        await until(lambda: transport.is_closed)
        assert transport.written.count(b"connection: close\r\n") == 1

    front(work)


def test_a_connection_that_stays_idle_is_closed_a_moment_after_shutdown(front: Any) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        made.shutdown()
        assert not transport.is_closed
        await until(lambda: transport.is_closed)

    front(work)


def test_a_body_on_its_way_is_waited_for_while_draining(front: Any) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        made.data_received(GOOD[:-1])
        made.shutdown()
        assert not transport.is_closed
        made.data_received(GOOD[-1:])
        await until(lambda: backend.futures)
        backend.futures[0].set_result(REPLY)
        await until(lambda: transport.is_closed)
        assert transport.written.startswith(b"HTTP/1.1 200")

    front(work)


def test_an_idle_connection_keeps_nothing_of_what_it_was_asked(front: Any) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        for pieces in ([GOOD], [GOOD[:-5], GOOD[-5:]]):
            for piece in pieces:
                made.data_received(piece)
            assert backend.asked.pop().payload == Payload(NOTE)
            backend.futures[-1].set_result(REPLY)
            await until(lambda: made.cycle.response_complete)
            assert (made._short.headers, made._short.body, made.headers) == ({}, b"", [])

    front(work)


@pytest.mark.parametrize(
    ("client", "named", "whose"),
    [
        ("2001:db8::1", "", "2001:db8::/64"),
        ("127.0.0.1", "203.0.113.9, 127.0.0.1", "203.0.113.9"),
        ("127.0.0.1", "203.0.113.9:51234", "203.0.113.9"),
        ("::1", "[2001:db8::2]:443", "2001:db8::/64"),
        ("192.0.2.1", "203.0.113.9", "192.0.2.1"),
    ],
)
def test_both_ways_tell_callers_apart_alike(
    front: Any, monkeypatch: pytest.MonkeyPatch, client: str, named: str, whose: str
) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        made.client = (client, 50_000)
        for path in ("/desk/echo", "/desk/echo?x=1"):  # the short way, and ASGI's
            made.data_received(post(path, NOTE, f"x-forwarded-for: {named}"))
            await until(lambda: backend.futures)
            assert backend.asked[-1].principal == whose
            backend.futures.pop().set_result(REPLY)
            await until(lambda: made.cycle.response_complete)

    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # what uvicorn would do with them
    front(work)


def test_who_reads_slowly_is_waited_for_and_who_reads_nothing_is_not(front: Any) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        transport.unsent = 1_000_000
        made.pause_writing()
        for _ in range(30):
            await asyncio.sleep(0.02)
            transport.unsent -= 1
            assert not transport.is_closed
        await until(lambda: transport.is_closed)

    front(work, send_timeout=0.2)


def test_who_does_not_read_is_asked_to_wait(front: Any, ways: list[str]) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        made.pause_writing()
        made.data_received(GOOD)
        await until(lambda: backend.futures)
        backend.futures[0].set_result(REPLY)
        await asyncio.sleep(0.01)
        assert transport.written == b""
        made.resume_writing()
        await until(lambda: transport.written)

    front(work)
    assert ways == ["asgi"]


def test_cross_origin_calls_get_their_headers(front: Any, ways: list[str]) -> None:
    async def work(backend: Front, made: Any, transport: Transport) -> None:
        for line in ("origin: https://a.example", "x: y"):
            made.data_received(post("/desk/echo", NOTE, line))
            await until(lambda: backend.futures)
            backend.futures.pop().set_result(REPLY)
            await until(lambda: made.cycle.response_complete)
        assert transport.written.count(b"access-control-allow-origin") == 1

    front(work, cors=("https://a.example",))
    assert ways == ["asgi", "short"]


# On a live server


def test_a_client_that_goes_away_frees_its_call(short: str) -> None:
    with wire(short) as opened:
        opened.send(post("/desk/wait", b"1"))
        assert desk.hold.began.wait(10)
        before = cancelled()
    wait_until(lambda: cancelled() == before + 1, "the call is counted as cancelled")


def cancelled() -> float:
    found = re.search(
        r'^mothlight_requests_total{code="cancelled",method="Desk.wait"} (\S+)',
        exposition.render().decode(),
        re.MULTILINE,
    )
    return float(found[1]) if found else 0.0


def test_a_server_that_stops_answers_what_it_has_accepted() -> None:
    client = served()
    with wire(client.url) as opened:
        opened.send(post("/desk/wait", b"1"))
        assert desk.hold.began.wait(10)
        stopping = threading.Thread(target=client.close)
        stopping.start()
        desk.hold.go.set()
        answer = opened.answer()
        assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"\r\n1")
        stopping.join(20)
        assert not stopping.is_alive()


def test_a_server_that_stops_takes_its_time_once() -> None:
    client = served(drain=1)
    asked = post("/desk/wait", b"1")
    with wire(client.url) as first, wire(client.url) as second:
        first.send(post("/desk/wait", b"1", "prefer: respond-async"))
        assert first.answer().startswith(b"HTTP/1.1 202")
        second.send(asked)
        assert desk.hold.began.wait(10)
        begin = time.monotonic()
        client.close()  # it waits for connections, then for the background, then for the models
        assert 0.9 < time.monotonic() - begin < 1.9
        assert second.answer().startswith(b"HTTP/1.1 503")


def test_a_slow_download_is_not_cut() -> None:
    half = b"x" * 6_000_000
    body, kind = multipart(
        ('content-disposition: form-data; name="left"; filename="a"', half),
        ('content-disposition: form-data; name="right"; filename="b"', half),
    )
    with served(max_body=32 << 20, send_timeout=1) as client, wire(client.url) as opened:
        opened.send(post("/desk/join", body, kind=kind))
        head = opened.file.readline()
        while (line := opened.file.readline()) != b"\r\n":
            head += line
        assert head.startswith(b"HTTP/1.1 200")
        left = 2 * len(half)
        while left:
            piece = opened.file.read(min(left, 250_000))
            assert piece, f"cut, {left} bytes before its end"
            left -= len(piece)
            time.sleep(0.05)  # 2.4 seconds in all


# The alarm


class Clock:
    """An event loop's timers, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Any, Any]] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Any) -> Any:
        entry = (when, self.made, call)
        self.made += 1
        self.timers.append(entry)
        return SimpleNamespace(cancel=lambda: entry in self.timers and self.timers.remove(entry))

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted(t for t in self.timers if t[0] <= end):
            self.timers.remove(due[0])
            self.now = due[0][0]
            due[0][2]()
        self.now = end


def test_an_alarm_rings_once_and_when_it_was_last_set() -> None:
    clock: Any = Clock()
    rung: list[float] = []
    alarm = Alarm(clock, lambda: rung.append(clock.now))
    alarm.set(10)
    clock.advance(4)
    alarm.set(10)
    clock.advance(8)
    assert rung == []
    clock.advance(8)
    assert rung == [14]
    alarm.set(10)
    alarm.set(2)
    clock.advance(30)
    assert rung == [14, 22]
    alarm.set(5)
    alarm.clear()
    clock.advance(30)
    assert rung == [14, 22] and clock.timers == []
    alarm.set(5)
    alarm.stop()
    assert clock.timers == []


def test_an_alarm_that_is_set_often_makes_few_timers() -> None:
    clock: Any = Clock()
    alarm = Alarm(clock, lambda: None)
    for _ in range(10_000):
        alarm.set(75)
        clock.advance(0.01)
        alarm.clear()
    assert clock.made <= 3
