"""What happened to a call, and when; kept for calls that are traced or logged, and for no others.

placed ─ queue ─> taken ─ batch: sent, decoded, waits, [computed] ─> answered
Times are those of the system's monotonic clock, in seconds; 0.0: it did not come to that.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend.ticket import Ticket


class Batch:
    """Calls that ran together; all of them that have a timeline share it."""

    __slots__ = ("answered", "computed", "id", "size", "taken")

    def __init__(self, size: int, taken: float) -> None:
        self.size, self.taken = size, taken
        self.id = f"{random.getrandbits(64):016x}"
        self.answered = 0.0
        self.computed = 0.0
        """Seconds that the model had it, up to ``answered``."""


class Timeline:
    """One call's. ``first`` is when the first item of a stream was sent; ``span`` and ``epoch``
    belong to whoever traces it."""

    __slots__ = ("batch", "epoch", "error", "first", "items", "placed", "span")

    def __init__(self) -> None:
        self.placed = self.first = 0.0
        self.batch: Batch | None = None
        self.items = 0
        self.error: Exception | None = None
        self.span: Any = None
        self.epoch = 0


def take(tickets: Sequence[Ticket], now: float) -> None:
    """Notes that calls left the queue together."""
    batch: Batch | None = None
    for ticket in tickets:
        timeline = ticket.request.timeline
        if timeline is not None:
            batch = batch or Batch(len(tickets), now)
            timeline.batch = batch


def answer(tickets: Sequence[Ticket], computed: float) -> None:
    """Notes that a batch was answered, and how many seconds the model had it."""
    for ticket in tickets:
        timeline = ticket.request.timeline
        if timeline is not None and (batch := timeline.batch):
            batch.answered, batch.computed = time.monotonic(), computed
            return
