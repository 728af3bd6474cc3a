"""WebSockets (RFC 6455): who may connect, what goes over one, how it ends.

GET a streaming method's path + Upgrade ─> websocket.py: one call
GET /calls + Upgrade                    ─> multiplex.py: many calls

1000 the call has ended         1007 a frame is no JSON             1009 a frame is too large
1008 a frame makes no sense     1012 the server stops: come back with the key
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, urlsplit

from .. import control
from ..codes import Code
from ..errors import Error, Internal, MalformedRequest
from ..principal import Principal
from ..settings import Settings
from . import http

T = TypeVar("T")

log = logging.getLogger("mothlight")

PROTOCOL, _BEARER = "mothlight.v1", "mothlight.bearer."

_QUERY = {
    "key": b"idempotency-key",
    "after": b"last-event-id",
    "supersede": b"supersede-key",
    "timeout": b"request-timeout",
    "priority": b"priority",
}
"""Headers that the query may give: browsers cannot set any on a socket."""

_PORTS = {"http": 80, "https": 443}
_CONTROL = 64
"""Characters of the longest frame that may be one of control."""

_PARTING = 5.0
"""Seconds that a close frame may take to be sent."""


class ForeignOrigin(Error):
    "pages of {origin} may not connect; the setting cors names those that may"

    code = Code.PERMISSION_DENIED
    origin: str


class Gone(Exception):
    """The client has left."""


class Closed(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code, self.reason = code, reason


class Opening(NamedTuple):
    """What was asked when a socket was opened; ``headers`` hold what the query says, too."""

    headers: dict[bytes, bytes]
    client: tuple[str, int] | None
    principal: Principal


def opening_headers(scope: http.Scope, settings: Settings) -> dict[bytes, bytes]:
    """The headers of a handshake, with what its query and subprotocols say where they are silent.
    Raises ForeignOrigin, MalformedRequest."""
    headers = http.head(scope)
    _check_origin(headers, settings)
    headers.pop(b"prefer", None)  # who opens a socket waits
    try:
        query = parse_qsl(scope["query_string"].decode("ascii"), max_num_fields=settings.max_parts)
    except ValueError as error:  # UnicodeDecodeError is one
        raise MalformedRequest(reason=f"the query cannot be read: {error}") from None
    for name, value in query:
        if name in _QUERY:
            headers.setdefault(_QUERY[name], value.encode("utf-8", "replace"))
    for offered in scope.get("subprotocols", ()):
        if offered.startswith(_BEARER):
            token = offered.removeprefix(_BEARER).encode("latin-1", "replace")
            headers.setdefault(b"authorization", b"Bearer " + token)
    return headers


def _check_origin(headers: dict[bytes, bytes], settings: Settings) -> None:
    """A browser sends the cookies and the network of its user with every page's socket, and asks
    nobody (there is no CORS for sockets): so the page's own origin is looked at."""
    if b"origin" not in headers:
        return
    origin = headers[b"origin"].decode("latin-1")
    if "*" in settings.cors or origin in settings.cors:
        return
    # By the origin's scheme, for a proxy may have taken the TLS off.
    host = f"{origin.partition('://')[0]}://{headers.get(b'host', b'').decode('latin-1')}"
    if (own := _place(host)) is None or _place(origin) != own:
        raise ForeignOrigin(origin=origin[:256])


def _place(url: str) -> tuple[str, int] | None:
    """(host, port) of an origin; None for what is none, as ``null``."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.hostname, port) if parts.hostname else None


async def accept(scope: http.Scope, send: http.Send) -> None:
    """Opens the socket. Raises Gone."""
    message: dict[str, Any] = {"type": "websocket.accept"}
    if PROTOCOL in scope.get("subprotocols", ()):
        message["subprotocol"] = PROTOCOL
    await _sent(send, message)


async def refuse(scope: http.Scope, send: http.Send, error: Exception) -> None:
    """Answers the handshake with a problem document; 403 where the server cannot send one."""
    if not isinstance(error, Error):
        log.error("a socket could not be opened", exc_info=error)
        error = Internal()
    with suppress(Gone):
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await _sent(send, {"type": "websocket.close", "code": 1008, "reason": error.detail})
            return
        status, headers, body = http.problem(error)
        start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
        await _sent(send, start)
        await _sent(send, {"type": "websocket.http.response.body", "body": body})


async def _sent(send: http.Send, message: dict[str, Any]) -> None:
    try:
        await send(message)
    except (OSError, RuntimeError) as error:  # the second where it was told to close meanwhile
        raise Gone from error


class Socket:
    """An open socket: one frame is sent at a time, and waits until there is room for it."""

    def __init__(self, receive: http.Receive, send: http.Send) -> None:
        self._receive, self._send = receive, send
        self._sending = asyncio.Lock()

    async def read(self) -> str | bytes:
        """The next frame. Raises Gone."""
        event = await self._receive()
        if event["type"] != "websocket.receive":
            raise Gone
        text: str | None = event.get("text")
        if text is not None:
            return text
        data: bytes = event["bytes"]
        return data

    async def text(self, data: bytes) -> None:
        """Sends JSON. Raises Gone."""
        async with self._sending:
            await _sent(self._send, {"type": "websocket.send", "text": data.decode()})

    async def binary(self, data: bytes) -> None:
        """Sends a file. Raises Gone."""
        async with self._sending:
            await _sent(self._send, {"type": "websocket.send", "bytes": data})

    async def close(self, code: int, reason: str = "") -> None:
        """Closes it, unless its client has left."""
        short = reason.encode()[:123].decode("utf-8", "ignore")  # RFC 6455, 5.5
        message = {"type": "websocket.close", "code": code, "reason": short}
        with suppress(Gone, TimeoutError):
            async with asyncio.timeout(_PARTING), self._sending:
                await _sent(self._send, message)


async def conclude(socket: Socket, work: Awaitable[None]) -> None:
    """Does the work of a socket, and closes it as that ends."""
    try:
        await work
    except Gone:
        return
    except Closed as closed:
        await socket.close(closed.code, closed.reason)
    except asyncio.CancelledError:  # by the server, when the time to drain is over
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        await socket.close(1012, "the server is stopping")
    except Exception:
        log.exception("a socket failed")
        await socket.close(1011, Internal().detail)
    else:
        await socket.close(1000)


async def first(*works: Awaitable[T]) -> T:
    """What the work gives that ends first, of several the one that stands first; the others are
    cancelled, and have ended when this returns."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ended = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return ended[0].result()


def said(frame: str | bytes) -> str:
    """``end`` or ``cancel`` where the frame is one of control, else ""."""
    if len(frame) > _CONTROL:
        return ""
    return next(iter(control.read(frame, control.FROM_CLIENT)), "")
