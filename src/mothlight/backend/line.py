"""The waiting calls of one method, and what its batches have cost."""

from __future__ import annotations

from typing import Any

from ..methods import Method
from .cost import Cost
from .queue import FairQueue
from .ticket import CONCURRENCY, Runner, Ticket

_FRESH = 5.0
"""Seconds that a cost is believed without another look."""

_HICCUP = 3.0
"""So many times its predicted cost is the most that is believed of a batch; a model that has become
slower is known for it after some tens of them, one that has become so much quicker after a few."""

_LASTING = 0.999
"""What is left of the longest time of a batch after the next one: some thousands are remembered."""


class Line:
    """What waits for one method."""

    __slots__ = ("batches", "cost", "is_stream", "kind", "learnt", "longest", "max_wait", "method",
                 "places", "queue", "size")  # fmt: skip

    def __init__(self, method: Method[Any, Any, Any]) -> None:
        self.method = method
        self.queue: FairQueue[Ticket] = FairQueue()
        self.cost = Cost()
        self.learnt = 0.0  # when
        self.longest = 0.0  # seconds of a batch; it fades
        self.batches = 0
        self.is_stream = method.cardinality.streams
        self.size = 1 if self.is_stream or not method.batching else method.batching.max_size
        self.max_wait = method.batching.max_wait if method.batching else 0.0
        # What competes for the same places in a runner:
        self.kind = method if self.is_stream else method.is_async
        self.places = CONCURRENCY if method.is_async else 1  # of calls that run side by side

    def learn(self, size: int, seconds: float, now: float) -> None:
        """Takes what a batch cost; a hiccup counts as a few batches, so that one refuses nobody,
        and what was slow at first is not held against those that are quick."""
        self.longest = max(seconds, _LASTING * self.longest)
        if self.cost.is_known:
            expected = self.cost.of(size)
            if seconds * _HICCUP < expected:
                self.cost.fade()
            seconds = min(seconds, _HICCUP * expected + 0.005)
        self.cost.observe(size, seconds)
        self.learnt = now
        self.batches += 1

    def is_known(self, now: float) -> bool:
        """Whether what is known of the cost is new enough to refuse a call that none is before:
        else one slow batch would shut the door for ever."""
        return now - self.learnt < _FRESH

    def backlog(self, waiting: int) -> float:
        """Predicted seconds of one runner for so many calls."""
        return 0.0 if self.is_stream else self.cost.backlog(waiting, self.size) / self.places

    def left(self, runner: Runner, now: float) -> float:
        """Predicted seconds until a runner begins with a call of this line that it takes now."""
        return runner.left(now) if self.kind is False else 0.0

    def pause(self, now: float) -> float:
        """Seconds that its calls still wait for company (``max_wait``)."""
        if not self.max_wait or len(self.queue) >= self.size:
            return 0.0
        return self.max_wait - (now - min(ticket.since for ticket in self.queue))
