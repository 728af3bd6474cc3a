"""One call over one socket: a streaming method's own path, all three kinds of streams.

client ─ JSON or a file, …, {"end": true} ─> Inbox ─> the method
client <─ {"call": id, "received": n}, item, …, {"end": true} | {"error": problem} ─ Calls
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Any, ClassVar

from pydantic_core import to_json

from ..backend.inbox import Inbox
from ..calls.base import Status
from ..codec.json import inline
from ..errors import (
    CallNotFound,
    Cancelled,
    Error,
    KeyReused,
    MalformedRequest,
    RequestTimeout,
    Unavailable,
)
from ..schema import MediaType, Nothing, Payload
from ..services import Method
from . import http
from .exchange import Exchange
from .message import from_frame, from_json, validated
from .rest import Rest
from .sockets import Closed, Gone, Opening, Socket, first, said
from .streams import Flow

Items = AsyncIterator[Sequence[Payload]]

_END = b'{"end":true}'
_PAUSE = 0.1
"""Seconds between two frames that tell how many messages have come."""


class Stream:
    """A socket that is one call. ``feeders`` has, for each inbox, the socket that fills it: a newer
    one of the same call takes its place, for its client has left the older."""

    feeders: ClassVar[dict[Inbox, Stream]] = {}

    def __init__(self, rest: Rest, method: Method[Any, Any, Any], opening: Opening) -> None:
        """Raises Error."""
        self.rest, self.calls, self.method = rest, rest.calls, method
        self.headers = opening.headers
        self.call = Exchange(method, opening.client)
        self.call.principal = opening.principal
        self.after = http.last_event(self.headers)
        http.timeout(self.headers.get(b"request-timeout", b"0"))
        rest.begin(self.call, self.headers)
        assert self.call.terms  # every call that streams has them
        self.terms = self.call.terms
        self.inbox: Inbox | None = None
        self._is_known = False
        self._is_displaced = False
        self._listener: asyncio.Task[Any] | None = None
        self._came = asyncio.Event()

    async def run(self, socket: Socket) -> None:
        """Serves it. Raises Gone, Closed."""
        self.socket = socket
        try:
            await self._serve()
            self.call.end("ok", 101)
            last = _END
        except (Gone, Closed, asyncio.CancelledError):
            self.call.end("cancelled", 101)
            raise
        except Exception as error:
            last = b'{"error":%s}' % self.rest.refuse(self.call, error).body
        finally:
            if self.inbox is not None and self.feeders.get(self.inbox) is self:
                del self.feeders[self.inbox]
        await socket.text(last)

    async def _serve(self) -> None:
        known = await self._find()
        self._is_known = known is not None
        if self.method.cardinality.streams_in:
            self._take_over(self._own_inbox(known))
        received = self.inbox.received if self.inbox else 0
        await self.socket.text(b'{"call":%s,"received":%d}' % (to_json(self.terms.id), received))
        if self.inbox is not None:
            items = self._items(Payload(b"null"))
            await first(self._send(items), self._listen(self._feed), self._tell(received))
        elif self._is_known or isinstance(self.method.input.node, Nothing):
            items = self._items(Payload(b"null"))
            await first(self._send(items), self._listen(self._compare))
        else:
            items = self._items(await self._message())
            await first(self._send(items), self._listen(self._compare))

    # The call

    async def _find(self) -> Status | None:
        """The call that the client comes back to, if it is known here. Raises KeyReused."""
        if not self.terms.is_kept:
            return None
        try:
            status = await self.calls.status(self.terms.owner, self.terms.id)
        except CallNotFound:
            return None
        if status.method is not self.method:
            raise KeyReused
        return status

    def _items(self, payload: Payload) -> Items:
        terms = self.terms
        if self._is_known:
            return self.calls.items(terms.owner, terms.id, self.after)
        request = self.rest.request(self.call, self.headers, payload, self.inbox)
        return self.calls.stream(request, terms, self.after)

    def _own_inbox(self, known: Status | None) -> Inbox:
        if known is None:
            return Inbox()
        inbox = self.calls.inbox(self.terms.owner, self.terms.id)
        if inbox is None and not known.state.is_final:
            raise Unavailable(reason="another server has this call, and takes its messages")
        if inbox is None:
            inbox = Inbox()
            inbox.end()
        return inbox

    def _take_over(self, inbox: Inbox) -> None:
        if (older := self.feeders.get(inbox)) is not None:
            older.displace()
        self.feeders[inbox] = self
        self.inbox = inbox

    def displace(self) -> None:
        """Takes no more messages here, from now on."""
        self._is_displaced = True
        if self._listener is not None:
            self._listener.cancel()

    # To the client

    async def _send(self, items: Items) -> None:
        """Sends the items, each when the client has room for it: the method waits meanwhile."""
        flow = Flow(self.call)
        try:
            async with aclosing(items):  # type: ignore[type-var]
                async for payloads in items:
                    flow.sent(len(payloads))
                    for payload in payloads:
                        await self._send_item(payload)
        finally:
            flow.close()

    async def _send_item(self, payload: Payload) -> None:
        if payload.media and isinstance(self.method.output.node, MediaType):
            await self.socket.binary(payload.media[0][0])
        else:
            await self.socket.text(inline(payload))

    async def _tell(self, told: int) -> None:
        """Says from time to time how many messages have come. Raises Gone.

        A client that is ahead of its method is not read, and that it leaves is not seen: so it is
        told again. Who has gone resets the first such frame, which fails the second, and so the
        third: all within a heartbeat.
        """
        assert self.inbox
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.rest.settings.heartbeat / 3):
                    await self._came.wait()
            self._came.clear()
            if self.inbox.received > told or self.inbox.is_full:
                told = self.inbox.received
                await self.socket.text(b'{"received":%d}' % told)
            await asyncio.sleep(_PAUSE)

    # From the client

    async def _listen(self, take: Any) -> None:
        """Reads frames until the client leaves. Raises Gone, Closed, Error."""
        self._listener = asyncio.current_task()
        try:
            while not self._is_displaced:
                frame = await self.socket.read()
                if (word := said(frame)) == "cancel":
                    with suppress(CallNotFound):
                        await self.calls.cancel(self.terms.owner, self.terms.id)
                else:
                    await take(frame, word == "end")
        except asyncio.CancelledError:
            if not self._is_displaced:
                raise
        raise Closed(1008, "the call goes on over a newer socket")

    async def _feed(self, frame: str | bytes, is_end: bool) -> None:
        inbox = self.inbox
        assert inbox
        known = self.calls.inbox(self.terms.owner, self.terms.id)
        if known is not None and known is not inbox:  # another socket was a moment faster
            raise Closed(1008, "the call was begun over another socket")
        if is_end:
            inbox.end()
            return
        try:
            payload = from_frame(self.method, frame, self.rest.settings)
        except Error as error:
            inbox.end(error)  # the call fails when it comes to this message
            return
        await inbox.put(payload)
        self._came.set()

    async def _message(self) -> Payload:
        """The message of a stream that has one."""
        seconds = self.rest.settings.body_timeout
        try:
            async with asyncio.timeout(seconds):
                frame = await self.socket.read()
        except TimeoutError:
            raise RequestTimeout(seconds=seconds) from None
        word = said(frame)
        if word == "cancel":
            raise Cancelled
        if word == "end":  # there is none
            return validated(self.method, from_json(self.method, b"", self.rest.settings))
        return from_frame(self.method, frame, self.rest.settings)

    async def _compare(self, frame: str | bytes, is_end: bool) -> None:
        """A message behind the first, or with a key that was known: it must be the same."""
        if is_end:
            return
        if not self._is_known or isinstance(self.method.input.node, Nothing):
            raise MalformedRequest(reason="this method takes one message")
        payload = from_frame(self.method, frame, self.rest.settings)
        request = self.rest.request(self.call, self.headers, payload)
        await self.calls.begin(request, self.terms)  # finds it. Raises KeyReused
        self._is_known = False  # one such message is enough
