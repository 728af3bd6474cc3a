"""Calls that are kept for who comes back: what they cost the front process, and that nothing of
them is left when their time is over.

answers    10,000 small ones that have ended well and may be asked for again
streams    1,000 of 20 items, likewise
left       10,000 that run or wait, and whose clients are away
open       1,000 streams that give nothing, and whose clients wait for it
"""

from __future__ import annotations

import contextlib
import math
import re
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from mothlight.backend.running import CONCURRENCY

from . import processes, questions
from .departures import send
from .figures import Figures, Row
from .load import Request
from .outlive import fresh_key, keyed
from .servers import Server, serving
from .works import Stage

KEEP = 12.0
"""Seconds that calls are kept, and half as many that they are left: it takes less to make all."""

ANSWERS, STREAMS, OPEN = 10_000, 1_000, 1_000
_ITEMS = 20  # of a stream
_CONNECTIONS = 4
_WINDOW = 64  # requests that are on their way on one of them
_PATIENCE = 60.0


@dataclass(frozen=True)
class Kept:
    """``each``: kB that the front process's memory grows by for one; ``left``: what the server
    knows of them, and holds for them, when their time is over; ``memory``: MB that it has more than
    at the start: the allocator keeps what it was given, and uses it again."""

    each: Row
    left: Row
    memory: Row

    @property
    def rows(self) -> Sequence[Row]:
        return (self.each, self.left, self.memory)

    def run(self, stage: Stage) -> Figures:
        """All on a fresh server: what was let go of is used again, and would be seen by nobody."""
        share = min(1.0, stage.seconds / 2)
        workers = math.ceil(OPEN * share / CONCURRENCY)
        keep, grace = KEEP * share, KEEP * share / 2
        settings = (f"grace={grace}", f"keep={keep}", "max_queue=20000", "max_delay=3600")
        with serving("served", "outlive", (str(workers), *settings)) as server:
            server.drive(questions.review(), _CONNECTIONS * _WINDOW, 1.0)  # warm
            start = _front(server)
            each = self._make(server, share)
            most = _front(server) - start
            with contextlib.suppress(TimeoutError):
                _forgotten(server, grace + keep + 5)
            left = {name: _gauge(server, f"calls_{name}") for name in ("known", "bytes")}
            over = _front(server) - start
            with _answers(server, round(ANSWERS * share)):
                again = _front(server) - start
        memory = {"with all": most, "without": over, "with as many answers again": again}
        return {self.each.title: each, self.left.title: left, self.memory.title: memory}

    def _make(self, server: Server, share: float) -> dict[str, float]:
        """Makes them, those last whose connections are let go of again; kB for each, NaN where the
        machine was so busy that the first were forgotten before the last were made."""
        kinds: dict[str, tuple[Callable[[Server, int], _Made], int]] = {
            "answers": (_answers, ANSWERS),
            "streams": (_streams, STREAMS),
            "open": (_open, OPEN),
            "left": (_left, ANSWERS),
        }
        each, all_made = {}, 0
        with contextlib.ExitStack() as stack:
            for kind, (make, most) in kinds.items():
                count, before = round(most * share), _front(server)
                stack.enter_context(make(server, count))
                all_made += count
                are_there = _settled(server) == all_made
                growth = (_front(server) - before) * 1000
                each[kind] = growth / count if are_there else math.nan
        return each


_Made = contextlib.AbstractContextManager[None]
"""Calls that are there, until the end of the block at the latest."""


@contextlib.contextmanager
def _answers(server: Server, count: int) -> Iterator[None]:
    request = questions.review()
    _pipeline(server, request, count, b'{"score":0.5}')
    yield


@contextlib.contextmanager
def _streams(server: Server, count: int) -> Iterator[None]:
    _pipeline(
        server, Request("GET", f"/fast?count={_ITEMS}", items=_ITEMS), count, b"\r\n0\r\n\r\n"
    )
    yield


@contextlib.contextmanager
def _left(server: Server, count: int) -> Iterator[None]:
    for _ in range(count):
        send(server, "/wait", "first", keyed(fresh_key())).close()
    yield


@contextlib.contextmanager
def _open(server: Server, count: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(count):
            client = stack.enter_context(
                socket.create_connection(("127.0.0.1", server.port), _PATIENCE)
            )
            request = Request("GET", "/idle", items=1, more=keyed(fresh_key()))
            client.sendall(request.encode(server.port))
            clients.append(client)
        for client in clients:
            data = b""
            while b"{" not in data:
                if not (piece := client.recv(1 << 16)):
                    raise ConnectionError("a stream has ended")
                data += piece
        yield


def _pipeline(server: Server, request: Request, count: int, end: bytes) -> None:
    """Makes so many calls, each with a key of its own; ``end`` is in each answer's end, once."""
    with contextlib.ExitStack() as stack:
        address = ("127.0.0.1", server.port)
        socks = [
            stack.enter_context(socket.create_connection(address, _PATIENCE))
            for _ in range(_CONNECTIONS)
        ]
        while count:
            shares = []
            for sock in socks:
                share = min(_WINDOW, count)
                calls = [replace(request, more=keyed(fresh_key())) for _ in range(share)]
                sock.sendall(b"".join(call.encode(server.port) for call in calls))
                shares.append(share)
                count -= share
            for sock, share in zip(socks, shares, strict=True):
                _read(sock, end, share)


def _read(sock: socket.socket, end: bytes, count: int) -> None:
    """Reads so many answers."""
    data = bytearray()
    while data.count(end) < count:
        if not (piece := sock.recv(1 << 20)):
            raise ConnectionError("no answer")
        data += piece
        if refused := re.search(rb"HTTP/1.1 [345].{,500}", data, re.DOTALL):
            raise RuntimeError(f"{refused[0]!r}")


def _front(server: Server) -> float:
    return processes.resident([server.process.pid])


def _settled(server: Server) -> float:
    """How many calls the server knows, when no more have come for a moment."""
    known, before = _gauge(server, "calls_known"), -1.0
    while known != before:
        time.sleep(0.1)
        known, before = _gauge(server, "calls_known"), known
    return known


def _forgotten(server: Server, seconds: float) -> None:
    """Returns when the server knows none. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while known := _gauge(server, "calls_known"):
        if time.monotonic() > until:
            raise TimeoutError(f"{known:g} calls are known after {seconds:g} s")
        time.sleep(0.05)


def _gauge(server: Server, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=30) as page:
        text = page.read().decode()
    found = re.search(rf"^mothlight_{name} (\S+)$", text, re.MULTILINE)
    if not found:
        raise RuntimeError(f"the server does not tell mothlight_{name}")
    return float(found[1])
