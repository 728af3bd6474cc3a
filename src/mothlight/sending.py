"""Sending: who reads nothing of what is sent to him is not waited for; who reads slowly is."""

from __future__ import annotations

import asyncio
from typing import Any


class Sending(asyncio.Protocol):
    """Mixed into a protocol of uvicorn's: aborts its connection when a client has taken nothing for
    ``send_timeout`` seconds of what waits for it."""

    send_timeout = 60.0
    loop: asyncio.AbstractEventLoop
    transport: Any
    _send_timer: asyncio.TimerHandle | None = None
    _unsent = 0

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._send_timer = self.loop.call_later(self.send_timeout, self._look)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_looking()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_looking()
        super().connection_lost(exc)

    def _look(self) -> None:
        left = self.transport.get_write_buffer_size()
        if left >= self._unsent:
            self.transport.abort()
            return
        self._unsent = left  # a large answer on a slow line
        self._send_timer = self.loop.call_later(self.send_timeout, self._look)

    def _stop_looking(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
