"""WebSockets to a server of the loom, the booth and the post, as a client has them."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from mothlight import File, current_call, method, service

SECONDS = 20


class Packet(BaseModel):
    file: File
    note: str = "none"


class Tag(BaseModel):
    name: str
    size: int = 1


@service
class Post:
    "What the loom and the booth have not."

    @method
    def unpack(self, packet: Packet) -> Iterator[str]:
        yield f"{packet.note} {len(packet.file.data)} {packet.file.media_type}"

    @method
    def both(self, packets: Iterator[Packet]) -> Iterator[Packet]:
        yield from packets

    @method
    def pages(self, count: int) -> Iterator[File]:
        for number in range(count):
            yield File(bytes([number]) * 3)

    @method
    async def ticks(self) -> AsyncIterator[int]:
        for number in range(3):
            yield number

    @method(http="GET /post/numbers")
    def numbers(self, count: int = 3) -> Iterator[int]:
        yield from range(count)

    @method(http="GET /post/tag")
    def tag(self, tag: Tag) -> str:
        return f"{tag.name} {tag.size}"

    @method
    def boom(self, count: int) -> Iterator[int]:
        yield from range(count)
        raise ValueError("a secret")

    @method
    def count(self, lines: Iterator[str]) -> int:
        return sum(1 for _ in lines)

    @method
    async def slowly(self, lines: AsyncIterator[str]) -> AsyncIterator[int]:
        "Takes a line, and no other until its gate is open."
        async for _ in lines:
            TAKEN.append(1)
            while not GATE.is_set():
                await asyncio.sleep(0.002)
        yield len(TAKEN)

    @method
    def linger(self, lines: Iterator[str]) -> None:
        "Takes a line, and no other until its call is left."
        next(lines)
        while not current_call().cancelled:
            time.sleep(0.01)
        LEFT.set()


LEFT = threading.Event()
GATE = threading.Event()
TAKEN: list[int] = []


def ws(url: str, path: str, **query: Any) -> str:
    return url.replace("http://", "ws://") + path + (f"?{urlencode(query)}" if query else "")


@contextmanager
def opened(url: str, path: str, query: Any = (), **options: Any) -> Iterator[ClientConnection]:
    options.setdefault("max_size", None)
    with connect(ws(url, path, **dict(query)), open_timeout=SECONDS, **options) as ready:
        yield ready


def refused(url: str, path: str, query: Any = (), **options: Any) -> tuple[int, dict[str, Any]]:
    """The status and the problem with which a handshake is answered."""
    try:
        with opened(url, path, query, **options):
            raise AssertionError("it was accepted")
    except InvalidStatus as error:
        response = error.response
        assert response.headers["content-type"] == "application/problem+json"
        problem = json.loads(response.body)
        assert problem["status"] == response.status_code
        return response.status_code, problem


def told(frame: str | bytes) -> Any:
    """A frame: JSON, or bytes as they are."""
    return json.loads(frame) if isinstance(frame, str) else frame


def read(ready: ClientConnection) -> Any:
    return told(ready.recv(timeout=SECONDS))


def rest(ready: ClientConnection) -> list[Any]:
    """All frames up to the close."""
    found = []
    try:
        while True:
            found.append(read(ready))
    except ConnectionClosed:
        return found


def items(ready: ClientConnection) -> list[Any]:
    """The items of a call that ends well; fails where it does not."""
    frames = [f for f in rest(ready) if not (isinstance(f, dict) and {*f} == {"received"})]
    assert frames[-1] == {"end": True}, frames[-1]
    assert code(ready) == 1000
    return frames[:-1]


def failure(ready: ClientConnection) -> dict[str, Any]:
    """The problem with which a call ends."""
    last = rest(ready)[-1]
    assert {*last} == {"error"}, last
    assert code(ready) == 1000
    problem: dict[str, Any] = last["error"]
    assert {"type", "code", "status", "detail"} <= set(problem)
    assert "secret" not in json.dumps(problem)
    return problem


def code(ready: ClientConnection) -> int | None:
    """The code that the server closed with."""
    while True:
        try:
            ready.recv(timeout=SECONDS)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else None


def cut(ready: ClientConnection) -> None:
    """Tears the connection."""
    with suppress(OSError):  # the server may have closed it already
        ready.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        ready.socket.shutdown(socket.SHUT_RDWR)


def small(url: str) -> socket.socket:
    """A connection with little room for what is not read."""
    host, _, port = url.removeprefix("http://").partition(":")
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(SECONDS)
    sock.connect((host, int(port)))
    return sock
