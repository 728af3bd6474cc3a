"""A client's connection: uvicorn's protocol with bounds, and a short way for the common call.

request ─ a small call of a unary method, alone on its connection? ─> Rest.submit ─> one write
        └ anything else: a stream, an upload, a page, a query ─> ASGI, as under any other server

Both ways ask the same ``Rest`` and give the same bytes. The short way leaves out what ASGI needs
for each request: a scope, a task, its events, and a watcher for a client that goes away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from .backend.base import Reply
from .backend.promise import listen
from .errors import MalformedRequest, Unavailable
from .methods import Method
from .protocols.exchange import Exchange
from .protocols.http import Answer, merged
from .protocols.rest import Rest
from .sending import Sending

MAX_HEAD = 64 * 1024
"""Bytes of a request's head. llhttp, which uvicorn parses with, has no bound of its own."""

MAX_HEADERS = 256
MAX_PIPELINED = 128
"""Requests that wait on a connection for the one before them; each takes kilobytes."""

MAX_SHORT = 64 * 1024
"""Bytes of a body that may go the short way."""

_LINGER = 1
"""Seconds that an idle connection is kept when the server stops: a request may be on its way to us,
and would be lost with it."""

_DAWDLE = 0.05
"""Seconds that the rest of such a body may take, before ASGI's way waits for it."""

_LONG_WAY = frozenset((b"transfer-encoding", b"expect", b"prefer"))
"""Headers of requests that never go the short way."""


class Connection(Sending, HttpToolsProtocol):
    """uvicorn's protocol with a bound on the time and size of a request's head, on the time that a
    client reads nothing, and on the number of connections; uvicorn itself would wait for ever for
    the rest of a header line, and for a client to read on."""

    head_timeout = 15.0
    max_connections = 4096
    is_draining = False
    """Set on the class when the server stops: every answer is its connection's last."""
    rest: Rest
    cycle: Any
    parser: Any

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_size = 0
        self._in_head = True  # until its first request's head is whole
        self._awaits_head = True
        self._alarm = Alarm(self.loop, self.timeout_keep_alive_handler)
        self._running: Any = None
        self._short = Short(self)
        if len(self.connections) > self.max_connections:
            transport.abort()
        else:
            self._alarm.set(_LINGER if self.is_draining else self.head_timeout)

    # What the parser finds

    def on_message_begin(self) -> None:
        self._in_head, self._head_size = True, 0
        self.url, self.headers = b"", []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self._in_head = self._awaits_head = False
        self._alarm.clear()
        if len(self.headers) > MAX_HEADERS or len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many")  # which the parser makes a 400 of
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("a tunnel")  # what follows may be meant for it
            return  # the parser stops behind this head: _feed decides
        if method := self._short_method():
            self._short.begin(method)
        else:
            self._begin_asgi()

    def _short_method(self) -> Method[Any, Any, Any] | None:
        """The method whose call may go the short way."""
        parser = self.parser
        verbs = self.rest.short.get(self.url)
        method = verbs.get(parser.get_method()) if verbs else None
        if (
            method is None
            or (self.cycle is not None and not self.cycle.response_complete)
            or self.flow.write_paused
            or not parser.should_keep_alive()
            or parser.get_http_version() != "1.1"
        ):
            return None
        headers = self._short.headers = merged(self.headers)
        if not _LONG_WAY.isdisjoint(headers) or (b"origin" in headers and self.rest.settings.cors):
            return None
        length = headers.get(b"content-length", b"0")
        return method if length.isdigit() and int(length) <= MAX_SHORT else None

    def _begin_asgi(self) -> None:
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        self.headers += headers  # the list is the scope's
        for name, value in headers:
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
        super().on_headers_complete()
        if self.is_draining and self.cycle is not None:
            self.cycle.keep_alive = False

    def _begin_asgi_late(self) -> None:
        """Gives up the short way for a request whose body does not come."""
        body = self._short.give_up()
        self._begin_asgi()
        if body:
            super().on_body(body)

    def on_body(self, body: bytes) -> None:
        if self._short.is_open:
            self._short.body += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._short.is_open:
            self._short.submit()
        elif not self.parser.should_upgrade():
            super().on_message_complete()

    # What happens on the socket

    def data_received(self, data: bytes) -> None:
        self._head_size += len(data)  # a message that begins in this data sets it to 0
        try:
            self._feed(data)
        except HttpParserError:
            self.logger.warning("a client's request is not HTTP/1.1")
            self.send_400_response("")
            return
        except HttpParserUpgrade:
            self._upgrade()
            return
        if self._in_head:
            if self._head_size > MAX_HEAD:
                self.transport.close()
            if not self._awaits_head:  # a head that comes in one piece, as nearly all do, is whole
                self._awaits_head = True
                self._alarm.set(self.head_timeout)
        elif self._short.is_open:
            self._short.wait(self._begin_asgi_late)

    def _feed(self, data: bytes) -> None:
        """Parses what has come. Raises HttpParserUpgrade at a WebSocket's handshake."""
        while True:
            try:
                self.parser.feed_data(data)
                return
            except HttpParserUpgrade as stopped:
                if self._should_upgrade():
                    raise
                data = data[stopped.args[0] :]
            self._ignore_upgrade()

    def _ignore_upgrade(self) -> None:
        """Reads the head anew as if it did not ask for what is not spoken here (RFC 9110, 7.8): the
        parser would leave its body, if it has one, to be the next request."""
        verb, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (verb, self.url, version)]
        lines += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = HttpRequestParser(self)  # the old one parses nothing behind a last request
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self.parser.feed_data(b"\r\n".join((*lines, b"", b"")))

    def _should_upgrade(self) -> bool:
        return (
            self.parser.get_method() == b"GET"
            and self.url.isascii()
            and (self.cycle is None or self.cycle.response_complete)
            and super()._should_upgrade()
        )

    def _upgrade(self) -> None:
        """Hands the connection over to ``websocket.py``, for good."""
        self._alarm.stop()
        self._begin_asgi()  # only makes the scope
        self.handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        if self.cycle is None or self.cycle.response_complete:
            problem = to_json(MalformedRequest(reason="this is not HTTP/1.1").problem())
            self.transport.write(
                b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/problem+json\r\n"
                b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(problem), problem)
            )
        self.transport.close()

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        # As uvicorn's, but for the timer, which is not a new one each time.
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._alarm.set(self.timeout_keep_alive)

    def shutdown(self) -> None:
        # uvicorn would close an idle connection, whose next request may be on its way; and one
        # whose answer has begun at its end, though its head has not said that it is the last.
        self.timeout_keep_alive = min(self.timeout_keep_alive, _LINGER)  # seconds
        if self._short.is_open:
            self._begin_asgi_late()
        elif self.cycle is None or self.cycle.response_complete:
            self._alarm.set(_LINGER)
        elif not getattr(self.cycle, "response_started", False):
            self.cycle.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._short.abandon()
        if self.cycle is self._short:
            self.cycle = None
        if self._running is not None and not self._running.response_complete:
            # uvicorn tells only the newest of pipelined requests that its client has left.
            self._running.disconnected = True
            self._running.message_event.set()
        self._alarm.stop()
        super().connection_lost(exc)


class Short:
    """The short way of a connection: at most one call at a time. To uvicorn it is a cycle, on which
    the requests behind it wait."""

    __slots__ = ("_call", "_future", "_timer", "body", "connection", "headers", "is_open",
                 "keep_alive", "response_complete")  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.is_open = False  # a head has come, and its body is still to come
        self.headers: dict[bytes, bytes] = {}
        self.body = b""
        self.response_complete = self.keep_alive = True
        self._call: Exchange
        self._future: asyncio.Future[Reply] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, method: Method[Any, Any, Any]) -> None:
        """Takes a request whose head is whole."""
        self.is_open, self.body = True, b""
        self._call = Exchange(method, self.connection.client)

    def wait(self, give_up: Callable[[], None]) -> None:
        """Waits a moment for the rest of the body."""
        if self._timer is None:
            self._timer = self.connection.loop.call_later(_DAWDLE, give_up)

    def give_up(self) -> bytes:
        """Leaves the request to another; what of its body has come."""
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        body, self.body = self.body, b""
        return body

    def submit(self) -> None:
        """Hands the call, whose body is whole, to the backend."""
        connection, headers, body = self.connection, self.headers, self.body
        self.is_open, self.keep_alive = False, not connection.is_draining
        if self._timer is not None:
            self.give_up()
        # A connection may be idle for long: what it was asked is not kept meanwhile.
        self.headers, self.body, connection.headers = {}, b"", []
        try:
            future = connection.rest.submit(self._call, headers, body)
        except Exception as error:
            self._write(connection.rest.refuse(self._call, error))
            return
        self.response_complete = False
        self._future = future
        connection.cycle = self
        connection.tasks.add(future)  # type: ignore[arg-type]
        listen(future, self._end)

    def _end(self, future: asyncio.Future[Reply]) -> None:
        connection, call = self.connection, self._call
        if future.cancelled():  # maybe by uvicorn, which is going through them
            connection.loop.call_soon(connection.tasks.discard, future)
        else:
            connection.tasks.discard(future)
        if future is not self._future:
            return  # it was abandoned
        self._future = None
        rest = connection.rest
        if future.cancelled():  # by uvicorn, when the grace is over
            answer = rest.refuse(call, Unavailable(reason="the server is stopping"))
        elif (failed := future.exception()) is not None:  # raised here, it would hold itself
            answer = rest.refuse(call, failed)
        else:
            try:
                answer = rest.answer(call, future.result())
            except Exception as error:
                answer = rest.refuse(call, error)
        self._write(answer)

    def _write(self, answer: Answer) -> None:
        connection = self.connection
        status, headers, body = answer
        lines = [STATUS_LINE[status]]
        for name, value in connection.server_state.default_headers:
            lines += (name, b": ", value, b"\r\n")
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
        lines += (b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n", body)
        connection.transport.write(b"".join(lines))
        self.response_complete = True
        if not self.keep_alive:
            connection.transport.close()
        connection.on_response_complete()

    def abandon(self) -> None:
        """Forgets the call, and cancels it where it runs: its client has left."""
        future, self._future = self._future, None
        if future is not None or self.is_open:
            self._call.end("cancelled")
            self.give_up()
        if future is not None:
            future.cancel()
        self.response_complete = True


class Alarm:
    """A timer that is set anew with every request and rings for few: to set it again costs nothing
    while it is not set to ring earlier."""

    __slots__ = ("_due", "_loop", "_ring", "_timer", "_wakes")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop, self._ring = loop, ring
        self._due: float | None = None
        self._wakes = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Rings in so many seconds, unless it is set anew or cleared before."""
        self._due = self._loop.time() + seconds
        if self._timer is None or self._due < self._wakes:
            self._arm(self._due)

    def clear(self) -> None:
        """Does not ring."""
        self._due = None

    def stop(self) -> None:
        """Does not ring, for good."""
        self._due = None
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._wakes = when
        self._timer = self._loop.call_at(when, self._wake)

    def _wake(self) -> None:
        self._timer = None
        if self._due is None:
            return
        if self._due > self._wakes:
            self._arm(self._due)
        else:
            self._due = None
            self._ring()
