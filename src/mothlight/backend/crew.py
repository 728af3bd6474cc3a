"""Crew: the worker processes of one service, kept alive, healthy and fresh.

hire ─ warm ─> serves ─ retires (a new one is warm first) ─> drained ─> stopped
                      └ dies, hangs, stops answering ─> killed, replaced after a pause
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .. import metrics
from ..errors import Unavailable
from ..schema import Payload
from ..service import Service
from . import wire
from .base import Reply, Request, StartupError
from .feed import stream
from .health import Limits, ailment
from .process import Process
from .scheduler import Scheduler

log = logging.getLogger("mothlight")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0
"""Seconds before a dead worker is replaced; doubled while its successors die young."""

_YOUNG = 5.0
"""Seconds that a worker has to live for its death to count as a single mishap."""

_ROUND = 0.25
"""Seconds between two looks at the workers' health."""


@dataclass(frozen=True)
class Terms:
    """What every worker of a crew gets, and when it has to go."""

    placements: Sequence[wire.Placement]
    """One for each worker."""

    start_timeout: float
    grace: float
    """Seconds that a retiring worker's calls get."""

    limits: Limits


class Crew:
    """The workers of one service and the queue before them."""

    def __init__(
        self,
        service: Service,
        terms: Terms,
        scheduler: Callable[[Callable[[], Sequence[Process]]], Scheduler],
    ) -> None:
        self.service, self.terms = service, terms
        self.scheduler = scheduler(lambda: self._processes)
        self._processes: list[Process] = []
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._pause = _FIRST_PAUSE
        self._deaths: list[str] = []  # causes, since a worker last lived long
        metrics.watch_queue(service.name, lambda: self.scheduler.waiting)

    @property
    def ready(self) -> int:
        """How many workers take calls."""
        if self._stopping:
            return 0
        return sum(process.ready and not process.retiring for process in self._processes)

    async def start(self) -> None:
        self._stopping = False
        await asyncio.gather(*(self._hire(placement) for placement in self.terms.placements))
        self._spawn(self._watch())

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _hire(self, placement: wire.Placement) -> None:
        process = Process(
            self.service, self.scheduler, placement, died=lambda: self._replace(process)
        )
        self._processes.append(process)
        try:
            await process.start(self.terms.start_timeout)
        except BaseException:
            self._processes.remove(process)
            raise
        metrics.workers(self.service.name, self.ready)
        self.scheduler.dispatch()

    # Death

    def _replace(self, dead: Process) -> None:
        self._processes.remove(dead)
        metrics.workers(self.service.name, self.ready)
        metrics.worker_restarted(self.service.name)
        if self._stopping or dead.retiring:
            return
        lived = time.monotonic() - dead.ready_since
        if lived > _YOUNG:
            self._pause = _FIRST_PAUSE
            self._deaths.clear()
        else:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        self._deaths.append(dead.cause)
        log.error(
            "a worker of %s died%s after %.1f s; another is started in %g s%s",
            self.service.name,
            dead.cause,
            lived,
            self._pause,
            _loop_report(self._deaths),
        )
        self._spawn(self._rehire(dead.placement))

    async def _rehire(self, placement: wire.Placement) -> None:
        while not self._stopping:
            await asyncio.sleep(self._pause)
            try:
                await self._hire(placement)
            except (StartupError, OSError) as error:
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
                log.error("%s\nnext try in %g s", error, self._pause)
            else:
                return

    # Health

    async def _watch(self) -> None:
        while not self._stopping:
            await asyncio.sleep(_ROUND)
            for process in list(self._processes):
                ill = ailment(process, self.terms.limits, time.monotonic())
                if ill is None:
                    continue
                if ill.is_fatal:
                    process.kill(ill.reason)
                else:
                    log.info("a worker of %s is renewed: %s", self.service.name, ill.reason)
                    self._spawn(self._renew(process))

    async def _renew(self, old: Process) -> None:
        """Replaces a worker by a new one, which is warm before the old one takes no more calls.
        Raises StartupError where the new one does not start; the old one then serves on."""
        if old.retiring or old.renewing:
            return
        old.renewing = True
        try:
            await self._hire(old.placement)
        except (StartupError, OSError) as error:
            old.renewing = False
            raise StartupError(f"{error}\nthe old worker serves on") from error
        old.retiring = True
        end = time.monotonic() + self.terms.grace
        while old.busy and time.monotonic() < end:
            await asyncio.sleep(0.01)
        if old in self._processes:
            self._processes.remove(old)
            await old.stop()
        metrics.workers(self.service.name, self.ready)

    async def reload(self) -> None:
        """Replaces every worker, one after the other; no call fails. Raises StartupError where the
        new ones do not start."""
        for process in list(self._processes):
            if process.ready:
                await self._renew(process)

    # Calls

    def unary(self, request: Request) -> asyncio.Future[Reply]:
        self._refuse_when_stopping()
        return self.scheduler.place(request)

    def stream(self, request: Request) -> AsyncIterator[Sequence[Payload]]:
        self._refuse_when_stopping()
        return stream(self.scheduler, request)

    def _refuse_when_stopping(self) -> None:
        if self._stopping:
            raise Unavailable(reason="the server is stopping")

    async def stop(self, grace: float) -> None:
        """Lets accepted calls end for ``grace`` seconds, then ends the workers."""
        self._stopping = True
        end = time.monotonic() + grace
        while self._processes and self._is_busy() and time.monotonic() < end:
            await asyncio.sleep(0.01)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.scheduler.fail_all(Unavailable(reason="the server is stopping"))
        await asyncio.gather(*(process.stop() for process in self._processes))
        self._processes.clear()

    def _is_busy(self) -> bool:
        return bool(self.scheduler.waiting) or any(process.busy for process in self._processes)


def _loop_report(causes: Sequence[str]) -> str:
    """What is said when workers die again and again."""
    if len(causes) < 3:
        return ""
    last = causes[-1].strip() or "no known cause"
    return (
        f"\nthat is {len(causes)} deaths in a row, the last one {last}; if it is always the same "
        "call that kills them, its id stands in the log before"
    )
