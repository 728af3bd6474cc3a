"""The streams of a worker: generators in threads of their own, asynchronous ones on the event loop,
those of a stepped method in its stepper."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from ..call import Call
from ..errors import DeadlineExceeded, Error
from ..schema import Payload
from ..services import Method
from . import wire
from .answers import failure
from .execution import Instance
from .intake import Intake
from .stepping import Member, Stepper
from .threads import Tasks, give_way
from .turns import QUICK, Turn, Turns


class Stream:
    """How many places a stream's reader still has for items, and how many a turn may fill."""

    def __init__(self, call: Call, *, is_quick: bool = True) -> None:
        self.call = call
        self.is_quick = is_quick  # whether its last items came quickly enough to be worth a turn
        self.is_cancelled = False
        self.intake: Intake | None = None  # what its client streams in
        self.thread = 0  # that makes its items
        self.idle = 0.0  # seconds that it has waited for its client, and then for its turn
        self.turn = Turn()
        self._pace = 1
        self._changed = threading.Condition()
        self._granted = wire.WINDOW  # only who reads frames adds to it
        self._spent = 0  # only who makes the items adds to it
        self._wakers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def grant(self, count: int) -> None:
        with self._changed:
            self._granted += count
            self._notify()

    def cancel(self) -> None:
        self.call.cancel()
        with self._changed:
            self.is_cancelled = True
            self._notify()
        if self.intake and not self.intake.method.is_async:  # there it comes as CancelledError
            self.intake.cancel()

    def is_over(self) -> bool:
        """Whether it is cancelled. Raises DeadlineExceeded."""
        if not self.is_cancelled and self.call.remaining == 0.0:
            raise DeadlineExceeded
        return self.is_cancelled

    @property
    def has_begun(self) -> bool:
        """Whether an item was sent: the first one is waited for most."""
        return self._spent > 0

    def wait(self) -> int:
        """How many places may be filled now, waiting for one at least; 0 once it is cancelled. A
        stream starts with one item, that it be early, and then makes more at a time. Raises
        DeadlineExceeded."""
        if self.is_over():
            return 0
        if (credit := self._granted - self._spent) <= 0:
            with self._changed:
                while (credit := self._granted - self._spent) <= 0:
                    self._changed.wait(self.call.remaining)
                    if self.is_over():
                        return 0
        return min(credit, self._pace)

    def spend(self, places: int, *, is_quick: bool) -> None:
        """Notes items that were sent."""
        self._spent += places
        self.is_quick = is_quick
        self._pace = min(4 * self._pace, wire.WINDOW) if is_quick else 1

    async def wait_async(self, places: int) -> None:
        """Waits for a place, and notes an item, on an event loop, where a cancel arrives as
        CancelledError."""
        while True:
            with self._changed:
                if self._granted > self._spent:
                    self._spent += places
                    return
                event = asyncio.Event()
                self._wakers.append((asyncio.get_running_loop(), event))
            await event.wait()

    def _notify(self) -> None:
        self._changed.notify_all()
        for loop, event in self._wakers:
            loop.call_soon_threadsafe(event.set)
        self._wakers.clear()


class Streams:
    """The streams that run. ``start_thread`` starts a thread in which the model may run."""

    def __init__(
        self,
        instance: Instance,
        channel: wire.Channel,
        tasks: Tasks,
        start_thread: Callable[..., None],
    ) -> None:
        self.instance, self.channel, self.tasks = instance, channel, tasks
        self.start_thread = start_thread
        self.methods = instance.service.methods
        self._streams: dict[int, Stream | Member] = {}
        self._steppers: dict[str, Stepper] = {}
        self._turns = Turns()
        self._slow: set[str] = set()  # methods whose generators are not worth a turn

    @property
    def is_idle(self) -> bool:
        """Whether none runs."""
        return not self._streams

    def list(self, frame: wire.Open) -> None:
        """Lists a stream, before any frame is read that speaks of it."""
        method = self.methods[frame.method]
        call = Call(frame.call, frame.deadline, frame.principal)
        if method.start:
            self._streams[frame.id] = self._stepper(method).member(frame.id, call)
            return
        stream = self._streams[frame.id] = Stream(call, is_quick=frame.method not in self._slow)
        if method.cardinality.streams_in:
            stream.intake = Intake(
                method,
                call,
                want=lambda count: self.channel.post(wire.Want(frame.id, count)),
                aside=lambda: self._aside(stream),
            )

    def open(self, frame: wire.Open) -> Callable[[], None] | None:
        """Starts a stream that is listed; or gives what does all of it, for a thread of its own."""
        method, stream = self.methods[frame.method], self._streams[frame.id]
        if isinstance(stream, Member):
            self._stepper(method).open(stream, frame.payload)
        elif method.is_async:
            self.tasks.spawn(frame.id, self._stream_async(frame, method, stream))
        else:
            return partial(self._stream, frame, method, stream)
        return None

    def _stepper(self, method: Method[Any, Any, Any]) -> Stepper:
        stepper = self._steppers.get(method.name)
        if stepper is None:
            stepper = Stepper(self.instance, method, self.channel, self._post_end)
            self._steppers[method.name] = stepper
            self.start_thread(stepper.run)
        return stepper

    def grant(self, id: int, count: int) -> None:
        if stream := self._streams.get(id):
            stream.grant(count)

    def put(self, id: int, payloads: Sequence[Payload]) -> None:
        """Takes what a client streams in, where its method still runs."""
        if intake := self._intake(id):
            intake.put(payloads)

    def close(self, id: int, problem: dict[str, Any] | None) -> None:
        """Takes its end."""
        if intake := self._intake(id):
            intake.close(problem)

    def _intake(self, id: int) -> Intake | None:
        stream = self._streams.get(id)
        return stream.intake if isinstance(stream, Stream) else None

    def cancel(self, id: int) -> None:
        if stream := self._streams.get(id):
            stream.cancel()
            if isinstance(stream, Stream):
                self._turns.renounce(stream.turn)
                self.tasks.cancel(id)

    def _stream(self, frame: wire.Open, method: Method[Any, Any, Any], stream: Stream) -> None:
        problem = None
        stream.thread = threading.get_ident()
        try:
            with contextlib.closing(
                self.instance.stream(method, frame.payload, stream.call, stream.intake)
            ) as items:
                while self._slice(frame.id, frame.method, items, stream):
                    pass
        except Error as error:
            problem = error.problem()
        except Exception:
            problem = failure(method, [frame.call])
        self._end(frame.id, problem, is_awaited=not stream.is_cancelled)

    def _slice(self, id: int, method: str, items: Iterator[Payload], stream: Stream) -> bool:
        """Makes and sends the next items of a stream, as many as fit a turn; False at its end."""
        if not (most := stream.wait()):
            return False
        turn = self._turns.take(stream.turn) if stream.is_quick else None
        is_first = not stream.has_begun
        send = self.channel.send if is_first else self.channel.send_soon
        begin = end = time.perf_counter()
        made, filled, taken, idle = 0, 0, _taken(stream), stream.idle
        try:
            while filled < most and end - begin < QUICK and not stream.is_cancelled:
                item = next(items, None)
                if item is None:
                    return False
                made += 1
                filled += wire.places(item)
                send(wire.Items(id, [item]))
                end = time.perf_counter()
                if is_first:
                    give_way()  # not counted: it is others who are slow then
            return True
        finally:
            if turn:
                self._turns.give(turn)
            busy = end - begin - (stream.idle - idle)
            steps = max(1, made, _taken(stream) - taken)
            stream.spend(filled, is_quick=busy < steps * QUICK)
            (self._slow.discard if stream.is_quick else self._slow.add)(method)

    @contextlib.contextmanager
    def _aside(self, stream: Stream) -> Iterator[None]:
        """Leaves a stream's turn to others while it waits for its client."""
        if threading.get_ident() != stream.thread:  # one that the method has started itself
            yield
            return
        self._turns.give(stream.turn)
        self.channel.flush()  # its client may wait for what it has said before it says more
        begin = time.perf_counter()
        try:
            yield
        finally:
            if stream.is_quick:
                self._turns.take(stream.turn)
            stream.idle += time.perf_counter() - begin

    async def _stream_async(
        self, frame: wire.Open, method: Method[Any, Any, Any], stream: Stream
    ) -> None:
        problem = None
        items = self.instance.stream_async(method, frame.payload, stream.call, stream.intake)
        try:
            async with asyncio.timeout_at(frame.deadline), contextlib.aclosing(items):
                while not stream.is_over() and (item := await anext(items, None)):
                    await stream.wait_async(wire.places(item))
                    self.channel.send(wire.Items(frame.id, [item]))
        except asyncio.CancelledError:
            pass  # nobody listens: the End below only frees the place
        except TimeoutError:
            problem = DeadlineExceeded().problem()
        except Error as error:
            problem = error.problem()
        except Exception:
            problem = failure(method, [frame.call])
        self._end(frame.id, problem, is_awaited=not stream.is_cancelled)

    def _end(self, id: int, problem: dict[str, Any] | None, *, is_awaited: bool) -> None:
        self._post_end(id, problem)
        if is_awaited:
            self.channel.flush()

    def _post_end(self, id: int, problem: dict[str, Any] | None) -> None:
        if intake := self._intake(id):
            intake.cancel()  # for what the method has left behind, a thread or task of its own
        self._streams.pop(id, None)
        self.channel.post(wire.End(id, problem))


def _taken(stream: Stream) -> int:
    return stream.intake.taken if stream.intake else 0
