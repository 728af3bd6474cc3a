"""Streams that think, what runs beside them, and clients that leave.

When a generator is closed, or a call begins, is told by the models themselves (``ledger``), on the
clock that all processes share: nothing of it is the server's own word.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from . import models
from .figures import Figures, Row, percentile
from .load import Readers, Request, readers
from .servers import Server
from .works import OneRow, Stage

_ENDLESS = "?count=100000000"
SLOW = Request("GET", f"/slow{_ENDLESS}", items=1)
FAST = Request("GET", f"/fast{_ENDLESS}", items=1)

Streams = tuple[tuple[Request, int], ...]
"""So many clients of each of these streams."""


@contextlib.contextmanager
def reading(server: Server, streams: Streams, may_end: bool = False) -> Iterator[Readers]:
    """Streams that flow; at the end all their generators are closed."""
    server.ledger.skip()
    with readers(server.port, streams, may_end) as clients:
        yield clients
    server.ledger.wait("closed", sum(count for _, count in streams))


@dataclass(frozen=True)
class SlowStreams(OneRow):
    """Streams whose model thinks before each item: how many items come, of the possible."""

    count: int
    of: str

    def run(self, stage: Stage) -> Figures:
        with reading(stage.server(self.of), ((SLOW, self.count),)) as clients:
            rate = clients.count(stage.seconds)
        return {self.row.title: {self.of: rate, "possible": self.count / models.PAUSE}}


@dataclass(frozen=True)
class Beside(OneRow):
    """A trivial call, over and over, with and without slow streams that run meanwhile: p99."""

    request: Callable[[], Request]
    count: int
    of: str

    def run(self, stage: Stage) -> Figures:
        server = stage.server(self.of)
        without = server.drive(self.request(), 1, stage.seconds)["p99"]
        with reading(server, ((SLOW, self.count),)):
            beside = server.drive(self.request(), 1, stage.seconds)["p99"]
        return {self.row.title: {"beside them": beside, "without them": without}}


@dataclass(frozen=True)
class Leave(OneRow):
    """Clients of endless streams all close their connections: milliseconds until the last generator
    is closed, counted from before the first connection was."""

    streams: Streams
    of: str
    times: int = 5

    def run(self, stage: Stage) -> Figures:
        return _spread(self.row, [self._once(stage.server(self.of)) for _ in range(self.times)])

    def _once(self, server: Server) -> float:
        with reading(server, self.streams) as clients:
            clients.count(0.3)
            left = clients.leave()
            closed = server.ledger.wait("closed", sum(count for _, count in self.streams))
        return (max(closed) - left) * 1000


@dataclass(frozen=True)
class LeaveCalls(OneRow):
    """Clients of unary calls all leave, one call or batch being computed and the others queued:
    milliseconds until the worker begins with the next caller's call, or, with ``until``, until all
    have noted the event of this name; infinite where they do not."""

    path: str
    count: int
    of: str
    until: str = ""
    times: int = 3

    def run(self, stage: Stage) -> Figures:
        found: list[float] = []
        while len(found) < self.times and math.inf not in found:
            found.append(self._once(stage.server(self.of)))
        return _spread(self.row, found)

    def _once(self, server: Server) -> float:
        server.ledger.skip()
        clients = [send(server, self.path, "first") for _ in range(self.count)]
        server.ledger.wait("first", self.count if self.until else 1)
        time.sleep(models.CALL / 2)  # amid a call, when all others have come
        left = time.monotonic()
        for client in clients:
            client.close()
        if self.until:
            try:
                return (max(server.ledger.wait(self.until, self.count, 5)) - left) * 1000
            except TimeoutError:
                return math.inf
        time.sleep(0.002)  # who comes next comes after
        with send(server, self.path, "next") as client:
            (begun,) = server.ledger.wait("next", 1)
            client.recv(1 << 16)
        return (begun - left) * 1000


def _spread(row: Row, found: Sequence[float]) -> Figures:
    return {row.title: {"median": percentile(found, 0.5), "longest": max(found)}}


def send(
    server: Server, path: str, note: str, more: tuple[tuple[str, str], ...] = ()
) -> socket.socket:
    """The connection on which a call with this note is on its way; ``more``: headers."""
    request = Request("POST", path, "application/json", json.dumps(note).encode(), more=more)
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall(request.encode(server.port))
    return client
