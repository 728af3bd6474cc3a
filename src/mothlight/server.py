"""The HTTP server: uvicorn, with bounds on what a connection may keep us waiting for."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .app import App
from .backend.base import ENVIRONMENT
from .errors import DefinitionError

log = logging.getLogger("mothlight")

MAX_HEAD = 64 * 1024
"""Bytes of a request's head. llhttp, which uvicorn parses with, has no bound of its own."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a bound on the time and size of a request's head and on the number
    of connections; uvicorn itself would wait for ever for the rest of a header line."""

    head_timeout = 15.0
    max_connections = 4096

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_size = 0
        self._in_head = True  # until its first request's head is whole
        self._head_timer: asyncio.TimerHandle | None = None
        if len(self.connections) > self.max_connections:
            transport.abort()
        else:
            self._watch_head()

    def on_message_begin(self) -> None:
        self._in_head, self._head_size = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._head_size += len(data)
        if self._in_head and self._head_size > MAX_HEAD:
            self.transport.close()
        self._watch_head()

    def _watch_head(self) -> None:
        # A head that comes in one piece, as nearly all do, never needs the timer.
        if self._in_head and self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout, self.transport.close)
        elif not self._in_head and self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        self._in_head = False
        self._watch_head()
        super().connection_lost(exc)


class Server(uvicorn.Server):
    """Serves an App until SIGINT or SIGTERM, and then drains it."""

    def __init__(self, app: App) -> None:
        self.app = app
        settings = app.settings
        bounds = {
            "head_timeout": settings.head_timeout,
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
