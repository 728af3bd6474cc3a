"""An open-loop HTTP client: ``python -m bench.arrivals`` takes the arguments of ``Run`` as JSON.

Requests arrive as they do from many strangers (a Poisson process), at a rate that does not care
whether the server keeps up; each takes an idle kept-alive connection, or a new one. A latency
counts from the time at which its request was to arrive, so that a client which is held up hides
nothing (no "coordinated omission").
"""

from __future__ import annotations

import asyncio
import base64
import gc
import json
import random
import re
import sys
import time
from collections import deque
from typing import Any

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_LINGER = 15.0
"""Seconds that answers may come after the last arrival."""

_TICK = 0.001
"""Seconds between two looks at what is due: the event loop would spin for less."""

NO_ANSWER = 0
"""The status of a request whose connection broke, or that had none, or that was not answered."""


class Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.buffer = b""
        self.index: int | None = None  # of the arrival that it carries
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, index: int) -> None:
        self.index = index
        self.transport.write(self.run.request)

    def data_received(self, data: bytes) -> None:
        data = self.buffer = self.buffer + data if self.buffer else data
        end = data.find(b"\r\n\r\n")
        if end < 0 or (length := _LENGTH.search(data, 0, end + 2)) is None:
            return
        if self.index is not None and len(data) >= end + 4 + int(length[1]):
            index, self.index, self.buffer = self.index, None, b""
            self.run.answered(index, int(data[9:12]))
            self.run.idle(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.run.lost(self)


class Run:
    """``phases``: (arrivals a second, seconds), one after the other without a pause."""

    def __init__(
        self,
        port: int,
        request: str,
        phases: list[tuple[float, float]],
        warm: int = 256,
        most: int = 4000,
    ) -> None:
        self.port, self.request = port, base64.b64decode(request)
        self.warm, self.most = warm, most
        self.due: list[float] = []  # seconds from the start
        self.phase: list[int] = []
        begin, draw = 0.0, random.Random(0)
        for number, (rate, seconds) in enumerate(phases):
            at = begin + draw.expovariate(rate)
            while at < begin + seconds:
                self.due.append(at)
                self.phase.append(number)
                at += draw.expovariate(rate)
            begin += seconds
        self.status = [NO_ANSWER] * len(self.due)
        self.latency = [0.0] * len(self.due)
        self.free: list[Connection] = []
        self.waiting: deque[int] = deque()  # arrivals for which a connection is being opened
        self.connections: set[Connection] = set()
        self.opening = 0
        self._tasks: set[asyncio.Future[None]] = set()
        self.open = len(self.due)  # arrivals that are not settled
        self.late = [0.0] * len(self.due)

    async def measure(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        self.done = loop.create_future()
        await asyncio.gather(*(self._connect() for _ in range(self.warm)))
        self.start = time.perf_counter() + 0.01
        await self._arrive()
        try:
            async with asyncio.timeout(_LINGER):
                await self.done
        except TimeoutError:
            pass
        for connection in list(self.connections):
            connection.transport.abort()
        while self.connections:
            await asyncio.sleep(0)
        return {
            "phase": self.phase,
            "due": self.due,
            "status": self.status,
            "latency": self.latency,
            "late": self.late,
        }

    async def _arrive(self) -> None:
        for index, due in enumerate(self.due):
            while (wait := self.start + due - time.perf_counter()) > 0:
                await asyncio.sleep(max(wait, _TICK))
            self.late[index] = -wait
            self._send(index)

    def _send(self, index: int) -> None:
        while self.free:
            connection = self.free.pop()
            if not connection.transport.is_closing():
                connection.send(index)
                return
        if len(self.connections) + self.opening >= self.most:
            self.answered(index, NO_ANSWER)
            return
        self.waiting.append(index)
        task = asyncio.ensure_future(self._connect())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self) -> None:
        self.opening += 1
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self), "127.0.0.1", self.port
            )
        except OSError:
            if self.waiting:
                self.answered(self.waiting.popleft(), NO_ANSWER)
            return
        finally:
            self.opening -= 1
        self.connections.add(connection)
        self.idle(connection)

    def idle(self, connection: Connection) -> None:
        """A connection has nothing to do."""
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.free.append(connection)

    def answered(self, index: int, status: int) -> None:
        """An arrival is settled."""
        self.status[index] = status
        self.latency[index] = time.perf_counter() - self.start - self.due[index]
        self.open -= 1
        if not self.open and not self.done.done():
            self.done.set_result(None)

    def lost(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if connection.index is not None and not self.done.done():
            self.answered(connection.index, NO_ANSWER)


if __name__ == "__main__":
    import uvloop

    gc.disable()  # a pause would be counted as the server's
    print(json.dumps(uvloop.run(Run(**json.load(sys.stdin)).measure())))
