"""The queue before the models: free runners pull what waits; nobody is kept waiting for company.

submit ─> one deque per method ─ dispatch ─> the idlest runner takes up to max_size of the
method whose first call has waited longest, among those that some runner has room for
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from .. import metrics
from ..errors import DeadlineExceeded, Overloaded
from ..schema import Payload
from ..service import Method
from .base import Reply, Request

PREFETCH = 2
"""Batches that a synchronous runner holds at most: one that runs, and one whose files are opened
meanwhile."""

CONCURRENCY = 128
"""Asynchronous calls, or streams, that one runner holds at most."""


class Ticket:
    """A call in the queue or in a batch."""

    __slots__ = ("future", "queued", "request", "since", "taken", "timer")

    def __init__(self, request: Request, loop: asyncio.AbstractEventLoop) -> None:
        self.request = request
        self.since = loop.time()
        self.queued = 0.0
        self.future: asyncio.Future[Reply] = loop.create_future()
        self.taken = False
        self.timer: asyncio.TimerHandle | None = None
        if request.deadline is not None:
            self.timer = loop.call_at(request.deadline, self.fail, DeadlineExceeded())

    def answer(self, payload: Payload, computed: float, batch: int) -> None:
        if not self.future.done():
            self.future.set_result(Reply(payload, self.queued, computed, batch))

    def fail(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)

    def release(self) -> None:
        if self.timer:
            self.timer.cancel()


class Runner(Protocol):
    """Something that runs batches: a worker process, or a thread."""

    def room(self, method: Method[Any, Any, Any], waiting: int) -> int:
        """How gladly it would take a batch of this method now: 0 not at all, more when idler."""
        ...

    def run(self, method: Method[Any, Any, Any], tickets: Sequence[Ticket]) -> None:
        """Starts a batch; every ticket is answered or failed in time."""


class Scheduler:
    """Hands the waiting calls of one service to its runners."""

    def __init__(self, runners: Callable[[], Iterable[Runner]], max_queue: int) -> None:
        self.runners, self.max_queue = runners, max_queue
        self.waiting = 0
        self._queues: dict[Method[Any, Any, Any], deque[Ticket]] = {}
        self._waker: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0

    async def unary(self, request: Request) -> Reply:
        if self.waiting >= self.max_queue:
            raise Overloaded(retry_after=1.0)
        ticket = Ticket(request, asyncio.get_running_loop())
        queue = self._queues.get(request.method)
        if queue is None:
            queue = self._queues[request.method] = deque()
        queue.append(ticket)
        self.waiting += 1
        # Who waits already found no room; one more changes that only when it fills a batch.
        if len(queue) == 1 or len(queue) == _size(request.method):
            self.dispatch()
        try:
            return await ticket.future
        finally:
            ticket.release()
            if not ticket.taken:  # cancelled, or past its deadline: its place is free at once
                queue.remove(ticket)
                self.waiting -= 1

    def dispatch(self) -> None:
        """Gives work to whoever is free; called when a call comes and when a runner is free."""
        while self.waiting and self._dispatch_one():
            pass

    def _dispatch_one(self) -> bool:
        waiting = [(queue[0].since, method) for method, queue in self._queues.items() if queue]
        if len(waiting) > 1:
            waiting.sort(key=_since)
        blocked: set[bool] = set()
        # A method that waits for company holds no other up, nor does a full runner of synchronous
        # methods hold up the asynchronous ones; but a younger call overtakes no older of its kind.
        for _, method in waiting:
            if method.is_async in blocked:
                continue
            queue = self._queues[method]
            if (pause := self._pause(method, queue)) > 0:
                self._wake_in(pause)
                continue
            runner, room = None, 0
            for candidate in self.runners():
                if (free := candidate.room(method, len(queue))) > room:
                    runner, room = candidate, free
            if runner:
                if taken := self._take(queue, method):
                    runner.run(method, taken)
                return True
            blocked.add(method.is_async)
        return False

    def _take(self, queue: deque[Ticket], method: Method[Any, Any, Any]) -> list[Ticket]:
        size = _size(method)
        taken: list[Ticket] = []
        now = asyncio.get_running_loop().time()
        while queue and len(taken) < size:
            ticket = queue.popleft()
            ticket.taken = True
            self.waiting -= 1
            if not ticket.future.done():
                ticket.queued = now - ticket.since
                taken.append(ticket)
        if taken:
            metrics.batch_size(method.qualname, len(taken))
        return taken

    def _pause(self, method: Method[Any, Any, Any], queue: deque[Ticket]) -> float:
        batching = method.batching
        if batching is None or not batching.max_wait or len(queue) >= batching.max_size:
            return 0.0
        return batching.max_wait - (asyncio.get_running_loop().time() - queue[0].since)

    def _wake_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        if self._waker is not None and self._wakes_at <= when:
            return
        if self._waker is not None:
            self._waker.cancel()
        self._wakes_at = when
        self._waker = loop.call_at(when, self._wake)

    def _wake(self) -> None:
        self._waker = None
        self.dispatch()

    def fail_all(self, error: Exception) -> None:
        """Ends every waiting call with ``error``."""
        for queue in self._queues.values():
            while queue:
                ticket = queue.popleft()
                ticket.taken = True
                ticket.fail(error)
        self.waiting = 0


def _size(method: Method[Any, Any, Any]) -> int:
    return method.batching.max_size if method.batching else 1


def _since(entry: tuple[float, Method[Any, Any, Any]]) -> float:
    return entry[0]
