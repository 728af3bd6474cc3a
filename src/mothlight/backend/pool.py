"""Pool: the services' worker processes, kept alive."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any

from .. import metrics
from ..errors import Overloaded, Unavailable
from ..schema import Payload
from ..service import Service
from .base import Reply, Request, StartupError, by_deadline
from .batching import CONCURRENCY, Scheduler
from .process import Process

log = logging.getLogger("mothlight")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0
"""Seconds before a dead worker is replaced; doubled while its successors die young."""

_YOUNG = 5.0
"""Seconds that a worker has to live for its death to count as a single mishap."""


class Pool:
    """A Backend of worker processes: ``workers`` for each service, each with its own model."""

    def __init__(
        self,
        services: Sequence[Service],
        *,
        workers: int = 1,
        max_queue: int = 1024,
        start_timeout: float = 300.0,
    ) -> None:
        cores = os.cpu_count() or 1
        threads = max(1, cores // max(1, workers * len(services)))
        self._crews = {
            service: Crew(service, workers, threads, max_queue, start_timeout)
            for service in services
        }

    async def start(self) -> None:
        try:
            await asyncio.gather(*(crew.start() for crew in self._crews.values()))
        except BaseException:
            await self.stop(0)
            raise

    async def stop(self, grace: float) -> None:
        await asyncio.gather(*(crew.stop(grace) for crew in self._crews.values()))

    def unary(self, request: Request) -> Coroutine[Any, Any, Reply]:
        return self._crews[request.method.service].unary(request)

    def stream(self, request: Request) -> AsyncIterator[Sequence[Payload]]:
        return self._crews[request.method.service].stream(request)

    @property
    def is_ready(self) -> bool:
        return all(crew.ready for crew in self._crews.values())

    @property
    def queued(self) -> int:
        return sum(crew.scheduler.waiting for crew in self._crews.values())


class Crew:
    """The workers of one service and the queue before them."""

    def __init__(
        self, service: Service, size: int, threads: int, max_queue: int, start_timeout: float
    ) -> None:
        self.service, self.size, self.threads = service, size, threads
        self.start_timeout = start_timeout
        self.scheduler = Scheduler(lambda: self._processes, max_queue)
        self._processes: list[Process] = []
        self._stopping = False
        self._restarts: set[asyncio.Task[None]] = set()
        self._pause = _FIRST_PAUSE
        metrics.watch_queue(service.name, lambda: self.scheduler.waiting)

    @property
    def ready(self) -> int:
        """How many workers take calls."""
        return sum(process.ready for process in self._processes) if not self._stopping else 0

    async def start(self) -> None:
        self._stopping = False
        await asyncio.gather(*(self._hire() for _ in range(self.size)))

    async def _hire(self) -> None:
        process = Process(
            self.service,
            threads=self.threads,
            changed=self.scheduler.dispatch,
            died=lambda: self._replace(process),
        )
        self._processes.append(process)
        try:
            await process.start(self.start_timeout)
        except BaseException:
            self._processes.remove(process)
            raise
        metrics.workers(self.service.name, self.ready)
        self.scheduler.dispatch()

    def _replace(self, dead: Process) -> None:
        self._processes.remove(dead)
        metrics.workers(self.service.name, self.ready)
        metrics.worker_restarted(self.service.name)
        if self._stopping:
            return
        lived = asyncio.get_running_loop().time() - dead.ready_since
        self._pause = _FIRST_PAUSE if lived > _YOUNG else min(2 * self._pause, _LONGEST_PAUSE)
        log.error(
            "a worker of %s died after %.1f s; another is started in %g s",
            self.service.name,
            lived,
            self._pause,
        )
        task = asyncio.get_running_loop().create_task(self._rehire())
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _rehire(self) -> None:
        while not self._stopping:
            await asyncio.sleep(self._pause)
            try:
                await self._hire()
            except (StartupError, OSError) as error:
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
                log.error("%s\nnext try in %g s", error, self._pause)
            else:
                return

    def unary(self, request: Request) -> Coroutine[Any, Any, Reply]:
        self._refuse_when_stopping()
        return self.scheduler.unary(request)

    async def stream(self, request: Request) -> AsyncIterator[Sequence[Payload]]:
        self._refuse_when_stopping()
        process = min((p for p in self._processes if p.ready), key=_streams, default=None)
        if process is None:
            raise Unavailable(reason=f"no worker of {self.service.name} is running")
        if process.streams >= CONCURRENCY:
            raise Overloaded(retry_after=1.0)
        feed = process.open(request)
        try:
            while items := await by_deadline(request.deadline, feed.take()):
                yield items
        finally:
            feed.cancel()

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise Unavailable(reason="the server is stopping")

    async def stop(self, grace: float) -> None:
        """Lets accepted calls end for ``grace`` seconds, then ends the workers."""
        self._stopping = True
        for task in self._restarts:
            task.cancel()
        await asyncio.gather(*self._restarts, return_exceptions=True)
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        while self._processes and self._is_busy() and loop.time() < end:
            await asyncio.sleep(0.01)
        self.scheduler.fail_all(Unavailable(reason="the server is stopping"))
        await asyncio.gather(*(process.stop() for process in self._processes))
        self._processes.clear()

    def _is_busy(self) -> bool:
        return bool(self.scheduler.waiting) or any(process.busy for process in self._processes)


def _streams(process: Process) -> int:
    return process.streams
