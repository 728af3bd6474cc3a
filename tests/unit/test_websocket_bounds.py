"""What a WebSocket's client may keep us waiting for, and keep in our memory: the protocol without a
socket, on a virtual clock, under an application that takes a message when the test lets it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import pytest
from desk import Desk
from uvicorn.server import ServerState

from clock import run
from mothlight import App
from mothlight.server import Server
from mothlight.websocket import WebSocket

TEXT, BINARY, MORE = 1, 2, 0


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = self.has_ended = self.is_paused = False

    def write(self, data: Any) -> None:
        assert not (data and self.has_ended)
        self.written += data

    def write_eof(self) -> None:
        self.has_ended = True

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class Taker:
    """An application that takes as many messages as it is let; ``found`` are their lengths."""

    def __init__(self) -> None:
        self.let = asyncio.Semaphore(0)
        self.found: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await self.let.acquire()
            event = await receive()
            if event["type"] != "websocket.receive":
                return
            self.found.append(len(event.get("text") or event["bytes"]))


def frame(kind: int, data: bytes, *, is_last: bool = True) -> bytes:
    head = bytes([kind | (0x80 if is_last else 0)])
    if len(data) < 126:
        return head + bytes([0x80 | len(data)]) + bytes(4) + data
    return head + b"\xff" + struct.pack("!Q", len(data)) + bytes(4) + data


async def opened(path: str = "/desk/words", **settings: Any) -> tuple[WebSocket, Transport, Taker]:
    config = Server(App(Desk, workers=0, **settings)).config
    config.load()
    make: Any = config.ws_protocol_class
    made = make(config=config, server_state=ServerState(), app_state={})
    made.app, transport = Taker(), Transport()
    made.connection_made(transport)
    made.data_received(
        b"GET %s HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
        % path.encode()
    )
    await until(lambda: transport.written)
    assert transport.written.startswith(b"HTTP/1.1 101")
    transport.written = b""
    return made, transport, made.app


async def until(found: Callable[[], Any]) -> None:
    while not found():
        await asyncio.sleep(0.001)


async def left(made: Any) -> None:
    made.connection_lost(None)
    for task in made.tasks:
        task.cancel()
    await until(lambda: not made.tasks)


def closed(transport: Transport) -> int:
    """The code that it was closed with; 0 while it is open."""
    at = transport.written.find(b"\x88")
    return int.from_bytes(transport.written[at + 2 : at + 4], "big") if at >= 0 else 0


@pytest.mark.parametrize(
    "begun",
    [
        frame(BINARY, b"x" * 100_000, is_last=False) + frame(MORE, b"x" * 1000, is_last=False),
        frame(TEXT, b"", is_last=False),
        frame(BINARY, b"x" * 100_000)[:-1],
    ],
    ids=["fragments", "an empty one", "half a frame"],
)
def test_a_message_that_does_not_end_is_not_waited_for(begun: bytes) -> None:
    async def main() -> None:
        made, transport, taker = await opened(body_timeout=0.1)
        for _ in range(3):  # one that ends in time may take its place
            made.data_received(frame(BINARY, b"x" * 9000)[:5000])
            await asyncio.sleep(0.06)
            made.data_received(frame(BINARY, b"x" * 9000)[5000:])
            taker.let.release()
            await until(lambda: made.queue.empty() and not transport.is_paused)
        assert taker.found == [9000] * 3 and not closed(transport)
        made.data_received(begun)
        begin = asyncio.get_running_loop().time()
        while not closed(transport):
            if made.frames:
                made.data_received(frame(9, b"still here"))  # a ping does not help
            await asyncio.sleep(0.01)
        assert closed(transport) == 1008 and transport.has_ended
        assert asyncio.get_running_loop().time() - begin >= 0.05
        assert not (made.frames or made.conn.reader.buffer), "its memory is free"
        await left(made)

    run(main())


def test_a_message_that_we_do_not_read_may_take_its_time() -> None:
    async def main() -> None:
        made, transport, taker = await opened(body_timeout=0.05)
        made.data_received(frame(TEXT, b"a") + frame(TEXT, b"b" * 9000)[:5000])
        assert transport.is_paused
        await asyncio.sleep(0.15)
        assert not closed(transport)
        taker.let.release()  # now it is the client who makes us wait
        await until(lambda: not transport.is_paused)
        await until(lambda: closed(transport))
        await left(made)

    run(main())


def test_json_over_its_bound_is_refused_before_it_is_read() -> None:
    async def main() -> None:
        head = frame(TEXT, b"x" * 2000)[:14]
        for path, expected in (("/calls", 1009), ("/calls?x=1", 1009), ("/desk/words", 0)):
            made, transport, _ = await opened(path, max_json=1000)
            made.data_received(head)
            assert closed(transport) == expected
            await left(made)

    run(main())


def test_who_is_refused_while_he_sends_may_read_why() -> None:
    async def main() -> None:
        made, transport, _ = await opened(max_body=1000)
        made.close_timeout = 0.05
        made.data_received(frame(BINARY, b"x" * 2000))
        assert closed(transport) == 1009 and transport.has_ended
        for _ in range(10):
            made.data_received(b"x" * 100_000)
        assert not transport.is_closed, "a reset would swallow what was said"
        assert not made.conn.reader.buffer
        assert transport.written.count(b"\x88") == 1
        await until(lambda: transport.is_closed)
        await left(made)

    run(main())


def test_of_many_messages_in_one_read_few_wait() -> None:
    async def main() -> None:
        made, transport, taker = await opened()
        count = 256 * 1024 // 7
        made.data_received(frame(TEXT, b"1") * count + frame(TEXT, b"12")[:7])
        assert transport.is_paused
        for _ in range(count):
            assert made.queue.qsize() < 1000, "they would take 15 MB"
            taker.let.release()
            await asyncio.sleep(0)
        await until(lambda: len(taker.found) == count)
        await until(lambda: not transport.is_paused)
        made.data_received(frame(TEXT, b"12")[7:])
        taker.let.release()
        await until(lambda: len(taker.found) > count)
        assert taker.found == [1] * count + [2]
        await left(made)

    run(main())


def test_a_close_behind_messages_that_nobody_takes_is_seen() -> None:
    async def main() -> None:
        made, transport, _ = await opened()
        made.data_received(frame(TEXT, b"1") * 9000 + frame(8, b"\x03\xe8"))
        await made.send({"type": "websocket.close", "code": 1000})
        assert transport.is_closed
        await left(made)

    run(main())
