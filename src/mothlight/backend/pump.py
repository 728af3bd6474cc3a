"""Pump: carries a client's messages from its inbox to the method's intake, as many as it wants."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any

from ..errors import Error, Internal
from ..schema import Payload
from .inbox import MAX_BYTES, MAX_ITEMS, Inbox

log = logging.getLogger("mothlight")


class Pump:
    """A task that ends with the client's messages. ``put`` gets them, ``close`` their end: None, or
    the problem document of what they failed with."""

    def __init__(
        self,
        inbox: Inbox,
        put: Callable[[list[Payload]], None],
        close: Callable[[dict[str, Any] | None], None],
    ) -> None:
        self._inbox, self._put, self._close = inbox, put, close
        self._sizes: deque[int] = deque()  # of the messages that the method has not yet taken
        self._bytes = 0
        self._room = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    def want(self, count: int) -> None:
        """The method has taken so many messages."""
        for _ in range(min(count, len(self._sizes))):
            self._bytes -= self._sizes.popleft()
        self._room.set()

    def cancel(self) -> None:
        """Carries no more."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            while payloads := await self._inbox.take(await self._free()):
                for payload in payloads:
                    self._sizes.append(payload.size)
                    self._bytes += self._sizes[-1]
                self._put(payloads)
        except Error as error:
            self._close(error.problem())
        except Exception:
            log.exception("a client's messages could not be carried on")
            self._close(Internal().problem())
        else:
            self._close(None)

    async def _free(self) -> int:
        """How many messages may be on their way more, one at least."""
        while len(self._sizes) >= MAX_ITEMS or self._bytes >= MAX_BYTES:
            self._room.clear()
            await self._room.wait()
        return MAX_ITEMS - len(self._sizes)
