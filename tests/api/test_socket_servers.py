"""Sockets of whole servers: how they drain, what they hold, and other servers than ours."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import fastapi
import pytest
import sockets
import uvicorn
from sockets import code, failure, items, opened, read, refused
from websockets.asyncio.client import connect

from live import Live, wait_until
from mothlight import App
from mothlight.backend.inbox import MAX_ITEMS
from mothlight.testing import TestClient
from services import booth, loom

SERVICES = "tests/services"


def stop(server: Live) -> None:
    server.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_call_may_end_when_the_server_stops(serve: Callable[..., Live], workers: int) -> None:
    server = serve(f"{SERVICES}/booth.py:Booth", workers=workers, drain=20)
    with opened(server.url, "/booth/echo") as call, opened(server.url, "/calls") as idle:
        call.send('"a"')
        while read(call) != "A":
            pass
        stop(server)
        assert code(idle) == 1012
        call.send('"b"')
        call.send('{"end":true}')
        assert "B" in items(call)
    assert server.process.wait(15) in (0, -signal.SIGTERM)
    assert "Traceback" not in server.text()


def test_a_call_that_does_not_end_is_closed_with_1012(serve: Callable[..., Live]) -> None:
    server = serve(f"{SERVICES}/booth.py:Booth", workers=0, drain=1)
    with opened(server.url, "/booth/echo") as call, opened(server.url, "/calls") as many:
        call.send('"a"')
        while read(call) != "A":
            pass
        message = {"open": 1, "path": "/booth/whose_async", "message": 1_000_000_000}
        many.send(json.dumps(message))
        read(many)
        stop(server)
        assert code(call) == 1012
        assert code(many) == 1012
    assert server.process.wait(15) in (0, -signal.SIGTERM)
    assert "Traceback" not in server.text()


def test_a_slow_reader_costs_little(serve: Callable[..., Live]) -> None:
    """40 sockets that ask for 2 GB, and read nothing of it."""
    server = serve(f"{SERVICES}/loom.py:Loom", workers=0, max_log=1 << 20)
    with ExitStack() as held, server.bounded(90):
        for _ in range(40):
            held.enter_context(_stalled(server.url))
        wait_until(lambda: server.metric("mothlight_streams") >= 40, "they are open")
        with opened(server.url, "/loom/threads") as ready:
            ready.send('{"count":10000}')
            assert len(items(ready)) == 10_001
        held.close()
        wait_until(lambda: server.metric("mothlight_streams") == 0, "they are left")


def _stalled(
    url: str, order: str = '{"count":1000,"width":50000}', path: str = "/loom/weave"
) -> socket.socket:
    """A call whose client answers nothing."""
    sock = sockets.small(url)
    message = order.encode()
    assert len(message) < 126
    sock.sendall(
        b"GET %s HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        % path.encode()
    )
    assert sock.recv(12) == b"HTTP/1.1 101"
    sock.sendall(bytes([0x81, 0x80 | len(message), 0, 0, 0, 0]) + message)
    return sock


HEAD = b"GET /loom/weave HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\n"
KEY = b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (HEAD + b"upgrade: h2c\r\n\r\n", 405),
        (HEAD.replace(b"GET", b"POST") + b"upgrade: websocket\r\ncontent-length: 0\r\n\r\n", 400),
        (HEAD + b"upgrade: websocket\r\n\r\n", 400),
        (HEAD + b"upgrade: websocket\r\nsec-websocket-version: 8\r\n" + KEY + b"\r\n", 400),
        (HEAD + b"upgrade: websocket\r\nx: " + b"y" * 9000 + b"\r\n\r\n", 400),
        (HEAD + b"upgrade: websocket\r\n" + b"x: y\r\n" * 200 + b"\r\n", 400),
        (HEAD.replace(b"weave", b"w\xc3\xa9") + b"upgrade: websocket\r\n" + KEY + b"\r\n", 400),
    ],
)
def test_odd_handshakes(request_: bytes, status: int) -> None:
    with TestClient(loom.Loom) as server:
        host, _, port = server.url.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), 10) as sock:
            sock.sendall(request_)
            assert int(sock.recv(65536).split(b" ")[1]) == status


def test_what_is_no_frame_ends_the_socket() -> None:
    with TestClient(loom.Loom) as server:
        for data in (b"\xff" * 20, b"\x81\x05hello", b"\x81\xff" + b"\xff" * 8 + b"abcd"):
            sock = _stalled(server.url)
            with sock, suppress(ConnectionResetError):
                sock.sendall(data)
                while sock.recv(65536):
                    pass


def test_who_answers_no_ping_is_dropped_and_who_only_waits_is_not() -> None:
    with (
        TestClient(loom.Loom, booth.Booth, heartbeat=0.1, send_timeout=0.5) as server,
        opened(server.url, "/calls", ping_interval=None) as idle,
    ):
        frames = b""
        with _stalled(server.url, '"a"', "/booth/echo") as dead, suppress(ConnectionResetError):
            while piece := dead.recv(65536):
                frames += piece
        assert b"\x03\xf3keepalive ping timeout" in frames, "closed with 1011"
        idle.send(json.dumps({"open": 1, "path": "/loom/together", "message": "a"}))
        assert read(idle)["opened"] == 1, "it was idle as long as the other"


def test_who_waits_for_room_is_not_dropped(tmp_path: Path) -> None:
    "His pongs are behind messages that we do not read."
    with (
        TestClient(booth.Booth, heartbeat=0.1, send_timeout=0.3) as server,
        opened(server.url, "/booth/sip") as ready,
    ):
        file = tmp_path / "gate"
        ready.send(json.dumps(str(file)))
        for _ in range(200):  # the method takes one, and 64 wait
            ready.send('"x"')
        assert not threading.Event().wait(1.5)
        for number in range(1, 201):
            Path(f"{file}.{number}").touch()
        ready.send('{"end":true}')
        assert len([item for item in items(ready) if isinstance(item, str)]) == 201


def test_pings_without_end_cost_nothing(serve: Callable[..., Live]) -> None:
    server = serve(f"{SERVICES}/loom.py:Loom", workers=0)
    ping = bytes([0x89, 0x80 | 100, 0, 0, 0, 0]) + b"p" * 100
    with server.bounded(20), _stalled(server.url) as sock:
        sent, many = 0, ping * 1000
        while sent < 30_000_000:
            sock.sendall(many)
            sent += len(many)


@contextmanager
def hosted(app: Any) -> Iterator[str]:
    """Plain uvicorn, in a thread."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, ws="websockets-sansio", lifespan="on")
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            wait_until(lambda: server.started, "uvicorn has started")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(15)
            assert not thread.is_alive()


@pytest.mark.parametrize("linger", [None, struct.pack("ii", 1, 0)], ids=["closed", "reset"])
@pytest.mark.parametrize("kind", ["ours", "plain"])
def test_who_leaves_while_he_is_ahead_of_the_method_is_missed(
    kind: str, linger: bytes | None
) -> None:
    sockets.LEFT.clear()
    plain = hosted(App(sockets.Post, workers=0, heartbeat=0.3))
    ours = TestClient(sockets.Post, heartbeat=0.3)

    async def leave(url: str) -> None:
        address = sockets.ws(url, "/post/linger")
        async with connect(address, compression=None, close_timeout=1) as ready:
            for _ in range(400):  # more than are taken, and less than the system holds
                await ready.send('"x"')
            while json.loads(await ready.recv()).get("received", 0) < MAX_ITEMS:
                pass
            if linger:
                held = ready.transport.get_extra_info("socket")
                held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            ready.transport.abort()

    with plain if kind == "plain" else ours as server:
        asyncio.run(leave(server if isinstance(server, str) else server.url))
        assert sockets.LEFT.wait(20)


def test_mounted_in_fastapi_under_plain_uvicorn() -> None:
    app = App(loom.Loom, booth.Booth, workers=0)
    host = fastapi.FastAPI(lifespan=app.lifespan)
    host.mount("/ml", app)
    with hosted(host) as url:
        with opened(url, "/ml/booth/echo") as ready:
            ready.send('"a"')
            ready.send('{"end":true}')
            assert "A" in items(ready)
        with opened(url, "/ml/calls") as ready:
            ready.send(json.dumps({"open": 1, "path": "/loom/together", "message": "a"}))
            assert [read(ready) for _ in range(3)][1]["value"] == "A"
        with opened(url, "/ml/loom/weave") as ready:
            ready.send('{"fail_at":1}')
            assert failure(ready)["type"] == "Torn"
        assert refused(url, "/ml/nowhere") == (
            404,
            {
                "type": "RouteNotFound",
                "code": "not_found",
                "status": 404,
                "detail": "nothing is served at /nowhere",
                "path": "/nowhere",
            },
        )
        with opened(url, "/ml/calls") as ready:
            pass


def test_a_mounted_app_without_its_lifespan_serves_none() -> None:
    host = fastapi.FastAPI()
    host.mount("/ml", App(loom.Loom, workers=0))
    with hosted(host) as url:
        assert refused(url, "/ml/calls")[1]["type"] == "Unavailable"


def test_plain_uvicorn_closes_them_when_it_stops() -> None:
    with ExitStack() as stack, hosted(App(booth.Booth, workers=0)) as url:
        held = stack.enter_context(opened(url, "/booth/echo"))
        read(held)
    assert code(held) == 1012
