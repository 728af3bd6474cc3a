"""Inbox: the messages that a client streams in, between the protocol that reads them and the worker
that takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from copy import copy

from ..errors import Cancelled, Error
from ..schema import Payload

MAX_ITEMS, MAX_BYTES = 64, 4 * 1024 * 1024
"""Messages, and bytes of them, that wait here at most: then the client is not read any more. As
many may be on their way to the method, or wait for it there. One message more, where the last one
goes beyond."""


class Inbox:
    """One producer, one consumer, one event loop. ``received``: how many messages have come; who
    comes back after a lost connection sends those after it."""

    def __init__(self) -> None:
        self.received = 0
        self.is_ended = False
        self._messages: deque[Payload] = deque()
        self._bytes = 0
        self._error: Error | None = None
        self._consumer: asyncio.Future[None] | None = None
        self._producer: asyncio.Future[None] | None = None

    # The protocol's side

    @property
    def is_full(self) -> bool:
        """Whether the client is so far ahead that it is not read."""
        return len(self._messages) >= MAX_ITEMS or self._bytes >= MAX_BYTES

    async def put(self, payload: Payload) -> None:
        """Takes a message, once there is room for it. What comes after the end is not taken."""
        while not self.is_ended and self.is_full:
            self._producer = asyncio.get_running_loop().create_future()
            await self._producer
        if not self.is_ended:
            self.received += 1
            self._messages.append(payload)
            self._bytes += payload.size
            _wake(self._consumer)

    def end(self, error: Error | None = None) -> None:
        """There are no more messages; with ``error`` the call fails where it comes to that."""
        if not self.is_ended:
            self.is_ended, self._error = True, error
            _wake(self._consumer)
            _wake(self._producer)

    def drop(self) -> None:
        """The call has ended: what waits is let go of, and what comes is not taken."""
        self.end()
        self._error = Cancelled()  # a method that is being stopped takes it for no ordinary end
        self._messages.clear()
        self._bytes = 0

    # The engine's side

    async def take(self, most: int) -> list[Payload]:
        """Up to ``most`` messages, at least one; [] at the end. Raises Error."""
        while not self._messages:
            if self.is_ended:
                if self._error:
                    raise copy(self._error)
                return []
            self._consumer = asyncio.get_running_loop().create_future()
            await self._consumer
        taken = [self._messages.popleft() for _ in range(min(most, len(self._messages)))]
        self._bytes -= sum(payload.size for payload in taken)
        _wake(self._producer)
        return taken


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is not None and not future.done():
        future.set_result(None)
