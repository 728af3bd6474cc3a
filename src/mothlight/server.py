"""The HTTP server: uvicorn, with bounds on what a connection may keep us waiting for."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from typing import Any

import uvicorn
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .app import App
from .backend.base import ENVIRONMENT
from .errors import DefinitionError, MalformedRequest

log = logging.getLogger("mothlight")

MAX_HEAD = 64 * 1024
"""Bytes of a request's head. llhttp, which uvicorn parses with, has no bound of its own."""

MAX_HEADERS = 256
MAX_PIPELINED = 128
"""Requests that wait on a connection for the one before them; each takes kilobytes."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on the time and size of a request's head, on the time that a
    client reads nothing, and on the number of connections; uvicorn itself would wait for ever for
    the rest of a header line, and for a client to read on."""

    head_timeout = 15.0
    send_timeout = 60.0
    max_connections = 4096

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_size = 0
        self._in_head = True  # until its first request's head is whole
        self._head_timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._running: Any = None
        if len(self.connections) > self.max_connections:
            transport.abort()
        else:
            self._watch_head()

    def on_message_begin(self) -> None:
        self._in_head, self._head_size = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        if len(self.headers) > MAX_HEADERS or len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many")  # which the parser makes a 400 of
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        self._head_size += len(data)  # a message that begins in this data sets it to 0
        super().data_received(data)
        if self._in_head and self._head_size > MAX_HEAD:
            self.transport.close()
        self._watch_head()
        idle = not self._in_head and self.cycle is not None and self.cycle.response_complete
        if idle and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            # An empty line between requests is no request: the connection is still idle.
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def send_400_response(self, msg: str) -> None:
        if self.cycle is None or self.cycle.response_complete:
            problem = to_json(MalformedRequest(reason="this is not HTTP/1.1").problem())
            self.transport.write(
                b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(problem), problem)
            )
        self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._send_timer = self.loop.call_later(self.send_timeout, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._send_timer is not None:
            self._send_timer.cancel()

    def _watch_head(self) -> None:
        # A head that comes in one piece, as nearly all do, never needs the timer.
        if self._in_head and self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout, self.transport.close)
        elif not self._in_head and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells only the newest of pipelined requests that its client has left.
            self._running.disconnected = True
            self._running.message_event.set()
        self._in_head = False
        self._watch_head()
        if self._send_timer is not None:
            self._send_timer.cancel()
        super().connection_lost(exc)


class Server(uvicorn.Server):
    """Serves an App until SIGINT or SIGTERM, and then drains it."""

    def __init__(self, app: App) -> None:
        self.app = app
        settings = app.settings
        bounds = {
            "head_timeout": settings.head_timeout,
            "send_timeout": settings.send_timeout,
            "max_connections": settings.max_connections,
        }
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http=type("Protocol", (BoundedProtocol,), bounds),
                ws="none",
                lifespan="on",
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=max(1, round(settings.keep_alive)),
                timeout_graceful_shutdown=max(1, round(settings.grace)),
                backlog=2048,
            )
        )

    async def startup(self, sockets: list[Any] | None = None) -> None:
        begin = time.perf_counter()
        names = ", ".join(service.name for service in self.app.services)
        workers = self.app.settings.workers
        log.info("loading %s (%s)", names, f"{workers} worker(s) each" if workers else "in-process")
        await super().startup(sockets)
        if self.started:
            log.info("ready in %.1f s\n%s", time.perf_counter() - begin, self._greeting())

    def _greeting(self) -> str:
        settings = self.app.settings
        port = self.servers[0].sockets[0].getsockname()[1] if self.servers else settings.port
        lines = []
        for service in self.app.services:
            for method in service.methods.values():
                kind = " (stream)" if method.cardinality.streams_out else ""
                lines.append(f"  {method.verb:6} {method.path}{kind}")
        lines.append(f"  docs            http://127.0.0.1:{port}/docs")
        lines.append(f"  Android emulator http://10.0.2.2:{port}")
        if settings.host in ("0.0.0.0", "::"):
            lines.append(f"  phones here     http://{_lan_address()}:{port}")
        else:
            lines.append("  phones          --host 0.0.0.0 lets them in")
        return "\n".join(lines)


def _lan_address() -> str:
    """The address that this machine has in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737); a datagram socket sends none
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def serve(app: App) -> int:
    """Serves until it is told to stop; the exit status (3 when a service could not be started)."""
    if os.environ.get(ENVIRONMENT):
        raise DefinitionError(
            "serve() was reached while a worker imported this module",
            'guard it:   if __name__ == "__main__": mothlight.serve(app)',
        )
    server = Server(app)
    server.run()
    return 0 if server.started else 3
