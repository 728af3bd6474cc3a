"""Outbox: the messages of a stream to the server, until it says that it has them.

 confirmed        next         count
     │   sent       │  not yet   │
─────┴──────────────┴────────────┴──>  bounded: then no more are taken
"""

from __future__ import annotations

from collections import deque

from .options import MEBI

MAX_ITEMS, MAX_BYTES = 4096, 8 * MEBI
"""Messages, and bytes of them, that are held at most; one message more, where the last one goes
beyond."""

END = '{"end":true}'

Frame = str | bytes


class Outbox:
    """A message is numbered from 1. ``is_ended``: there are no more than ``count``."""

    def __init__(self) -> None:
        self.confirmed = self.count = 0
        self.is_ended = False
        self._held: deque[Frame] = deque()
        self._bytes = 0
        self._next = self._sent = 0  # of this connection; the most of any
        self._has_ended = False  # on this connection

    @property
    def is_full(self) -> bool:
        return len(self._held) >= MAX_ITEMS or self._bytes >= MAX_BYTES

    def add(self, frame: Frame) -> None:
        """Takes a message; who has many waits while it is full."""
        self._held.append(frame)
        self._bytes += len(frame)
        self.count += 1

    def end(self) -> None:
        """There are no more."""
        self.is_ended = True

    def confirm(self, count: int) -> None:
        """The server has the first ``count``. Raises ValueError where that cannot be."""
        if not self.confirmed <= count <= self._sent:
            raise ValueError(f"{count} messages, of {self.confirmed} to {self._sent}")
        while self.confirmed < count:
            self._bytes -= len(self._held.popleft())
            self.confirmed += 1

    def rewind(self, count: int) -> None:
        """Another connection, on which the server has the first ``count``. Raises ValueError."""
        self.confirm(count)
        self._next, self._has_ended = count, False

    def take(self) -> Frame | None:
        """The frame to send next; None as long as there is none."""
        if self._next < self.count:
            self._next += 1
            self._sent = max(self._sent, self._next)
            return self._held[self._next - self.confirmed - 1]
        if self.is_ended and not self._has_ended:
            self._has_ended = True
            return END
        return None
