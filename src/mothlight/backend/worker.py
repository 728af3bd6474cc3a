"""The worker process: one service, one model, fed by frames on inherited sockets.

Three threads take turns ("leader and followers"): one reads the next frame, one decodes and opens
the files of the batch it has read, one runs the model. A thread that has read a batch hands the
reading on, so that the next batch is prepared while this one computes; the thread at the model
stays there as long as batches come (``Relay``). A generator keeps the thread that has read of it,
and more are started as they are needed (``Reserve``); asynchronous methods run on one event loop.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import runpy
import socket
import sys
import time
import traceback
from functools import partial
from typing import Any

from .. import logs
from ..errors import Cancelled, DeadlineExceeded
from ..memory import hurry, settle
from ..services import Service
from . import placement, vitals, wire
from .arena import Arena
from .batch import Calls, Prepared
from .execution import Instance
from .streams import Streams
from .threads import Reserve, Tasks, die, start_thread
from .turns import Lead, Relay

MAIN = "__mothlight_main__"

QUICK = 0.0005
"""Seconds that a batch must take for another thread to be woken to read beside it; chosen, as a
wake-up costs tens of microseconds here and much more where the cores are busy."""

ALONE = 0.004
"""The same while nothing but light batches comes, which nobody has to be kept waiting for: two
threads cost such a model more than they win, for it waits for the interpreter while the other one
decodes (0.85 of the calls of an MLP with batches of 1 ms)."""

LONELY = 1.0
"""Seconds after which what came beside light batches is not expected any more."""

DECODED = 0.0002
"""Seconds up to which decoding is not worth to be done beside a model that computes."""

LIGHT = 64 * 1024
"""Bytes of JSON that are decoded by whoever reads, sooner than another would be awake."""

Job = tuple[int, Prepared]
"""A batch on its way through the model, and its number."""


class Worker:
    """``placed``: how the threads in which the model runs are set up."""

    def __init__(
        self,
        channel: wire.Channel,
        instance: Instance,
        loop: asyncio.AbstractEventLoop,
        placed: wire.Placement,
    ) -> None:
        self.channel, self.instance, self.loop = channel, instance, loop
        self.methods = instance.service.methods
        self.start_thread = partial(start_thread, inside=partial(placement.inside, placed))
        self.tasks = Tasks(loop)
        self.streams = Streams(instance, channel, self.tasks, self.start_thread)
        self.calls: dict[int, Calls] = {}  # of the batches that are here
        self.relay: Relay[Job] = Relay()
        self.lead = Lead()  # who has it reads
        self.reserve = Reserve(partial(self.start_thread, self._serve))  # of threads that serve
        self.seconds: dict[str, float] = {}  # what the last batch of a method took
        self.beside = -LONELY  # when something else than a light batch came last

    def run(self) -> None:
        """Serves until the front process closes its socket."""
        start_thread(vitals.pulse, self.channel)
        if any(m.is_async for m in self.methods.values()):
            self.start_thread(self.loop.run_forever)
        self.reserve.come_back()
        self._serve()

    def _serve(self) -> None:
        while True:
            frame = self._read()
            if frame is None:
                os._exit(0)  # the parent is gone, or wants us gone: no thread may hold that up
            if isinstance(frame, wire.Open):
                if run := self.streams.open(frame):
                    run()
                if not self.reserve.come_back():
                    return
            elif self.methods[frame.method].is_async:
                self.tasks.spawn(frame.id, self._run_async(*self._prepare(frame)))
            elif self.relay.bring(job := self._prepare(frame)):
                self._run(job)

    def _read(self) -> wire.Batch | wire.Open | None:
        """The next frame that is work for a thread; quick batches are run by the one that reads."""
        while True:
            self.lead.take()
            self.reserve.fill()
            leads = True
            while leads:
                frame = self._next()
                if not isinstance(frame, wire.Batch) or not self._is_light(frame):
                    self.beside = time.perf_counter()
                    if isinstance(frame, wire.Open):  # which may take long
                        self.reserve.leave()
                    self.lead.give()
                    return frame
                begin = time.perf_counter()
                job = self._prepare(frame)
                if not self.relay.bring(job):
                    continue
                is_quick = self._is_quick(frame.method, begin)
                if is_quick:
                    self.lead.begin()
                else:
                    self.lead.give()
                self._run(job)
                leads = is_quick and self.lead.end()

    def _is_quick(self, method: str, begin: float) -> bool:
        """Whether a batch, which was prepared from ``begin`` on, is expected to take less than to
        have another thread read meanwhile."""
        seconds = self.seconds.get(method, ALONE)
        if seconds >= QUICK:
            now = time.perf_counter()
            is_alone = self.streams.is_idle and self.tasks.is_idle and now - self.beside > LONELY
            if not is_alone or seconds >= ALONE or now - begin > DECODED:
                return False
        return self.instance.model.is_free

    def _is_light(self, frame: wire.Batch) -> bool:
        """Whether to prepare it takes less than to wake a thread that reads meanwhile."""
        method = self.methods[frame.method]
        if method.is_async or method.input.has_media:
            return False
        if isinstance(frame.payloads, bytes):
            return len(frame.payloads) < LIGHT
        return sum(len(payload.json) for payload in frame.payloads) < LIGHT

    def _next(self) -> wire.Batch | wire.Open | None:
        """The next frame that is work; the others are dealt with at once, by whoever reads."""
        while True:
            match frame := self.channel.receive():
                case wire.Batch(id):
                    self.calls[id] = Calls(frame.calls, frame.deadlines, frame.principals)
                    return frame
                case wire.Open():
                    self.streams.list(frame)
                    return frame
                case None:
                    return None
                case wire.Grant(id, count):
                    self.streams.grant(id, count)
                case wire.Messages(id, payloads):
                    self.streams.put(id, payloads)
                case wire.Close(id, problem):
                    self.streams.close(id, problem)
                case wire.Cancel(id):
                    self.streams.cancel(id)
                case wire.Drop(id, index):
                    if calls := self.calls.get(id):
                        calls.drop(index)
                        if calls.all_dropped:
                            self.tasks.cancel(id)

    def _prepare(self, frame: wire.Batch) -> Job:
        calls = self.calls[frame.id]
        return frame.id, Prepared(self.methods[frame.method], frame.payloads, calls)

    def _run(self, brought: Job) -> None:
        """Runs a batch, and those that are brought meanwhile."""
        job: Job | None = brought
        while job:
            id, batch = job
            # Answered before the next one runs: who knows whether that lets another thread run.
            results = self.instance.run(batch)
            del self.calls[id]
            self.channel.deliver(wire.Results(id, results, batch.seconds))
            self.seconds[batch.method.name] = batch.seconds
            job = self.relay.next()

    async def _run_async(self, id: int, batch: Prepared) -> None:
        start = time.perf_counter()
        try:
            async with asyncio.timeout_at(batch.calls.latest):
                results = await self.instance.run_async(batch)
        except asyncio.CancelledError:
            results = batch.give_up(Cancelled())  # nobody listens: this only frees the place
        except TimeoutError:
            results = batch.give_up(DeadlineExceeded())
        del self.calls[id]
        self.channel.send(wire.Results(id, results, time.perf_counter() - start))


def load(setup: wire.Setup) -> Service:
    """Imports the service that the front process serves."""
    sys.path[:] = setup.path
    module_name, _, qualname = setup.address.partition(":")
    if module_name == "__main__":
        assert setup.main
        found: Any = runpy.run_path(setup.main, run_name=MAIN)[qualname.split(".")[0]]
        parts = qualname.split(".")[1:]
    else:
        found = importlib.import_module(module_name)
        parts = qualname.split(".")
    for part in parts:
        found = getattr(found, part)
    return Service.of(found)


def main(reading: int, writing: int, *arenas: int) -> None:
    """``reading`` and ``writing`` are our ends of the sockets; ``arenas`` are those of requests and
    answers, 0 for none."""
    hurry()
    vitals.survive_signals()
    vitals.die_with_parent()
    vitals.survive_logging()
    for inherited in filter(None, (reading, writing, *arenas)):
        os.set_inheritable(inherited, False)  # as it was for us: a program that a model starts
    shared = (Arena(number) if number else None for number in arenas)
    channel = wire.Channel(socket.socket(fileno=reading), socket.socket(fileno=writing), *shared)
    vitals.keep_from_children(channel)
    setup = channel.receive()
    if setup is None:
        return  # the parent is gone already
    assert isinstance(setup, wire.Setup)
    start = time.perf_counter()
    if setup.environment:  # it may have changed since we were started
        os.environb.clear()
        os.environb.update(setup.environment)
    if setup.folder:
        os.chdir(setup.folder)
    placed, log = setup.placement, setup.log
    logs.set_up(log.form, log.level, service=setup.address.rpartition(":")[2])
    placement.assign(placed)
    try:
        service = load(setup)
        logs.set_up(log.form, log.level, service=service.name)
        placement.limit_threads(placed)
        instance = Instance(service)
        placement.convert(instance.object, placed)
        loop = asyncio.new_event_loop()
        with placement.inside(placed):
            examples = instance.try_examples(loop.run_until_complete)
    except BaseException:
        channel.send(wire.Failed(traceback.format_exc()))
        sys.exit(1)
    settle()
    channel.send(wire.Ready(time.perf_counter() - start, examples, service.fingerprint))
    try:
        with placement.inside(placed):
            Worker(channel, instance, loop, placed).run()
    except BaseException as error:  # a model's sys.exit()
        die(error)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
