"""Streams over HTTP: server-sent events, NDJSON, plain lines; each ends so that an end is known.

text/event-stream     id: 1 ⏎ data: {…} ⏎⏎    …    event: end | event: error + problem
application/x-ndjson  {…} ⏎                    …    {"end": true} | {"error": problem}
text/plain            one scalar a line; a failure breaks the connection off
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from pydantic_core import from_json, to_json

from .. import metrics
from ..codec.json import inline
from ..contracts.content import stream_types
from ..errors import Error, NotAcceptable
from ..schema import Payload
from ..services import Method
from ..settings import Settings
from . import http
from .exchange import Exchange

SSE, NDJSON, TEXT = b"text/event-stream", b"application/x-ndjson", b"text/plain"

_ASIDE = (
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would collect the items
)


class Events:
    """Server-sent events (WHATWG HTML, 9.2)."""

    media_type = SSE

    def __init__(self, after: int = 0) -> None:
        self.count = after

    def items(self, payloads: Sequence[Payload]) -> bytes:
        lines = []
        for payload in payloads:
            self.count += 1
            lines.append(b"id: %d\ndata: %s\n\n" % (self.count, inline(payload)))
        return b"".join(lines)

    def end(self) -> bytes:
        return b"event: end\ndata: {}\n\n"

    def error(self, problem: dict[str, Any]) -> bytes | None:
        return b"event: error\ndata: %s\n\n" % to_json(problem)

    heartbeat = b": hb\n\n"


class Lines:
    """Newline-delimited JSON."""

    media_type = NDJSON

    def __init__(self, after: int = 0) -> None:
        """Lines have no numbers: who resumes counts them."""

    def items(self, payloads: Sequence[Payload]) -> bytes:
        return b"".join(inline(payload) + b"\n" for payload in payloads)

    def end(self) -> bytes:
        return b'{"end":true}\n'

    def error(self, problem: dict[str, Any]) -> bytes | None:
        return to_json({"error": problem}) + b"\n"

    heartbeat = b""


class Plain(Lines):
    """One scalar a line. It has no room for an error: the connection is broken off, so that what
    is cut short never looks whole."""

    media_type = b"text/plain; charset=utf-8"

    def items(self, payloads: Sequence[Payload]) -> bytes:
        return b"".join(_text(payload.json) + b"\n" for payload in payloads)

    def end(self) -> bytes:
        return b""

    def error(self, problem: dict[str, Any]) -> bytes | None:
        return None


class BrokenOff(Exception):
    """A stream failed in a form that cannot say so; the server closes the connection."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def offers(method: Method[Any, Any, Any]) -> list[bytes]:
    """The forms of a method's stream, the one for clients without a preference first."""
    return [name.encode() for name in stream_types(method)]


async def serve(
    items: AsyncIterator[Sequence[Payload]],
    call: Exchange,
    headers: dict[bytes, bytes],
    receive: http.Receive,
    send: http.Send,
    settings: Settings,
) -> str:
    """Sends a stream; the code that it ended with. An error before the first item is raised, so
    that it has a status of its own."""
    available = offers(call.method)
    chosen = http.accepted(headers.get(b"accept", b""), available)
    if chosen is None:
        raise NotAcceptable(supported=[name.decode() for name in available])
    form: Any = {SSE: Events, NDJSON: Lines, TEXT: Plain}[chosen](http.last_event(headers))
    task = asyncio.current_task()
    assert task
    departure = http.Departure(receive, task)
    watcher = asyncio.create_task(departure.watch())
    writer = Writer(send, form, call.id, settings.heartbeat)
    flow = Flow(call)
    try:
        try:
            async with aclosing(items):  # type: ignore[type-var]
                async for payloads in items:
                    flow.sent(len(payloads))
                    await writer.write(form.items(payloads))
            await writer.end(form.end())
            return "ok"
        except Error as error:
            if not await writer.has_started():
                raise
            return await _fail(error, call, writer, form)
        except asyncio.CancelledError:
            if departure.seen:
                raise
            if not await writer.has_started():
                raise http.stopping() from None
            return await _fail(http.stopping(), call, writer, form)
    except asyncio.CancelledError:
        stopping = http.stopping()
        if departure.seen:
            return "cancelled"
        # Once more, while its end waited for a client that reads nothing.
        raise BrokenOff(stopping.code.value, stopping.detail) from None
    finally:
        watcher.cancel()
        writer.close()
        flow.close()


async def _fail(error: Error, call: Exchange, writer: Writer, form: Any) -> str:
    """Ends a stream with an error, after its first items."""
    if call.timeline:
        call.timeline.error = error
    problem = error.problem()
    if (last := form.error(problem)) is None:
        raise BrokenOff(str(problem["code"]), problem["detail"]) from None
    await writer.end(last)
    return str(problem["code"])


class Writer:
    """The response that a stream is, and its heartbeats: whenever ``seconds`` have passed since
    something was written. What is written waits for the client, one piece behind the other."""

    def __init__(self, send: http.Send, form: Any, call: str, seconds: float) -> None:
        self._send, self._form, self._call, self._seconds = send, form, call, seconds
        self._started = self._ended = False
        self._writing = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()  # when something was written
        self._timer = self._loop.call_later(seconds, self._look)
        self._beat: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        """Sends a piece, behind the head if it is the first."""
        async with self._writing:
            await self._write(data)

    async def end(self, data: bytes) -> None:
        """Sends the last piece."""
        async with self._writing:
            self._ended = True
            await self._write(data)

    async def has_started(self) -> bool:
        """Whether the head is sent; none is from then on but by ``write`` or ``end``."""
        async with self._writing:
            self._ended = True
            return self._started

    def close(self) -> None:
        """Ends the heartbeats."""
        self._timer.cancel()
        if self._beat:
            self._beat.cancel()

    async def _write(self, data: bytes) -> None:
        if not self._started:
            self._started = True
            headers = [
                (b"content-type", self._form.media_type),
                (b"call-id", self._call.encode()),
                *_ASIDE,
            ]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        if data or self._ended:
            more = not self._ended
            await self._send({"type": "http.response.body", "body": data, "more_body": more})
        self._last = self._loop.time()

    def _look(self) -> None:
        # Looked at seldom, so that an item needs no timer of its own.
        due = self._last + self._seconds
        if self._loop.time() >= due:
            due = self._loop.time() + self._seconds
            if not self._writing.locked():  # else the client is waited for
                self._beat = self._loop.create_task(self._send_heartbeat())
        self._timer = self._loop.call_at(due, self._look)

    async def _send_heartbeat(self) -> None:
        async with self._writing:
            if not self._ended:
                await self._write(self._form.heartbeat)


class Flow:
    """A stream as the metrics and its timeline see it, from its admission to its end."""

    def __init__(self, call: Exchange) -> None:
        self.timeline, self.name = call.timeline, call.method.qualname
        self._since = time.monotonic()
        self._is_first = True
        metrics.stream_opened(self.name)

    def sent(self, count: int) -> None:
        """Counts items."""
        if self._is_first:
            self._is_first, now = False, time.monotonic()
            metrics.first_item(self.name, now - self._since)
            if self.timeline:
                self.timeline.first = now
        metrics.items_sent(self.name, count)
        if self.timeline:
            self.timeline.items += count

    def close(self) -> None:
        metrics.stream_closed(self.name)


def _text(json: bytes) -> bytes:
    if not json.startswith(b'"'):
        return json
    text: str = from_json(json)
    return text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n").encode()
