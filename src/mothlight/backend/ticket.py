"""A call between the moment that it is accepted and its end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from .. import metrics
from ..errors import DeadlineExceeded
from ..methods import Method
from ..schema import Payload
from .base import Reply, Request
from .promise import Promise

CONCURRENCY = 128
"""Asynchronous calls, or streams of one method, that one runner holds at most."""

_NO_PLACE: tuple[int, int] = (0, 0)


class Holder(Protocol):
    """Whoever has a ticket: the queue, and then a runner."""

    def drop(self, ticket: Ticket) -> None:
        """Nobody waits for this ticket any more."""


class Ticket(Promise[Any]):
    """An accepted call; as a future it holds what becomes of it: a Reply, or for a stream the Feed
    of its items. It ends once, and whoever holds it is told when nobody waits any more."""

    __slots__ = ("_live", "holder", "place", "queued", "request", "since", "size", "timer")

    def __init__(
        self,
        request: Request,
        size: int,
        holder: Holder,
        live: set[Ticket],
        now: float,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(loop)
        self.request, self.size, self.holder, self.since = request, size, holder, now
        self._live = live  # where it is listed until it ends
        live.add(self)
        self.queued = 0.0
        self.place = _NO_PLACE  # or the runner's mark
        self.timer: asyncio.TimerHandle | None = None

    @property
    def urgency(self) -> int:
        return self.request.urgency

    @property
    def principal(self) -> str:
        return self.request.principal

    def wait_for(self, holder: Holder) -> None:
        """Has another holder, which has not begun with it."""
        self.holder, self.place = holder, _NO_PLACE

    def watch(self) -> None:
        """Lets it end with DeadlineExceeded when its deadline comes."""
        if self.timer is None and self.request.deadline is not None:
            self.timer = self.get_loop().call_at(self.request.deadline, self._expire)

    def _expire(self) -> None:
        if not self.done():
            self.fail(DeadlineExceeded())
            self._drop("deadline")

    def cancel(self, msg: Any | None = None) -> bool:
        """Cancels the call."""
        if not super().cancel(msg):
            return False
        self._release()
        self._drop("cancelled")
        return True

    def _drop(self, reason: str) -> None:
        metrics.call_dropped(self.request.method.qualname, reason, running=self.place != _NO_PLACE)
        self.holder.drop(self)

    def answer(self, payload: Payload, computed: float, batch: int) -> None:
        """Ends it with its answer, unless it has ended."""
        if not self.done():
            self.set_result(Reply(payload, self.queued, computed, batch))
            self._release()

    def give(self, feed: Any) -> None:
        """Ends its wait with the stream that has begun, unless it has ended."""
        if not self.done():
            self.set_result(feed)
            self._release()

    def fail(self, error: Exception) -> None:
        """Ends it with an error, unless it has ended."""
        if not self.done():
            self.set_exception(error)
            self._release()

    def _release(self) -> None:
        self._live.discard(self)
        if self.timer is not None:
            self.timer.cancel()


class Runner(Holder, Protocol):
    """Something that runs batches: a worker process, or a thread."""

    @property
    def is_open(self) -> bool:
        """Whether it takes calls at all: it is neither being started nor about to leave."""
        ...

    def left(self, now: float) -> float:
        """Predicted seconds until what it holds is done; 0.0: it holds nothing; below 0: so much
        longer than predicted it takes already."""
        ...

    def room(self, method: Method[Any, Any, Any], waiting: int) -> int:
        """How gladly it would take calls of this method now: 0 not at all, more when idler."""
        ...

    def run(
        self, method: Method[Any, Any, Any], tickets: Sequence[Ticket], predicted: float
    ) -> None:
        """Starts a batch (or one stream) that is predicted to take so many seconds; it becomes the
        holder of every ticket, and answers or fails it in time."""
