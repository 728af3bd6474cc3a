"""Passage: the items of a stream that nobody comes back to, straight from backend to reader.

A log would cost each item a task's turn, and hold what nobody asks for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from copy import copy
from typing import Any

from ..errors import Error
from ..schema import Payload


class Passage:
    """For one reader. ``count``: how many items it was given."""

    __slots__ = ("_closing", "_error", "_is_closed", "_items", "_reader", "count", "is_taken")

    def __init__(self, items: AsyncIterator[Sequence[Payload]]) -> None:
        self.count = 0
        self.is_taken = False
        self._items: Any = items
        self._error: Error | None = None
        self._reader: asyncio.Task[Any] | None = None  # while it waits for items
        self._is_closed = False
        self._closing: asyncio.Task[None] | None = None

    async def next(self) -> Sequence[Payload]:
        """The next items; () at the end. Raises Error."""
        if self._error is not None:
            raise copy(self._error)  # with the frames that raise it, it would hold itself
        self._reader = reader = asyncio.current_task()
        try:
            items: Sequence[Payload] | None = await anext(self._items, None)
        except asyncio.CancelledError:
            if self._error is None or reader is None:
                raise
            reader.uncancel()  # it was ``stop``
            raise copy(self._error) from None
        finally:
            self._reader = None
        self.count += len(items or ())
        return items or ()

    def stop(self, error: Error) -> None:
        """Ends it for its reader with ``error``, and the work at once, though the reader may be
        busy with sending on what it has."""
        self._error = error
        if self._reader is not None:
            self._reader.cancel()
        else:
            self._closing = asyncio.get_running_loop().create_task(self.close())

    async def close(self) -> None:
        """Ends the work."""
        if not self._is_closed:
            self._is_closed = True
            await self._items.aclose()
