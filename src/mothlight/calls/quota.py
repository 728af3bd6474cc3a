"""Quota: a Backend that lets every caller have so much of another one.

rate           a bucket holds max(1, rate) calls and fills with ``rate`` a second: who was away may
               begin that many at once
concurrency    calls that were accepted and have not ended, with a connection or without

What is refused here has not been queued. To ask for a call that is known costs nothing. Each server
counts what it runs itself: two replicas let in twice as much.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from .. import metrics
from ..backend.base import Backend, Reply, Request
from ..errors import QuotaExceeded
from ..schema import Payload

_PATIENCE = 1.0
"""Seconds after which who has too many calls at once may try again: nobody knows when one ends."""

_SWEEP = 1024
"""Callers of whom a bucket is kept, at least, before those who are away are forgotten."""


class Bucket:
    """What one caller has used of its limits; None is no limit."""

    __slots__ = ("at", "concurrency", "rate", "running", "tokens")

    def __init__(self, rate: float | None, concurrency: int | None, now: float) -> None:
        self.rate, self.concurrency = rate, concurrency
        self.tokens = 1.0 if rate is None else max(1.0, rate)
        self.at = now
        self.running: set[asyncio.Future[Any]] = set()

    def check(self, now: float) -> tuple[str, float] | None:
        """The limit that a call would be over, and the seconds to wait; None where it may begin."""
        if (rate := self.rate) is not None:
            self.tokens = min(max(1.0, rate), self.tokens + (now - self.at) * rate)
            self.at = now
            if self.tokens < 1.0:
                return "rate", round((1.0 - self.tokens) / rate, 3)
        if self.concurrency is not None and len(self.running) >= self.concurrency:
            # One that was cancelled just now, by the call that supersedes it, tells so a bit later.
            self.running = {call for call in self.running if not call.done()}
            if len(self.running) >= self.concurrency:
                return "concurrency", _PATIENCE
        return None

    def begin(self, call: asyncio.Future[Any]) -> None:
        """Counts a call, until it is done."""
        if self.rate is not None:
            self.tokens -= 1.0
        if self.concurrency is not None:
            self.running.add(call)
            call.add_done_callback(self.end)

    def end(self, call: asyncio.Future[Any]) -> None:
        self.running.discard(call)

    def is_idle(self, now: float) -> bool:
        """Whether a new bucket would be the same."""
        if self.running:
            return False
        rate = self.rate
        return rate is None or self.tokens + (now - self.at) * rate >= max(1.0, rate)


class Quota:
    """``rate`` and ``concurrency`` are for callers whose Principal has none of its own. Callers
    without a name are told apart as they take turns: by ``Request.principal``."""

    def __init__(
        self,
        backend: Backend,
        rate: float | None = None,
        concurrency: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backend, self.rate, self.concurrency = backend, rate, concurrency
        self.buckets: dict[tuple[str, str], Bucket] = {}
        self._clock = clock
        self._sweep_at = _SWEEP

    def unary(self, request: Request) -> asyncio.Future[Reply]:
        bucket = self._bucket(request)
        if bucket is None:
            return self.backend.unary(request)
        self._check(bucket, request)
        future = self.backend.unary(request)  # what this refuses costs its caller nothing
        bucket.begin(future)
        return future

    def stream(self, request: Request) -> AsyncIterator[Sequence[Payload]]:
        bucket = self._bucket(request)
        return self.backend.stream(request) if bucket is None else self._count(bucket, request)

    async def _count(self, bucket: Bucket, request: Request) -> AsyncIterator[Sequence[Payload]]:
        self._check(bucket, request)
        request.place = call = asyncio.get_running_loop().create_future()
        bucket.begin(call)
        try:
            async with aclosing(self.backend.stream(request)) as items:  # type: ignore[type-var]
                async for payloads in items:
                    yield payloads
        finally:
            call.cancel()
            bucket.end(call)

    def _check(self, bucket: Bucket, request: Request) -> None:
        if over := bucket.check(self._clock()):
            limit, seconds = over
            metrics.call_refused(request.method.qualname, limit)
            what = "number of calls at once" if limit == "concurrency" else limit
            raise QuotaExceeded(what=what, retry_after=seconds)

    def _bucket(self, request: Request) -> Bucket | None:
        """The bucket of a caller; None where nothing limits it."""
        rate, concurrency = self.rate, self.concurrency
        name = ""
        if (who := request.quota) is not None:
            name = who.name
            rate = rate if who.rate is None else who.rate
            concurrency = concurrency if who.concurrency is None else who.concurrency
        if rate == math.inf:
            rate = None
        if rate is None and concurrency is None:
            return None
        key = (name, "") if name else ("", request.principal)
        bucket = self.buckets.get(key)
        if bucket is None:
            if len(self.buckets) >= self._sweep_at:
                self._sweep()
            bucket = self.buckets[key] = Bucket(rate, concurrency, self._clock())
        else:  # they may have been changed since
            bucket.rate, bucket.concurrency = rate, concurrency
        return bucket

    def _sweep(self) -> None:
        now = self._clock()
        for key in [key for key, bucket in self.buckets.items() if bucket.is_idle(now)]:
            del self.buckets[key]
        self._sweep_at = max(_SWEEP, 2 * len(self.buckets))  # so that a call pays for two at most

    # The rest is the other's

    async def start(self) -> None:
        await self.backend.start()

    async def stop(self, grace: float) -> None:
        await self.backend.stop(grace)

    async def reload(self) -> None:
        await self.backend.reload()

    @property
    def is_ready(self) -> bool:
        return self.backend.is_ready

    @property
    def states(self) -> Mapping[str, str]:
        return self.backend.states

    @property
    def queued(self) -> int:
        return self.backend.queued
