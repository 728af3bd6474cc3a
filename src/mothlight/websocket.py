"""A client's WebSocket: uvicorn's protocol with the bounds that it lacks.

Its own are kept: a frame's size, one unread message at a time (then the transport is not read any
more), and a send that waits while the client reads nothing. Frames are not compressed: 64 kB may
stand for 64 MB, and what the models send is small or compressed already.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

MAX_FRAGMENTS = 1024
"""Frames that one message may come in; empty ones would cost their sender nothing."""

log = logging.getLogger("mothlight.websocket")
log.setLevel(logging.CRITICAL)
# uvicorn would log each handshake with its query, in which there are keys; each that was refused,
# and each frame that is not UTF-8, as an error. What fails, the application logs.


class WebSocket(WebSocketsSansIOProtocol):
    """uvicorn's protocol with a bound on the time that a client reads nothing; one that answers no
    ping is dropped only if we listened to it. ``frames`` are the fragments of a message."""

    send_timeout = 60.0
    frames: list[bytes]
    transport: Any

    def connection_made(self, transport: Any) -> None:
        self.logger = self.conn.logger = log
        self.conn.debug = False
        super().connection_made(transport)
        self._send_timer: asyncio.TimerHandle | None = None
        self._unsent = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.fail(1008, f"a message has at most {MAX_FRAGMENTS} frames")
            self.handle_parser_exception()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # thrown away: who reads nothing would fill our memory

    # A client that reads nothing

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unsent = self.transport.get_write_buffer_size()
        self._send_timer = self.loop.call_later(self.send_timeout, self._look)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()

    def _look(self) -> None:
        left = self.transport.get_write_buffer_size()
        if left >= self._unsent:
            self.transport.abort()
            return
        self._unsent = left  # a large message on a slow line
        self._send_timer = self.loop.call_later(self.send_timeout, self._look)

    def keepalive_timeout(self) -> None:
        if self.read_paused or not self.writable.is_set():  # its pong may wait behind much
            self.pong_timer = self.loop.call_later(self.send_timeout, self.keepalive_timeout)
        else:
            super().keepalive_timeout()

    # Its end

    def shutdown(self) -> None:
        if not self.handshake_complete or self.close_sent:
            super().shutdown()
        # Else what it carries may end, as other accepted calls may; the application then closes it.

    def connection_lost(self, exc: Exception | None) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
        super().connection_lost(exc)
