"""Feed: the items of one stream, between the worker that sends and the protocol that reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from copy import copy
from typing import Any

from .. import metrics
from ..errors import DeadlineExceeded, Error
from ..methods import Method
from ..schema import Payload
from . import wire
from .base import Request, by_deadline
from .scheduler import Scheduler


class Feed:
    """``grant`` gives the worker so many places more, ``cancel`` tells it to stop."""

    def __init__(
        self,
        method: Method[Any, Any, Any],
        *,
        grant: Callable[[int], None],
        cancel: Callable[[], None],
    ) -> None:
        self.method, self._grant, self._cancel = method, grant, cancel
        self._items: list[Payload] = []
        self._error: Error | None = None
        self._ended = False
        self._taken = 0  # places, since the last grant
        self._reader: asyncio.Future[None] | None = None  # who waits for items

    def put(self, payloads: Sequence[Payload]) -> None:
        self._items += payloads
        self._wake()

    def end(self, problem: dict[str, Any] | None) -> None:
        """Ends it well, or with a problem document."""
        self.fail(None if problem is None else Error.from_problem(problem, self.method.raises))

    def fail(self, error: Error | None) -> None:
        if not self._ended:
            self._ended, self._error = True, error
            self._wake()

    def _wake(self) -> None:
        if self._reader and not self._reader.done():
            self._reader.set_result(None)

    async def take(self) -> list[Payload]:
        """All items that have come, at least one; [] at the end. Raises Error."""
        while not self._items:
            if self._ended:
                if self._error:
                    raise copy(self._error)
                return []
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        items, self._items = self._items, []
        self._taken += sum(map(wire.places, items))
        if self._taken >= wire.WINDOW // 2:  # seldom: each grant is a frame
            self._grant(self._taken)
            self._taken = 0
        return items

    def cancel(self, reason: str = "cancelled") -> None:
        """Tells the worker that nobody reads any more, unless it has ended; ``reason`` is counted:
        ``cancelled``, or ``deadline``, which the worker may have noticed before us."""
        if reason == "deadline" or not self._ended:
            metrics.call_dropped(self.method.qualname, reason, running=True)
        if not self._ended:
            self._cancel()


async def stream(scheduler: Scheduler, request: Request) -> AsyncIterator[Sequence[Payload]]:
    """The items of a stream, once a runner has a place for it. Raises Error; closing the iterator
    cancels the call."""
    ticket = scheduler.place(request)
    feed: Feed | None = None
    reason = "cancelled"
    try:
        feed = await ticket
        assert feed
        while items := await by_deadline(request.deadline, feed.take()):
            yield items
    except DeadlineExceeded:
        reason = "deadline"
        raise
    finally:
        if feed is None and ticket.done() and not ticket.cancelled() and not ticket.exception():
            feed = ticket.result()  # it came in the moment in which we were cancelled
        if feed:
            feed.cancel(reason)
