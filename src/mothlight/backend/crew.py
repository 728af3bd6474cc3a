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
from ..services import Service
from . import obituary, wire
from .base import Reply, Request, StartupError
from .feed import stream
from .health import Ailment, Limits, ailment, hanging, is_mute
from .process import Process
from .scheduler import Scheduler

log = logging.getLogger("mothlight")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 10.0
"""Seconds before a dead worker is replaced; doubled while its successors die young."""

_YOUNG = 5.0
"""Seconds that a worker has to live for its death to count as a single mishap."""

_ROUND = 0.25
"""Seconds between two looks at the workers' health."""

_LAPSE = 1.0
"""Seconds that such a look may come late. Later, it was us who stood still, or the machine, and the
workers' signs of life are still on their way."""

_RELIEF = 30.0
"""Seconds at least that the calls of a worker get that is renewed, however short a stop is to be:
nobody waits for it to go. One that is above its memory ceiling is killed if it goes on to grow."""

_CLOSING = 1.0
"""Seconds that generators get to close when nobody waits any more."""

_REPRIEVE = 5.0
"""Seconds that a call gets which hangs when another worker serves already: one that is long, and no
more than that, ends, and is known for it the next time."""


@dataclass(frozen=True)
class Terms:
    """What every worker of a crew gets, and when it has to go."""

    placements: Sequence[wire.Placement]
    """One for each worker."""

    start_timeout: float
    grace: float
    """Seconds that the calls of a worker get that is renewed; never less than ``_RELIEF``."""

    limits: Limits
    log: wire.Log


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
        self._early: list[Process] = []  # launched before there is an event loop
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._pause = _FIRST_PAUSE
        self._deaths: list[set[str]] = []  # the methods that ran, since a worker last lived long
        self._last_death = ""
        scheduled = self.scheduler
        metrics.watch_queue(service.name, lambda: scheduled.waiting, lambda: scheduled.bytes)
        metrics.watch_workers(service.name, lambda: self.ready, self._memory)

    @property
    def ready(self) -> int:
        """How many workers take calls."""
        if self._stopping:
            return 0
        return sum(process.is_open for process in self._processes)

    @property
    def state(self) -> str:
        """Whether it takes calls: "ready", or why not."""
        if self._stopping:
            return "stopping"
        if self.ready:
            return "ready"
        if self._last_death:
            return f"its worker died{self._last_death}; another is being started"
        return "starting"

    def _memory(self) -> dict[str, float]:
        """Bytes that the workers hold, by their numbers; one that is being replaced shares its
        successor's."""
        held: dict[str, float] = {}
        for process in self._processes:
            number = str(process.placement.index)
            held[number] = held.get(number, 0) + process.memory
        return held

    def launch(self) -> None:
        """Starts the workers' processes, for ``start`` to wait for them. Raises OSError."""
        for placement in self.terms.placements:
            process = self._process(placement)
            process.launch()
            self._early.append(process)

    async def start(self) -> None:
        self._stopping = False
        self.scheduler.loop = asyncio.get_running_loop()
        early, self._early = self._early, []
        processes = early or [self._process(placement) for placement in self.terms.placements]
        await asyncio.gather(*map(self._hire, processes))
        self._spawn(self._watch())

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _process(self, placement: wire.Placement) -> Process:
        process = Process(
            self.service,
            self.scheduler,
            placement,
            self.terms.log,
            died=lambda: self._replace(process),
        )
        return process

    async def _hire(self, process: Process) -> None:
        self._processes.append(process)
        try:
            await process.start(self.terms.start_timeout)
        except BaseException:
            self._processes.remove(process)
            raise
        self.scheduler.dispatch()

    # Death

    def _replace(self, dead: Process) -> None:
        self._processes.remove(dead)
        metrics.worker_restarted(self.service.name, dead.kind)
        self._last_death = dead.cause
        lived = self._note_age(dead)
        if lived > _YOUNG:
            self._deaths.clear()
        self._deaths.append({method.qualname for method, _ in dead.lost})
        log.error(
            "a worker of %s (pid %d) died%s after %.1f s%s%s",
            self.service.name,
            dead.pid,
            dead.cause + obituary.hint(dead.cause),
            lived,
            obituary.lost(dead.lost),
            obituary.loop(self._deaths),
        )
        if not self._stopping and not dead.renewing:  # then it has a successor already
            self._spawn(self._rehire(dead.placement))

    def _note_age(self, process: Process) -> float:
        """How long a worker has lived; the pause before its successor grows while they go young."""
        lived = time.monotonic() - process.ready_since
        self._pause = _FIRST_PAUSE if lived > _YOUNG else min(2 * self._pause, _LONGEST_PAUSE)
        return lived

    async def _rehire(self, placement: wire.Placement) -> None:
        begin = time.monotonic()
        while not self._stopping:
            await asyncio.sleep(self._pause)
            try:
                await self._hire(self._process(placement))
            except Exception as error:
                if not isinstance(error, (StartupError, OSError)):
                    log.exception("a worker of %s could not be started", self.service.name)
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
                metrics.worker_restarted(self.service.name, "start")
                self._deaths.append(set())
                report = obituary.loop(self._deaths)
                log.error("%s%s\nnext try in %g s", error, report, self._pause)
            else:
                seconds = time.monotonic() - begin
                log.info("a worker of %s is back after %.2f s", self.service.name, seconds)
                return

    # Health

    async def _watch(self) -> None:
        looked = time.monotonic()
        while not self._stopping:
            await asyncio.sleep(_ROUND)
            before, looked = looked, time.monotonic()
            try:
                self._look(looked, stood_still=looked - before > _ROUND + _LAPSE)
            except Exception:
                log.exception("the health of %s is not known", self.service.name)

    def _look(self, now: float, *, stood_still: bool) -> None:
        for process in list(self._processes):
            if stood_still:
                process.heard = now
            elif (ill := ailment(process, self.terms.limits, now)) is None:
                continue
            elif ill.is_fatal:
                process.kill(ill.reason, ill.kind)
            elif not process.renewing:
                process.renewing = True
                self._spawn(self._heal(process, ill))

    async def _heal(self, old: Process, ill: Ailment) -> None:
        """Renews a worker that ails; one that hangs is killed where that fails."""
        metrics.worker_renewed(self.service.name, ill.kind)
        log.warning(
            "a worker of %s (pid %d) is renewed: %s", self.service.name, old.pid, ill.reason
        )
        if self._note_age(old) <= _YOUNG and not self._hangs(old):
            await asyncio.sleep(self._pause)
        try:
            await self._succeed(old)
        except Exception as error:
            if isinstance(error, StartupError):
                log.error("%s", error)
            else:
                log.exception("a worker of %s could not be renewed", self.service.name)
            if self._hangs(old):
                old.kill("it hangs", "hang")
            await asyncio.sleep(self._pause)
            self._keep(old)

    async def _renew(self, old: Process) -> None:
        """Replaces a worker by a new one, which is warm before the old one takes no more calls.
        Raises StartupError where the new one does not start; the old one then serves on."""
        old.renewing = True
        try:
            await self._succeed(old)
        except Exception:
            self._keep(old)
            raise

    def _keep(self, old: Process) -> None:
        """Goes on with a worker that was to be renewed."""
        old.renewing = False
        if old not in self._processes:  # it died meanwhile
            self._spawn(self._rehire(old.placement))

    async def _succeed(self, old: Process) -> None:
        try:
            await self._hire(self._process(old.placement))
        except (StartupError, OSError) as error:
            raise StartupError(f"{error}\nthe old worker serves on") from error
        old.retiring = True
        grace = max(self.terms.grace, _RELIEF)
        end = time.monotonic() + grace
        await self._until(lambda: self._may_go(old), end)
        last = _REPRIEVE if self._hangs(old) else _CLOSING
        await self._until(
            lambda: not old.busy or self._is_mute(old), min(end, time.monotonic() + last)
        )
        if self._hangs(old):
            old.kill("it hangs", "hang")
        elif old in self._processes:
            self._processes.remove(old)
            await old.stop(f"its worker was renewed, and it has not ended within {grace:g} s")

    def _may_go(self, old: Process) -> bool:
        """Whether nobody waits any more for what may still come of a worker. Of one that hangs that
        is what goes on beside it; what stands behind it goes to its successor."""
        if not self._hangs(old):
            return not old.is_awaited()
        return self._is_mute(old) or not old.is_awaited(beside=True)

    def _is_mute(self, process: Process) -> bool:
        return self._hangs(process) and is_mute(process, time.monotonic())

    def _hangs(self, process: Process) -> bool:
        return hanging(process, self.terms.limits, time.monotonic()) is not None

    async def reload(self) -> None:
        """Replaces every worker, one after the other, as Backend says."""
        begin = time.monotonic()
        while not self._stopping:
            old = [p for p in self._processes if p.begun < begin and not p.retiring]
            if not old:
                return
            if old[0].ready and not old[0].renewing:
                metrics.worker_renewed(self.service.name, "reload")
                await self._renew(old[0])
            else:  # it is being started, or replaced for its health: what comes of it is looked at
                await asyncio.sleep(_ROUND)

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
        await self._until(lambda: not self._is_awaited(), end)
        await self._until(lambda: not self._is_busy(), min(end, time.monotonic() + _CLOSING))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.scheduler.stop(Unavailable(reason="the server is stopping"))
        await asyncio.gather(*(process.stop() for process in self._processes))
        self._processes.clear()

    async def _until(self, done: Callable[[], bool], end: float) -> None:
        while self._processes and not done() and time.monotonic() < end:
            await asyncio.sleep(0.01)

    def _is_awaited(self) -> bool:
        return bool(self.scheduler.waiting) or any(p.is_awaited() for p in self._processes)

    def _is_busy(self) -> bool:
        return any(process.busy for process in self._processes)
