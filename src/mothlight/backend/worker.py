"""The worker process: one service, one model, fed by frames on an inherited socket.

Three threads take turns ("leader and followers"): one reads the next frame, one decodes and opens
the files of the batch it has read, one runs the model. A thread that has read a batch hands the
reading on, so that the next batch is prepared while this one computes, and nothing is passed
between threads. Streams run in threads of their own; asynchronous methods on one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import runpy
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, NoReturn

from ..errors import DefinitionError, Error, Internal
from ..schema import Payload
from ..service import Method, Service
from . import wire
from .base import ENVIRONMENT
from .execution import Instance, Prepared, log
from .turns import QUICK as QUICK_TURN
from .turns import Turns

MAIN = "__mothlight_main__"


QUICK = 0.0005
"""Seconds that a batch must take for another thread to be woken to read beside it; chosen, as a
wake-up costs tens of microseconds here and much more where the cores are busy."""


class Worker:
    def __init__(
        self, channel: wire.Channel, instance: Instance, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.channel, self.instance, self.loop = channel, instance, loop
        self.methods = instance.service.methods
        self.reading = threading.Lock()
        self.model = threading.Lock()
        self.streams: dict[int, Stream] = {}
        self.turns = Turns()
        self.slow: set[str] = set()  # methods whose generators are not worth a turn
        self.quick: set[str] = set()  # methods whose last batch took less than QUICK
        self.tasks: dict[int, asyncio.Task[None]] = {}

    def run(self) -> None:
        """Serves until the front process closes the socket."""
        if any(m.is_async for m in self.methods.values()):
            _start_thread(self.loop.run_forever)
        for _ in range(2):
            _start_thread(self._serve)
        self._serve()

    def _serve(self) -> None:
        while True:
            with self.reading:
                frame = self._next()
                while isinstance(frame, wire.Batch) and frame.method in self.quick:
                    self._run(frame)
                    frame = self._next()
            if frame is None:
                os._exit(0)  # the parent is gone, or wants us gone: no thread may hold that up
            if isinstance(frame, wire.Open):
                self._open(frame)
            elif self.methods[frame.method].is_async:
                self._spawn(frame.id, self._run_async(frame))
            else:
                self._run(frame)

    def _next(self) -> wire.Batch | wire.Open | None:
        """The next frame that is work; the others are dealt with at once, by whoever reads."""
        while True:
            match frame := self.channel.receive():
                case wire.Batch() | wire.Open() | None:
                    return frame
                case wire.Grant(id, count):
                    if stream := self.streams.get(id):
                        stream.grant(count)
                case wire.Drop():
                    pass
                case wire.Cancel(id):
                    if stream := self.streams.get(id):
                        stream.cancel()
                    self.loop.call_soon_threadsafe(self._cancel_task, id)

    def _run(self, frame: wire.Batch) -> None:
        batch = Prepared(self.methods[frame.method], frame.payloads, frame.calls)
        with self.model:
            start = time.perf_counter()
            results = self.instance.run(batch)
            seconds = time.perf_counter() - start
        self.channel.send(wire.Results(frame.id, results, seconds))
        if seconds < QUICK:
            self.quick.add(frame.method)
        else:
            self.quick.discard(frame.method)

    async def _run_async(self, frame: wire.Batch) -> None:
        start = time.perf_counter()
        batch = Prepared(self.methods[frame.method], frame.payloads, frame.calls)
        results = await self.instance.run_async(batch)
        self.channel.send(wire.Results(frame.id, results, time.perf_counter() - start))

    def _open(self, frame: wire.Open) -> None:
        method = self.methods[frame.method]
        stream = self.streams[frame.id] = Stream(is_quick=frame.method not in self.slow)
        if method.is_async:
            self._spawn(frame.id, self._stream_async(frame, method, stream))
        else:
            _start_thread(self._stream, frame, method, stream)

    def _stream(self, frame: wire.Open, method: Method[Any, Any, Any], stream: Stream) -> None:
        problem = None
        try:
            with contextlib.closing(
                self.instance.stream(method, frame.payload, frame.call)
            ) as items:
                while self._slice(frame.id, frame.method, items, stream):
                    pass
        except Error as error:
            problem = error.problem()
        except Exception:
            log.exception("a stream of %s failed (call %s)", method.qualname, frame.call)
            problem = Internal().problem()
        self._end(frame.id, problem)

    def _slice(self, id: int, method: str, items: Iterator[Payload], stream: Stream) -> bool:
        """Makes and sends the next items of a stream, as many as fit a turn; False at its end."""
        if not (most := stream.wait()):
            return False
        turn = self.turns.take() if stream.is_quick else None
        begin = end = time.perf_counter()
        made = 0
        try:
            while made < most and end - begin < QUICK_TURN:
                item = next(items, None)
                if item is None:
                    return False
                made += 1
                self.channel.post(wire.Items(id, [item]))
                end = time.perf_counter()
            return True
        finally:
            if turn:
                self.turns.give(turn)
            stream.spend(made, is_quick=end - begin < max(1, made) * QUICK_TURN)
            (self.slow.discard if stream.is_quick else self.slow.add)(method)
            self.channel.flush()

    async def _stream_async(
        self, frame: wire.Open, method: Method[Any, Any, Any], stream: Stream
    ) -> None:
        problem = None
        try:
            items = self.instance.stream_async(method, frame.payload, frame.call)
            async with contextlib.aclosing(items):
                async for item in items:
                    await stream.wait_async()
                    self.channel.send(wire.Items(frame.id, [item]))
        except asyncio.CancelledError:
            pass  # nobody listens: the End below only frees the place
        except Error as error:
            problem = error.problem()
        except Exception:
            log.exception("a stream of %s failed (call %s)", method.qualname, frame.call)
            problem = Internal().problem()
        self._end(frame.id, problem)

    def _end(self, id: int, problem: dict[str, Any] | None) -> None:
        self.streams.pop(id, None)
        self.channel.send(wire.End(id, problem))

    def _spawn(self, id: int, work: Coroutine[Any, Any, None]) -> None:
        def start() -> None:
            task = self.tasks[id] = self.loop.create_task(work)
            task.add_done_callback(ended)

        def ended(task: asyncio.Task[None]) -> None:
            self.tasks.pop(id, None)
            if not task.cancelled() and (error := task.exception()):
                _die(error)

        self.loop.call_soon_threadsafe(start)

    def _cancel_task(self, id: int) -> None:
        if task := self.tasks.get(id):
            # One turn later: a task that is cancelled before its first step never runs at all, and
            # so would not say that it has ended.
            self.loop.call_soon(task.cancel)


def _start_thread(target: Callable[..., None], *arguments: Any) -> None:
    """Runs ``target`` in a thread; what escapes from it (a model's ``sys.exit()``, a broken socket)
    ends the process, for a call that is lost with its thread would be waited for in vain."""

    def run() -> None:
        try:
            target(*arguments)
        except BaseException as error:
            _die(error)

    threading.Thread(target=run, daemon=True).start()


def _die(error: BaseException) -> NoReturn:
    log.error("the worker ends", exc_info=error)
    os._exit(1)


class Stream:
    """How many items a stream may still send before its reader has taken some."""

    def __init__(self, *, is_quick: bool = True) -> None:
        self.is_quick = is_quick  # whether its last items came quickly enough to be worth a turn
        self._pace = 1
        self._changed = threading.Condition()
        self._credit = wire.WINDOW
        self._cancelled = False
        self._wakers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def grant(self, count: int) -> None:
        with self._changed:
            self._credit += count
            self._notify()

    def cancel(self) -> None:
        with self._changed:
            self._cancelled = True
            self._notify()

    def wait(self) -> int:
        """How many items may be made now, waiting for one at least; 0 once it is cancelled. A
        stream starts with one item, that it be early, and then makes more at a time."""
        with self._changed:
            while self._credit <= 0 and not self._cancelled:
                self._changed.wait()
            return 0 if self._cancelled else min(self._credit, self._pace)

    def spend(self, count: int, *, is_quick: bool) -> None:
        """Notes items that were sent."""
        with self._changed:
            self._credit -= count
        self.is_quick = is_quick
        self._pace = min(4 * self._pace, wire.WINDOW) if is_quick else 1

    async def wait_async(self) -> None:
        """The same on an event loop, where a cancel arrives as CancelledError."""
        while True:
            with self._changed:
                if self._credit > 0:
                    self._credit -= 1
                    return
                event = asyncio.Event()
                self._wakers.append((asyncio.get_running_loop(), event))
            await event.wait()

    def _notify(self) -> None:
        self._changed.notify_all()
        for loop, event in self._wakers:
            loop.call_soon_threadsafe(event.set)
        self._wakers.clear()


def load(setup: wire.Setup) -> Service:
    """Imports the service that the front process serves."""
    sys.path[:] = setup.path
    module_name, _, qualname = setup.address.partition(":")
    if module_name == "__main__":
        if setup.main is None:
            raise DefinitionError(
                f"{qualname} is defined in a notebook or at a prompt, and a worker process cannot "
                "import it from there",
                "move it to a module, or run it in this process:   App(..., workers=0)",
            )
        found: Any = runpy.run_path(setup.main, run_name=MAIN)[qualname.split(".")[0]]
        parts = qualname.split(".")[1:]
    else:
        found = importlib.import_module(module_name)
        parts = qualname.split(".")
    for part in parts:
        found = getattr(found, part)
    return Service.of(found)


def main(descriptor: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # drains us, and closes the socket when done
    os.environ[ENVIRONMENT] = "1"
    channel = wire.Channel(socket.socket(fileno=descriptor))
    setup = channel.receive()
    assert isinstance(setup, wire.Setup)
    start = time.perf_counter()
    try:
        instance = Instance(load(setup))
        loop = asyncio.new_event_loop()
        instance.try_examples(loop.run_until_complete)
    except BaseException:
        channel.send(wire.Failed(traceback.format_exc()))
        sys.exit(1)
    channel.send(wire.Ready(time.perf_counter() - start, {}))
    Worker(channel, instance, loop).run()


if __name__ == "__main__":
    import logging

    logging.basicConfig(format="%(levelname)s %(process)d %(message)s")
    main(int(sys.argv[1]))
