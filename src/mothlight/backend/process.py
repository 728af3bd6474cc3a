"""The front's view of one worker process: start it, feed it, read it, see it die."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import Error, Unavailable
from ..schema import Payload
from ..service import Method, Service
from . import wire
from .base import Request, StartupError
from .batching import CONCURRENCY, PREFETCH, Ticket


class Process(asyncio.Protocol):
    """A worker process; a Runner of the scheduler."""

    def __init__(
        self,
        service: Service,
        *,
        threads: int,
        changed: Callable[[], None],
        died: Callable[[], None],
    ) -> None:
        self.service, self.threads = service, threads
        self.changed, self.died = changed, died
        self.ready = False
        self.ready_since = 0.0
        self.stopping = False
        self.started: asyncio.Future[None]
        self.closed: asyncio.Future[None]
        self._transport: asyncio.Transport | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._splitter = wire.Splitter()
        self._ids = 0
        self._batches: dict[int, Sequence[Ticket]] = {}
        self._streams: dict[int, Feed] = {}
        self._busy = 0  # synchronous batches in the worker; the others run side by side

    async def start(self, timeout: float) -> None:
        """Starts the process and waits until its model is loaded. Raises StartupError."""
        loop = asyncio.get_running_loop()
        self.started, self.closed = loop.create_future(), loop.create_future()
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._popen = subprocess.Popen(
                    [sys.executable, "-m", "mothlight.backend.worker", str(theirs.fileno())],
                    pass_fds=[theirs.fileno()],
                    env=_environment(self.threads),
                )
            ours.setblocking(False)
            async with asyncio.timeout(timeout):
                self._transport, _ = await loop.create_unix_connection(lambda: self, sock=ours)
                main = getattr(sys.modules["__main__"], "__file__", None)
                self._send(wire.Setup(self.service.address, sys.path, main, wire.Placement()))
                await self.started
        except TimeoutError:
            self.kill()
            raise StartupError(
                f"{self.service.name} was not ready after {timeout:g} s "
                "(start_timeout gives it longer)"
            ) from None
        except BaseException:
            self.kill()
            if self._transport is None:
                ours.close()
            raise

    # The socket

    def data_received(self, data: bytes) -> None:
        for body in self._splitter.feed(data):
            match wire.decode_to_front(body):
                case wire.Results(id, results, seconds):
                    self._answer(id, results, seconds)
                case wire.Items(id, payloads):
                    if feed := self._streams.get(id):
                        feed.put(payloads)
                case wire.End(id, problem):
                    if feed := self._streams.pop(id, None):
                        feed.end(problem)
                        self.changed()
                case wire.Pulse():
                    pass
                case wire.Ready():
                    self.ready = True
                    self.ready_since = asyncio.get_running_loop().time()
                    self.started.set_result(None)
                case wire.Failed(traceback):
                    self._fail_start(f"{self.service.name} could not be started\n{traceback}")

    def connection_lost(self, exc: Exception | None) -> None:
        was_ready, self.ready = self.ready, False
        reason = "the server is stopping" if self.stopping else f"the worker died{self._cause()}"
        self._fail_start(f"{self.service.name} could not be started: {reason}")
        for batch in self._batches.values():
            for ticket in batch:
                ticket.fail(Unavailable(reason=reason))
        for feed in self._streams.values():
            feed.fail(Unavailable(reason=reason))
        self._batches.clear()
        self._streams.clear()
        self._busy = 0
        if not self.closed.done():
            self.closed.set_result(None)
        if was_ready and not self.stopping:
            self.died()

    def _cause(self) -> str:
        assert self._popen
        try:
            status = self._popen.wait(0.1)
        except subprocess.TimeoutExpired:  # it closed its socket and lives on: of no more use
            self._popen.kill()
            self._popen.wait()
            return ""
        return f" of signal {-status}" if status < 0 else f" with exit status {status}"

    def _fail_start(self, message: str) -> None:
        if not self.started.done():
            self.started.set_exception(StartupError(message))

    def _send(self, frame: wire.ToWorker) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.write(wire.pack(frame))

    # Work

    @property
    def busy(self) -> bool:
        """Whether any call is in the worker."""
        return bool(self._batches or self._streams)

    def room(self, method: Method[Any, Any, Any], waiting: int) -> int:
        if not self.ready or self.stopping:
            return 0
        if method.is_async:
            return max(0, CONCURRENCY - len(self._batches))
        if self._busy == 0:
            return PREFETCH
        # A batch that is taken early only to wait in the worker had better be full.
        full = waiting >= (method.batching.max_size if method.batching else 1)
        return PREFETCH - self._busy if full else 0

    def run(self, method: Method[Any, Any, Any], tickets: Sequence[Ticket]) -> None:
        if not tickets:
            return
        self._ids += 1
        self._batches[self._ids] = tickets
        self._busy += not method.is_async
        payloads = [t.request.payload for t in tickets]
        calls = [t.request.id for t in tickets]
        deadlines = [t.request.deadline for t in tickets]
        self._send(wire.Batch(self._ids, method.name, payloads, calls, deadlines))

    def _answer(self, id: int, results: Sequence[Any], seconds: float) -> None:
        tickets = self._batches.pop(id)
        method = tickets[0].request.method
        self._busy -= not method.is_async
        size = len(tickets)
        for ticket, raw in zip(tickets, results, strict=True):
            result = wire.problem_or_payload(raw)
            if isinstance(result, Payload):
                ticket.answer(result, seconds, size)
            else:
                ticket.fail(Error.from_problem(result, method.raises))
        self.changed()

    # Streams

    @property
    def streams(self) -> int:
        """How many streams run in the worker."""
        return len(self._streams)

    def open(self, request: Request) -> Feed:
        """Starts a stream."""
        self._ids += 1
        id = self._ids
        feed = self._streams[id] = Feed(
            request, grant=lambda n: self._send(wire.Grant(id, n)), cancel=lambda: self._cancel(id)
        )
        self._send(
            wire.Open(id, request.method.name, request.payload, request.id, request.deadline)
        )
        return feed

    def _cancel(self, id: int) -> None:
        if id in self._streams:  # its place is free when the worker's End says so
            self._send(wire.Cancel(id))

    # The end

    async def stop(self) -> None:
        """Closes the socket, upon which the worker exits; kills it where it does not."""
        self.stopping = True
        if self._transport is None or self._popen is None:  # it is still being started
            self.kill()
            return
        self._transport.abort()  # close() would wait for a worker that reads no more
        await self.closed
        for _ in range(100):
            if self._popen.poll() is not None:
                return
            await asyncio.sleep(0.01)
        self.kill()

    def kill(self) -> None:
        """Ends the process at once."""
        self.stopping = True
        if self._popen:
            self._popen.kill()
            self._popen.wait()
        if self._transport:
            self._transport.abort()


class Feed:
    """The items of one stream, between the worker that sends and the protocol that reads."""

    def __init__(
        self, request: Request, *, grant: Callable[[int], None], cancel: Callable[[], None]
    ) -> None:
        self.request, self._grant, self._cancel = request, grant, cancel
        self._items: list[Payload] = []
        self._error: Error | None = None
        self._ended = False
        self._taken = 0  # since the last grant
        self._changed = asyncio.Event()

    def put(self, payloads: Sequence[Payload]) -> None:
        self._items += payloads
        self._changed.set()

    def end(self, problem: dict[str, Any] | None) -> None:
        error = None if problem is None else Error.from_problem(problem, self.request.method.raises)
        self._finish(error)

    def fail(self, error: Error) -> None:
        self._finish(error)

    def _finish(self, error: Error | None) -> None:
        if not self._ended:
            self._ended, self._error = True, error
            self._changed.set()

    async def take(self) -> list[Payload]:
        """All items that have come, at least one; [] at the end. Raises Error."""
        while not self._items:
            if self._ended:
                if self._error:
                    raise self._error
                return []
            self._changed.clear()
            await self._changed.wait()
        items, self._items = self._items, []
        self._taken += len(items)
        if self._taken >= wire.WINDOW // 2:  # seldom: each grant is a frame
            self._grant(self._taken)
            self._taken = 0
        return items

    def cancel(self) -> None:
        """Tells the worker that nobody reads any more."""
        if not self._ended:
            self._cancel()


def _environment(threads: int) -> dict[str, str]:
    environment = dict(os.environ)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.setdefault(name, str(threads))
    return environment
