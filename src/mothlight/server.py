"""The HTTP server: uvicorn, with bounds on what a connection may keep us waiting for."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import threading
import time
from functools import partial
from typing import Any

import uvicorn

from . import reload
from .app import App
from .backend.base import StartupError
from .connection import Connection
from .memory import settle
from .settings import Settings

_PARTING = 0.5
"""Seconds that the end of a call may take when the time to drain is over."""

log = logging.getLogger("mothlight")


class Server(uvicorn.Server):
    """Serves an App until SIGINT or SIGTERM, and then drains it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self._reloading: asyncio.Task[None] | None = None
        self._is_stale = False
        self._has_terminal = False  # with which it ends
        settings = app.settings
        bounds = {
            "head_timeout": settings.head_timeout,
            "send_timeout": settings.send_timeout,
            "max_connections": settings.max_connections,
            "rest": app.site.rest,
        }
        super().__init__(
            uvicorn.Config(
                app,
                host=settings.host,
                port=settings.port,
                http=type("Protocol", (Connection,), bounds),
                ws=partial(_socket, settings),  # type: ignore[arg-type]
                ws_max_size=settings.max_body,
                ws_per_message_deflate=False,
                ws_ping_interval=settings.heartbeat,
                ws_ping_timeout=settings.send_timeout,
                lifespan="on",
                proxy_headers=False,  # ``protocols/callers`` reads them, for all ways alike
                access_log=False,
                log_config=None,
                server_header=False,
                timeout_keep_alive=max(1, round(settings.keep_alive)),
                timeout_graceful_shutdown=max(1, round(settings.drain)),
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
            reload.say_ready()
            is_main = threading.current_thread() is threading.main_thread()
            if is_main and hasattr(signal, "SIGHUP"):
                # nohup lets it be ignored: then it is never the terminal that says goodbye.
                is_heard = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
                self._has_terminal = is_heard and _has_terminal()
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._reload)

    def _reload(self) -> None:
        if self._has_terminal and not _has_terminal():
            log.info("the terminal was closed: stopping")
            self.should_exit = True
        elif self._reloading and not self._reloading.done():
            self._is_stale = True  # workers may have been started before what is to be loaded came
            log.info("reloading once more when this is done")
        else:
            self._reloading = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        self._is_stale = True
        while self._is_stale:
            self._is_stale = False
            log.info("reloading: new workers are started, then the old ones leave")
            try:
                await self.app.backend.reload()
            except StartupError as error:
                log.error("not reloaded: %s", error)
            else:
                log.info("reloaded")

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """Drains: takes in who has connected, answers what has been asked or is on its way, and
        ends the workers."""
        protocol: Any = self.config.http_protocol_class
        protocol.is_draining = True
        self.app.drain()
        listeners = [
            # On Windows a socket is no file descriptor, which os.dup() takes.
            socket.fromfd(listener.fileno(), listener.family, listener.type, listener.proto)
            for server in self.servers
            for listener in server.sockets
        ]
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)  # in which the event loop lets go of them
        for listener in listeners:
            await self._take_in(listener)
        await super().shutdown(sockets)
        # What was cancelled when the time was over tells its client so.
        if (tasks := list(self.server_state.tasks)) and not self.force_exit:
            await asyncio.wait(tasks, timeout=_PARTING)

    async def _take_in(self, listener: socket.socket) -> None:
        """Accepts who has connected and was not accepted yet, and stops listening."""
        protocol: Any = self.config.http_protocol_class
        accepted = []
        with listener, contextlib.suppress(OSError):
            listener.setblocking(False)
            while True:
                accepted.append(listener.accept()[0])
        for sock in accepted:
            with contextlib.suppress(OSError):  # it has left again
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: protocol(
                        config=self.config,
                        server_state=self.server_state,
                        app_state=self.lifespan.state,
                    ),
                    sock,
                )

    def _greeting(self) -> str:
        settings = self.app.settings
        port = self.servers[0].sockets[0].getsockname()[1] if self.servers else settings.port
        lines = []
        for service in self.app.services:
            for method in service.methods.values():
                kind = " (stream)" if method.cardinality.streams_out else ""
                verb = "WS" if method.cardinality.streams_in else method.verb
                lines.append(f"  {verb:6} {method.path}{kind}")
        lines.append(f"  docs             http://127.0.0.1:{port}/docs")
        lines.append(f"  Android emulator http://10.0.2.2:{port}")
        if settings.host in ("0.0.0.0", "::"):
            lines.append(f"  phones here      http://{_lan_address()}:{port}")
        else:
            lines.append("  phones           --host 0.0.0.0 lets them in")
        return "\n".join(lines)


def _socket(settings: Settings, **given: Any) -> asyncio.Protocol:
    """The protocol of a connection that has become a WebSocket; until there is one, the start of
    the server does not wait for the import."""
    from .websocket import WebSocket

    made = WebSocket(**given)
    made.send_timeout, made.body_timeout = settings.send_timeout, settings.body_timeout
    made.max_json = settings.max_json
    return made


def _lan_address() -> str:
    """The address that this machine has in its network; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737); a datagram socket sends none
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _has_terminal() -> bool:
    """Whether this process has a terminal, which is still there."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _is_taken(host: str, port: int) -> bool:
    """Whether another server listens there."""
    try:
        places = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False  # uvicorn says what is wrong with it
    for family, kind, protocol, _, address in places:
        try:
            with socket.socket(family, kind, protocol) as probe:
                if os.name == "posix":
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio does
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
    return False


def run(app: App) -> int:
    """Serves until it is told to stop; the exit status (3 when a service could not be started)."""
    given = reload.given_socket()
    host, port = app.settings.host, app.settings.port
    if not given and _is_taken(host, port):  # before the models are loaded, which takes long
        log.error(reload.TAKEN, port)
        return 3
    server = Server(app)
    settle()
    server.run([given] if given else None)
    return 0 if server.started else 3
