"""LocalBackend: the models in this process, for tests and notebooks."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .. import metrics, timeline
from ..call import Call
from ..errors import Error, Overloaded, Unavailable
from ..schema import Payload
from ..services import Method, Service
from ..settings import Settings
from . import wire
from .base import Reply, Request, StartupError, by_deadline
from .execution import Calls, Instance, Prepared, Result, failure
from .intake import Intake
from .pump import Pump
from .running import DIALOGUES
from .scheduler import Scheduler
from .ticket import CONCURRENCY, Ticket


class LocalBackend:
    """A Backend in this process: one object of each service, its synchronous methods in a thread.

    It has the pool's batching and errors, and none of its safety: a model that crashes takes the
    process along.
    """

    def __init__(self, services: Sequence[Service], settings: Settings) -> None:
        self._runners = {service: ThreadRunner(service, settings) for service in services}
        self._stopping = False

    async def start(self) -> None:
        for runner in self._runners.values():
            await runner.start()
        self._stopping = False

    async def stop(self, grace: float) -> None:
        self._stopping = True
        for runner in self._runners.values():
            await runner.stop(grace)

    async def reload(self) -> None:
        """Raises StartupError: a module is imported once in a process."""
        raise StartupError("models in the server's own process cannot be reloaded: give it workers")

    def unary(self, request: Request) -> asyncio.Future[Reply]:
        return self._runner(request).scheduler.place(request)

    def stream(self, request: Request) -> AsyncIterator[Sequence[Payload]]:
        return self._runner(request).stream(request)

    def _runner(self, request: Request) -> ThreadRunner:
        if self._stopping:
            raise Unavailable(reason="the server is stopping")
        return self._runners[request.method.service]

    @property
    def is_ready(self) -> bool:
        return not self._stopping and all(r.instance for r in self._runners.values())

    @property
    def states(self) -> Mapping[str, str]:
        waits = "stopping" if self._stopping else "starting"
        return {
            service.name: "ready" if runner.instance and not self._stopping else waits
            for service, runner in self._runners.items()
        }

    @property
    def queued(self) -> int:
        return sum(runner.scheduler.waiting for runner in self._runners.values())


class ThreadRunner:
    """One object of a service; a Runner of the scheduler."""

    def __init__(self, service: Service, settings: Settings) -> None:
        self.service = service
        self.instance: Instance | None = None
        self.scheduler = Scheduler(
            lambda: (self,),
            max_queue=settings.max_queue,
            max_bytes=settings.max_queue_bytes,
            max_delay=settings.max_delay,
        )
        self._model: ThreadPoolExecutor  # both live from start to stop
        self._streams: ThreadPoolExecutor
        self._tasks: set[asyncio.Task[None]] = set()
        self._ids = 0
        self._calls: dict[int, Calls] = {}  # of the batches that run
        self._async: dict[int, asyncio.Task[None]] = {}
        self._busy = 0
        self._free_at = 0.0  # when the synchronous batch is predicted to be done
        self._open = 0  # streams
        self._intakes: set[Intake] = set()  # theirs

    async def start(self) -> None:
        self.scheduler.loop = asyncio.get_running_loop()
        name = f"mothlight-{self.service.name}"
        self._model = ThreadPoolExecutor(1, name)
        self._streams = ThreadPoolExecutor(DIALOGUES, f"{name}-streams")
        if self.instance is None:
            loop = asyncio.get_running_loop()
            try:
                self.instance = await loop.run_in_executor(self._model, self._construct, loop)
            except BaseException:
                self._model.shutdown(wait=False)
                raise

    def _construct(self, loop: asyncio.AbstractEventLoop) -> Instance:
        try:
            instance = Instance(self.service)
            instance.try_examples(
                lambda work: asyncio.run_coroutine_threadsafe(work, loop).result()
            )
        except Exception as error:
            raise StartupError(f"{self.service.name} could not be started: {error}") from error
        return instance

    async def stop(self, grace: float) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        while (self._tasks or self._open or self.scheduler.waiting) and loop.time() < end:
            await asyncio.sleep(0.01)
        self.scheduler.stop(Unavailable(reason="the server is stopping"))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for intake in self._intakes:  # a thread that waits for a client would wait for ever
            intake.fail(Unavailable(reason="the server is stopping"))
        self._model.shutdown(wait=False)
        self._streams.shutdown(wait=False)

    @property
    def is_open(self) -> bool:
        return self.instance is not None

    def room(self, method: Method[Any, Any, Any], waiting: int) -> int:
        if not self.is_open:
            return 0
        return max(0, CONCURRENCY - len(self._tasks)) if method.is_async else int(self._busy == 0)

    def left(self, now: float) -> float:
        return max(0.0, self._free_at - now) if self._busy else 0.0

    def drop(self, ticket: Ticket) -> None:
        id, index = ticket.place
        if calls := self._calls.get(id):
            calls.drop(index)
            if calls.all_dropped and (task := self._async.get(id)):
                task.cancel()

    def run(
        self, method: Method[Any, Any, Any], tickets: Sequence[Ticket], predicted: float
    ) -> None:
        if not method.is_async:
            self._busy += 1
            self._free_at = time.monotonic() + predicted
        self._ids += 1
        id = self._ids
        for index, ticket in enumerate(tickets):
            ticket.place = (id, index)
        requests = [ticket.request for ticket in tickets]
        calls = self._calls[id] = Calls(
            [r.id for r in requests],
            [r.deadline for r in requests],
            [r.caller for r in requests],
        )
        task = asyncio.get_running_loop().create_task(self._run(method, tickets, calls))
        self._tasks.add(task)
        if method.is_async:
            self._async[id] = task

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._async.pop(id, None)
            del self._calls[id]
            for ticket in tickets:  # of a task that was cancelled
                ticket.fail(Unavailable(reason="the server is stopping"))
            self.scheduler.dispatch()

        task.add_done_callback(ended)

    async def _run(
        self, method: Method[Any, Any, Any], tickets: Sequence[Ticket], calls: Calls
    ) -> None:
        assert self.instance
        payloads = method.input.join([t.request.payload for t in tickets])
        start = time.perf_counter()
        if method.is_async:
            batch = await asyncio.to_thread(Prepared, method, payloads, calls)
            results, computed = await self.instance.run_async(batch), batch.seconds
        else:
            try:
                results, computed = await asyncio.get_running_loop().run_in_executor(
                    self._model, _compute, self.instance, method, payloads, calls
                )
            except asyncio.CancelledError:
                raise
            except BaseException:  # a model's sys.exit(): here it fails its own calls only
                results, computed = [failure(method, calls.ids)] * len(tickets), 0.0
            finally:
                self._busy -= 1
        seconds = time.perf_counter() - start
        metrics.batch_computed(method.qualname, seconds)
        timeline.answer(tickets, seconds)
        if computed:
            self.scheduler.line(method).learn(len(tickets), seconds, time.monotonic())
        for ticket, result in zip(tickets, wire.each(results), strict=True):
            if isinstance(result, Payload):
                ticket.answer(result, seconds, len(tickets))
            else:
                ticket.fail(Error.from_problem(result, method.raises))

    async def stream(self, request: Request) -> AsyncIterator[Sequence[Payload]]:
        assert self.instance
        method, payload = request.method, request.payload
        if self._open >= (DIALOGUES if method.cardinality.streams_in else CONCURRENCY):
            raise Overloaded(retry_after=1.0)
        if request.timeline is not None:  # it is taken as soon as it comes
            request.timeline.placed = now = time.monotonic()
            request.timeline.batch = timeline.Batch(1, now)
        call = Call(request.id, request.deadline, request.caller)
        self._open += 1
        try:
            with self._input(request, call) as intake:
                if method.is_async:
                    items = self.instance.stream_async(method, payload, call, intake)
                else:
                    items = self._in_thread(self.instance.stream(method, payload, call, intake))
                async with contextlib.aclosing(items):
                    try:
                        while item := await by_deadline(request.deadline, anext(items, None)):
                            yield (item,)
                            await asyncio.sleep(0)  # a generator that never waits lets others in
                    finally:
                        call.cancel()
                        if intake:
                            intake.cancel()
        finally:
            self._open -= 1

    @contextlib.contextmanager
    def _input(self, request: Request, call: Call) -> Iterator[Intake | None]:
        """What a client streams in, where it does."""
        if not request.method.cardinality.streams_in:
            yield None
            return
        assert request.inbox
        loop = asyncio.get_running_loop()

        def want(count: int) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and nobody wants any more
                loop.call_soon_threadsafe(pump.want, count)

        intake = Intake(request.method, call, want)
        pump = Pump(request.inbox, intake.put, intake.close)
        self._intakes.add(intake)
        try:
            yield intake
        finally:
            pump.cancel()
            self._intakes.discard(intake)

    async def _in_thread(
        self, iterator: Generator[Payload, None, None]
    ) -> AsyncGenerator[Payload, None]:
        loop = asyncio.get_running_loop()
        stepping = threading.Lock()  # a generator cannot be closed while it takes a step

        def step() -> Payload | None:
            with stepping:
                return next(iterator, None)

        def close() -> None:
            with stepping:
                iterator.close()

        try:
            while item := await loop.run_in_executor(self._streams, step):
                yield item
        finally:
            with contextlib.suppress(RuntimeError):  # stopped: the collector closes it
                self._streams.submit(close)  # not waited for: a step may take as long as it likes


def _compute(
    instance: Instance,
    method: Method[Any, Any, Any],
    payloads: Sequence[Payload] | bytes,
    calls: Calls,
) -> tuple[list[Result] | bytes, float]:
    """Runs a synchronous batch: its results, and how long the model had it."""
    batch = Prepared(method, payloads, calls)
    return instance.run(batch), batch.seconds
