"""A closed-loop HTTP client on bare sockets, for streams, and for calls where wrk is missing.

Each connection sends its request, reads the whole response, and sends it again: at once, or, in
waves, when all others have theirs too. Nothing is parsed but what tells where a response ends;
requests are encoded once. It runs in a process of its own: ``python -m bench.client`` takes the
arguments of ``Run`` as JSON on stdin.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import statistics
import sys
import time
from typing import Any

from .figures import percentile

FRESH = b"fresh-".ljust(32, b"-")  # load.FRESH
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One connection; a base for the two kinds of responses."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.run.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.run.lost(self)

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.run.next())

    def again(self, head: bytes) -> None:
        """A response is whole."""
        if not head.startswith(b"HTTP/1.1 200 "):
            self.run.errors += 1
        self.run.ended(self)


class Call(Connection):
    """Responses with a Content-Length."""

    def connection_made(self, transport: Any) -> None:
        self.buffer = b""
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end >= 0 and (length := _LENGTH.search(self.buffer, 0, end + 2)):
            whole = end + 4 + int(length[1])
            if len(self.buffer) >= whole:
                head, self.buffer = self.buffer[:end], self.buffer[whole:]
                self.run.items += 1
                self.again(head)


class Stream(Connection):
    """Chunked responses whose items are JSON objects without objects in them: their braces are
    counted. The first one's time is kept."""

    def send(self) -> None:
        self.head, self.tail, self.count = b"", b"", 0
        super().send()

    def data_received(self, data: bytes) -> None:
        if not self.count and (opened := data.count(b"{")):
            self.run.firsts.append(time.perf_counter() - self.sent)
            self.count = opened
        else:
            self.count += data.count(b"{")
        self.head = self.head or data[:16]
        if not self.head.startswith(b"HTTP/1.1 200 "):  # its end may be told in another way
            self.run.fail(f"an answer begins with {data[:300]!r}")
        self.tail = data[-7:] if len(data) >= 7 else (self.tail + data)[-7:]
        if self.tail == _LAST_CHUNK:
            # An explicit end, as ours has, is a line of its own.
            if self.count not in (self.run.expected, self.run.expected + 1):
                self.run.errors += 1
            self.run.items += min(self.count, self.run.expected)
            self.again(self.head)


class Run:
    """All connections of a measurement. ``expected``: items of a stream; 0 for calls."""

    def __init__(
        self,
        port: int,
        request: str,
        connections: int,
        seconds: float,
        expected: int,
        waves: bool = False,
    ) -> None:
        self.port, self.request = port, base64.b64decode(request)
        self.is_fresh = FRESH in self.request
        self.connections, self.seconds, self.expected = connections, seconds, expected
        self.kind = Stream if expected else Call
        self.waves = waves
        self.items = self.errors = 0
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.latest: list[float] = []  # of each wave: its last first item ÷ the median one
        self.open: set[Connection] = set()
        self.idle: list[Connection] = []  # those that wait for the next wave
        self.done: asyncio.Future[None]

    async def measure(self) -> dict[str, float]:
        loop = asyncio.get_running_loop()
        self.done = loop.create_future()
        self.start = time.perf_counter()
        self.end = self.start + self.seconds
        for _ in range(self.connections):
            await loop.create_connection(lambda: self.kind(self), "127.0.0.1", self.port)
        try:
            async with asyncio.timeout(self.seconds + 30):
                await self.done
        except TimeoutError:
            busy = len(self.open) - len(self.idle)
            raise TimeoutError(f"{busy} answers of port {self.port} do not end") from None
        seconds = self.last - self.start
        found = {
            "rate": self.items / seconds,
            "p50": statistics.median(self.latencies) * 1000,
            "p99": percentile(self.latencies, 0.99) * 1000,
            "errors": self.errors,
        }
        if self.firsts:
            found["first"] = statistics.median(self.firsts) * 1000
        if self.latest:
            found["latest"] = statistics.median(self.latest)
        return found

    def next(self) -> bytes:
        """The request, as it is sent next."""
        if not self.is_fresh:
            return self.request
        return self.request.replace(FRESH, os.urandom(16).hex().encode())

    def opened(self, connection: Connection) -> None:
        self.open.add(connection)
        if self.waves:
            self._wait(connection)
        else:
            connection.send()

    def ended(self, connection: Connection) -> None:
        """A response is whole."""
        self.last = time.perf_counter()
        self.latencies.append(self.last - connection.sent)
        if self.waves:
            self._wait(connection)
        else:
            self._go_on([connection])

    def _wait(self, connection: Connection) -> None:
        self.idle.append(connection)
        if len(self.idle) < self.connections:
            return
        if firsts := self.firsts[-self.connections :]:
            self.latest.append(max(firsts) / statistics.median(firsts))
        waiting, self.idle = self.idle, []
        self._go_on(waiting)

    def _go_on(self, connections: list[Connection]) -> None:
        """All of them send again, or none: the time may be over between one and the next."""
        if time.perf_counter() < self.end:
            for connection in connections:
                connection.send()
            return
        self.open.difference_update(connections)
        for connection in connections:
            connection.transport.close()
        if not self.open and not self.done.done():
            self.done.set_result(None)

    def lost(self, connection: Connection) -> None:
        if connection in self.open:
            self.fail("a connection was closed before its time")

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"port {self.port}: {reason}"))


if __name__ == "__main__":
    import uvloop

    print(json.dumps(uvloop.run(Run(**json.load(sys.stdin)).measure())))
