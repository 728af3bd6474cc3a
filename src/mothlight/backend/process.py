"""The front's view of one worker process: start it, feed it, read it, see it die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from .. import metrics, timeline
from ..errors import Error, Unavailable
from ..schema import Payload
from ..services import Method, Service
from . import obituary, wire
from .arena import Arena
from .base import StartupError
from .launch import Launched, launch, surroundings
from .running import Running
from .scheduler import Scheduler
from .ticket import CONCURRENCY, Ticket

PREFETCH = 2
"""Batches that a synchronous runner holds at most: one that runs, and one whose files are opened
meanwhile."""

_LEAVE = 1.0
"""Seconds in which a worker that is told to go has to end, and one that was killed."""

_DEATH = 0.1
"""Seconds from the end of its socket to that of a process that dies."""


class Held(NamedTuple):
    """A batch in the worker."""

    tickets: Sequence[Ticket]
    predicted: float
    since: float


class Process(asyncio.Protocol):
    """A worker process; a Runner of the scheduler. ``died`` is called when it ends unbidden."""

    def __init__(
        self,
        service: Service,
        scheduler: Scheduler,
        placement: wire.Placement,
        log: wire.Log,
        died: Callable[[], None],
    ) -> None:
        self.service, self.scheduler, self.placement = service, scheduler, placement
        self.log = log
        self.died = died
        self.begun = time.monotonic()
        self.ready = False
        self.ready_since = 0.0
        self.heard = 0.0  # when it last gave a sign of life
        self.memory = 0  # bytes that are resident
        self.frozen: float | None = None  # since when it has been seen stopped by a signal
        self.served = 0  # calls
        self.renewing = False  # its successor is being started
        self.retiring = False  # it takes no new calls
        self.stopping = False
        self.farewell = ""  # what the calls are told that it still holds when it stops
        self.cause = ""  # why we killed it, or what it died of
        self.kind = ""  # the same in a word
        self.lost: list[tuple[Method[Any, Any, Any], str]] = []  # the calls that died with it
        self.started: asyncio.Future[None]
        self.closed: asyncio.Future[None]
        self._sending: asyncio.Transport | None = None
        self._receiving: asyncio.Transport | None = None
        self._launched: Launched | None = None
        self._popen: subprocess.Popen[bytes] | None = None
        self._requests: Arena | None = None
        self._answers: Arena | None = None
        self._unsent = b""  # of what it is told at first
        self._splitter = wire.Splitter()
        self._ids = 0
        self._batches: dict[int, Held] = {}
        self._running = Running(self._send)
        self._busy = 0  # synchronous batches in the worker; the others run side by side
        self._answered = 0.0  # when the last of them was answered

    def launch(self) -> Launched:
        """Starts the process, which begins to load; ``start`` waits for it. Raises OSError."""
        launched = self._launched = launch(self.service.address)
        self._popen = launched.popen
        methods = self.service.methods.values()
        self._requests = Arena.of(launched.requests, any(m.input.has_media for m in methods))
        self._answers = Arena.of(launched.answers, any(m.output.has_media for m in methods))
        around = surroundings(self.placement.threads)
        self._unsent = wire.pack(
            wire.Setup(self.service.address, self.placement, self.log, *around)
        )
        with contextlib.suppress(OSError):  # it has ended, which is noticed when we connect
            self._unsent = self._unsent[launched.sending.send(self._unsent) :]
        return launched

    async def start(self, timeout: float) -> None:
        """Starts the process and waits until its model is loaded. Raises StartupError."""
        loop = asyncio.get_running_loop()
        self.started, self.closed = loop.create_future(), loop.create_future()
        _, sending, receiving, _, _ = self._launched or self.launch()
        connect = loop.create_unix_connection
        try:
            async with asyncio.timeout(timeout):
                self._sending, _ = await connect(asyncio.Protocol, sock=sending)
                self._receiving, _ = await connect(lambda: self, sock=receiving)
                if self._unsent and not self._sending.is_closing():
                    self._sending.write(self._unsent)
                await self.started
        except BaseException as error:
            self.ready_since = 0.0  # where both came together: whoever waits here is told of it
            self.kill("it did not start", "start")
            if self._sending is None:
                sending.close()
            if self._receiving is None:
                receiving.close()
                await self._bury()
            await asyncio.shield(self.closed)
            if isinstance(error, TimeoutError):
                raise StartupError(
                    f"{self.service.name} was not ready after {timeout:g} s "
                    "(start_timeout gives it longer)"
                ) from None
            raise

    # The sockets

    def data_received(self, data: bytes) -> None:
        for body in self._splitter.feed(data):
            frame = wire.decode_to_front(body)
            if isinstance(frame, wire.Shared):
                shared, frame = frame, wire.restored(frame, self._answers)
                self._send(wire.Free([region.offset for region in shared.regions]))
            match frame:
                case wire.Results(id, results, seconds):
                    self._answer(id, results, seconds)
                case wire.Items(id, payloads):
                    self._running.put(id, payloads)
                case wire.Want(id, count):
                    self._running.want(id, count)
                case wire.End(id, problem):
                    if self._running.end(id, problem):
                        self.scheduler.dispatch()
                case wire.Pulse(memory):
                    self.heard, self.memory = time.monotonic(), memory
                case wire.Free(offsets) if self._requests:
                    self._requests.free(offsets)
                case wire.Ready(_, examples, fingerprint):
                    self._begin(examples, fingerprint)
                case wire.Failed(traceback):
                    self._fail_start(f"{self.service.name} could not be started\n{traceback}")

    def _begin(self, examples: dict[str, float], fingerprint: str) -> None:
        if self.started.done():
            return
        if fingerprint != self.service.fingerprint:
            self._fail_start(
                f"{self.service.name} has other messages or methods now: restart the server "
                "(a reload renews models and code, not the contract; serve --reload does both)"
            )
            return
        for name, seconds in examples.items():
            cost = self.scheduler.line(self.service.methods[name]).cost
            if not cost.is_known:
                cost.observe(1, seconds)
        self.ready = True
        self.ready_since = self.heard = time.monotonic()
        self.started.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ready = False
        self._hang_up()
        self._burial = asyncio.get_running_loop().create_task(self._bury())

    async def _bury(self) -> None:
        """Sees the process to its end, and with it what its model has started; then ends its calls.
        It never blocks: to give back gigabytes takes the system a while."""
        if not await self._wait(_LEAVE if self.stopping else _DEATH):
            self._kill()  # it closed its socket and lives on: of no more use
            await self._wait(_LEAVE)
        self._kill()  # what is left of its group
        if not self.stopping:
            status = self._popen.returncode if self._popen else None
            self.cause = self.cause or obituary.cause(status)
            self.kind = self.kind or ("signal" if status and status < 0 else "exit")
        reason = self.farewell if self.stopping else f"the worker died{self.cause}"
        self._fail_start(f"{self.service.name} could not be started: {reason}")
        if not self.stopping:
            self._hand_back()
        self.lost = list(self.calls())
        for held in self._batches.values():
            for ticket in held.tickets:
                ticket.fail(Unavailable(reason=reason))
        self._running.fail(Unavailable(reason=reason))
        for arena in filter(None, (self._requests, self._answers)):
            arena.close()
        self._batches.clear()
        self._busy = 0
        if not self.closed.done():
            self.closed.set_result(None)
        if self.ready_since and not self.stopping:
            self.died()

    def _hand_back(self) -> None:
        """Gives the queue the batches that stood behind another one: they have not begun, or have
        in the instant of the end, which their methods bear."""
        first = True
        for id, held in list(self._batches.items()):
            method = held.tickets[0].request.method
            if not method.is_async:
                if not first and method.idempotent:
                    del self._batches[id]
                    self.scheduler.take_back(held.tickets)
                first = False

    async def _wait(self, seconds: float) -> bool:
        """Whether the process ends within so many seconds."""
        end = time.monotonic() + seconds
        while self._popen and self._popen.poll() is None:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.002)
        return True

    def _fail_start(self, message: str) -> None:
        if not self.started.done():
            self.started.set_exception(StartupError(message))

    def _send(self, frame: wire.ToWorker) -> None:
        if self._sending and not self._sending.is_closing():
            self._sending.write(wire.pack(frame, self._requests))

    # Batches

    def running(self) -> Iterator[tuple[Held, float]]:
        """The batches that the model is at, and since when: of the synchronous ones the first."""
        first = True
        for held in self._batches.values():
            if held.tickets[0].request.method.is_async:
                yield held, held.since
            elif first:
                yield held, max(held.since, self._answered)
                first = False

    @property
    def busy(self) -> bool:
        """Whether any call is in the worker."""
        return bool(self._batches or self._running)

    def is_awaited(self, *, beside: bool = False) -> bool:
        """Whether anybody waits for a call that is in the worker; ``beside``: for one that goes on
        while a synchronous batch does not."""
        if self._running.is_awaited:
            return True
        return any(
            not ticket.done()
            for held in self._batches.values()
            if not beside or held.tickets[0].request.method.is_async
            for ticket in held.tickets
        )

    def calls(self) -> Iterator[tuple[Method[Any, Any, Any], str]]:
        """The calls in the worker, the oldest first: their methods and ids."""
        for held in self._batches.values():
            for ticket in held.tickets:
                yield ticket.request.method, ticket.request.id
        yield from self._running.calls()

    @property
    def is_open(self) -> bool:
        return self.ready and not self.retiring and not self.stopping

    def left(self, now: float) -> float:
        """Predicted seconds until its synchronous batches are done; below 0: so much longer than
        predicted the first of them takes already."""
        if not self._busy:
            return 0.0
        seconds, first = 0.0, True
        for held in self._batches.values():
            method = held.tickets[0].request.method
            if not method.is_async:
                size = len(held.tickets)
                seconds += held.predicted or self.scheduler.line(method).cost.of(size)
                if first:  # it runs; the others wait behind it
                    seconds -= now - max(held.since, self._answered)
                    if seconds < 0:
                        return seconds
                    first = False
        return seconds

    def room(self, method: Method[Any, Any, Any], waiting: int) -> int:
        if not self.is_open:
            return 0
        if method.cardinality.streams:
            return self._running.room(method)
        if method.is_async:
            return max(0, CONCURRENCY - len(self._batches))
        if self._busy == 0:
            return PREFETCH
        # A batch that is taken early only to wait in the worker had better be full; and behind one
        # that takes longer than predicted, nobody knows for how long.
        full = waiting >= (method.batching.max_size if method.batching else 1)
        return PREFETCH - self._busy if full and self.left(time.monotonic()) > 0 else 0

    def run(
        self, method: Method[Any, Any, Any], tickets: Sequence[Ticket], predicted: float
    ) -> None:
        self._ids += 1
        id = self._ids
        self.served += len(tickets)
        if method.cardinality.streams:
            (ticket,) = tickets
            ticket.give(self._running.open(id, ticket.request))
            return
        self._batches[id] = Held(tickets, predicted, time.monotonic())
        self._busy += not method.is_async
        messages, calls, deadlines, principals = [], [], [], []
        for index, ticket in enumerate(tickets):
            ticket.place = (id, index)
            request = ticket.request
            messages.append(request.payload)
            calls.append(request.id)
            deadlines.append(request.deadline)
            principals.append(request.caller)
        known = principals if any(principals) else None
        payloads = method.input.join(messages)
        self._send(wire.Batch(id, method.name, payloads, calls, deadlines, known))

    def drop(self, ticket: Ticket) -> None:
        """Tells the worker that nobody waits for this call any more."""
        id, index = ticket.place
        if id in self._batches:
            self._send(wire.Drop(id, index))

    def _answer(self, id: int, results: list[Any] | bytes, seconds: float) -> None:
        tickets, _, since = self._batches.pop(id)
        method = tickets[0].request.method
        size = len(tickets)
        timeline.answer(tickets, seconds)
        for ticket, result in zip(tickets, wire.each(results), strict=True):
            if isinstance(result, Payload):
                ticket.answer(result, seconds, size)
            else:
                ticket.fail(Error.from_problem(result, method.raises))
        metrics.batch_computed(method.qualname, seconds)
        if not method.is_async:
            now = time.monotonic()
            # From one answer to the next, with all that happens around the model: this is what
            # a batch costs those that wait.
            if seconds:  # else all its callers had left before the model got it
                self.scheduler.line(method).learn(size, now - max(since, self._answered), now)
            self._busy -= 1
            self._answered = now
        self.scheduler.dispatch()

    def abandoned(self) -> Iterator[tuple[Method[Any, Any, Any], float]]:
        """The streams that nobody reads any more and that have not ended, and since when."""
        yield from self._running.abandoned()

    # The end

    @property
    def pid(self) -> int:
        """0 before it was started."""
        return self._popen.pid if self._popen else 0

    async def stop(self, farewell: str = "the server is stopping") -> None:
        """Closes the sockets, upon which the worker exits; kills it where it does not."""
        self.stopping, self.farewell = True, farewell
        if self._receiving is None:  # it is still being started, and whoever does that ends it
            self._kill()
            return
        self._hang_up()
        await self.closed

    def kill(self, cause: str, kind: str) -> None:
        """Ends the process at once, as one that has failed: ``cause`` says why, ``kind`` in a
        word."""
        self.cause, self.kind = self.cause or f": {cause}", self.kind or kind
        self.ready = False
        self._kill()
        self._hang_up()

    def _hang_up(self) -> None:
        for transport in filter(None, (self._sending, self._receiving)):
            transport.abort()  # close() would wait for a worker that reads no more

    def _kill(self) -> None:
        if self._popen:
            # A group's number is not given anew while it has members; without any, it was free
            # for an instant only.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)
