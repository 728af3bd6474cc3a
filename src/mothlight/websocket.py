"""A client's WebSocket: uvicorn's protocol with the bounds that it lacks.

Its own are kept: a message's size, no more reading while there are messages that the application
has not taken, and a send that waits while the client reads nothing. Frames are not compressed:
64 kB may stand for 64 MB, and what the models send is small or compressed already.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request

from .protocols.status import CALLS
from .sending import Sending

MAX_FRAGMENTS = 1024
"""Frames that one message may come in; empty ones would cost their sender nothing."""

_PIECE = 4096
"""Bytes that are parsed at once. A read has 256 KiB, which may be 40 000 frames: they would take
15 MB as messages, and 0.1 s."""

log = logging.getLogger("mothlight.websocket")
log.setLevel(logging.CRITICAL)
# uvicorn would log each handshake with its query, in which there are keys; each that was refused,
# and each frame that is not UTF-8, as an error. What fails, the application logs.


class WebSocket(Sending, WebSocketsSansIOProtocol):
    """uvicorn's protocol with bounds on the time that a message takes to arrive and that a client
    reads nothing; one that answers no ping is dropped only if we listened to it. ``frames`` are the
    fragments of a message."""

    body_timeout = 60.0
    max_json = 4 * 1024 * 1024
    frames: list[bytes]
    transport: Any

    def connection_made(self, transport: Any) -> None:
        self.logger = self.conn.logger = log
        self.conn.debug = False
        super().connection_made(transport)
        self._message_timer: asyncio.TimerHandle | None = None
        self._ahead = b""  # read, and not parsed yet

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent and self.scope["path"] == CALLS:  # its frames are JSON
            self.conn.max_message_size = self.max_json

    def data_received(self, data: bytes) -> None:
        self._ahead += data
        self._parse()

    def _parse(self) -> None:
        """Parses what has been read, until there is a message for the application."""
        data, at = self._ahead, 0
        while at < len(data) and not self.read_paused:
            super().data_received(data[at : at + _PIECE])
            at += _PIECE
        self._ahead = data[at:]
        is_whole = not (self.frames or self.conn.reader.buffer)
        if is_whole or self.read_paused:  # then it is we who make the client wait
            self._stop_message_timer()
        elif self._message_timer is None:
            self._message_timer = self.loop.call_later(self.body_timeout, self._give_up)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            self.transport.close()

    async def receive(self) -> Any:
        event = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._parse()
            if not self.read_paused:
                self.transport.resume_reading()
        return event

    async def send(self, message: Any) -> None:
        await super().send(message)
        if self.close_sent and self._ahead:  # its client's close may be among it
            self._parse()

    def handle_cont(self, event: Frame) -> None:
        if len(self.frames) < MAX_FRAGMENTS:
            super().handle_cont(event)
        elif not self.close_sent:
            self.conn.fail(1008, f"a message has at most {MAX_FRAGMENTS} frames")
            self.handle_parser_exception()

    def _stop_message_timer(self) -> None:
        if self._message_timer is not None:
            self._message_timer.cancel()
            self._message_timer = None

    def _give_up(self) -> None:
        """The time that a message may take to arrive is over."""
        if not (self.close_sent or self.transport.is_closing()):
            self.conn.fail(1008, f"a message has {self.body_timeout:g} s to arrive")
            self.handle_parser_exception()

    def handle_parser_exception(self) -> None:
        """Closes the socket for a fault of its client's. Who still sends is listened to for a
        while: to close at once would reset the connection, and what is said last be lost."""
        if self.close_timer is not None:
            return
        close = self.conn.close_sent
        code, reason = (close.code, close.reason) if close else (1006, "")
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.frames, self.close_sent = [], True
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.write_eof()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.close)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # thrown away: who reads nothing would fill our memory

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
        self._stop_message_timer()
        super().connection_lost(exc)
