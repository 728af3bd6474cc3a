"""Many calls over one socket (GET /calls): unary methods and server streams, new or resumed.

client ─ {"open": 1, "path": …, "message": …} | {"open": 2, "key": …, "after": 57}
         {"grant": 1, "items": 64} | {"cancel": 1} | {"leave": 1} ─>
client <─ {"opened": 1, "id": …} | {"item": 1, "n": 5, "value": …} | {"ended": 1}
          {"failed": 1, "error": problem}

Each call has a task and credits of its own: one that is read slowly stops no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from typing import Annotated, Any

import msgspec
from pydantic_core import to_json

from ..backend.base import Request
from ..calls.base import Terms
from ..calls.identity import public
from ..codec.json import inline
from ..errors import (
    Cancelled,
    Error,
    QuotaExceeded,
    RouteNotFound,
    Unavailable,
    UpgradeRequired,
)
from ..schema import Nothing, Payload
from ..services import Method
from .exchange import Exchange, client_key
from .message import from_json, validated
from .rest import Rest
from .sockets import Closed, Gone, Opening, Socket, first
from .streams import Flow

MAX_OPEN = 128
"""Calls that may be open on one socket."""

CREDITS = 256
"""Items that a call may send before its client grants more."""

_MOST = 2**53

Number = Annotated[int, msgspec.Meta(ge=0, le=_MOST)]


class Frame(msgspec.Struct, forbid_unknown_fields=True):
    """What a client says: one of the first four, and what belongs to it."""

    open: Number | None = None
    grant: Number | None = None
    cancel: Number | None = None
    leave: Number | None = None
    path: str = ""
    message: msgspec.Raw = msgspec.Raw(b"")
    key: str | None = None
    after: Number = 0
    supersede: str | None = None
    timeout: Annotated[float, msgspec.Meta(ge=0)] | None = None
    priority: str | None = None
    items: Number = 0

    def headers(self) -> dict[bytes, bytes]:
        """What it says of its call, as the headers of a request would."""
        said = {
            b"idempotency-key": self.key,
            b"supersede-key": self.supersede,
            b"request-timeout": None if self.timeout is None else str(self.timeout),
            b"priority": self.priority,
        }
        return {name: value.encode() for name, value in said.items() if value is not None}


_frames = msgspec.json.Decoder(Frame)


def parse(text: str, limit: int) -> Frame:
    """A client's frame. Raises Closed."""
    if len(text) > limit:
        raise Closed(1009, f"a frame has at most {limit} bytes")
    try:
        frame = _frames.decode(text)
    except msgspec.ValidationError as error:
        raise Closed(1008, f"not a frame: {error}") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Closed(1007, f"not JSON: {error}") from None
    kinds = (frame.open, frame.grant, frame.cancel, frame.leave)
    if sum(kind is not None for kind in kinds) != 1:
        raise Closed(1008, "a frame has one of open, grant, cancel, leave")
    return frame


class Lane:
    """One call on the socket: how much of it may be sent."""

    def __init__(self, call: Exchange) -> None:
        self.call = call
        self.credits, self.is_cancelled = CREDITS, False
        self.task: asyncio.Task[None]
        self._waits: asyncio.Future[None] | None = None

    async def spend(self) -> None:
        """Takes a credit, once there is one. Raises Cancelled."""
        while self.credits <= 0 and not self.is_cancelled:
            self._waits = asyncio.get_running_loop().create_future()
            await self._waits
        if self.is_cancelled:
            raise Cancelled
        self.credits -= 1

    def grant(self, items: int) -> None:
        """So many items more may be sent."""
        self.credits = min(self.credits + items, _MOST)
        self._wake()

    def cancel(self) -> None:
        """No more items are sent."""
        self.is_cancelled = True
        self._wake()

    def _wake(self) -> None:
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)


class Multiplex:
    """A socket with many calls."""

    def __init__(self, rest: Rest, opening: Opening) -> None:
        self.rest, self.calls, self.opening = rest, rest.calls, opening
        self.is_draining = False
        self._base = {  # of the handshake's headers, what counts for each call
            name: value for name, value in opening.headers.items() if name == b"x-forwarded-for"
        }
        self._lanes: dict[int, Lane] = {}
        self._stops: dict[Lane, asyncio.Task[None]] = {}
        self._idle = asyncio.Event()

    def drain(self) -> None:
        """Closes the socket when its calls have ended."""
        self.is_draining = True
        if not self._lanes:
            self._idle.set()

    async def run(self, socket: Socket) -> None:
        """Serves it. Raises Gone, Closed."""
        self.socket = socket
        try:
            await first(self._read(), self._until_idle())
        finally:
            tasks = [lane.task for lane in self._lanes.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, *self._stops.values(), return_exceptions=True)

    async def _until_idle(self) -> None:
        await self._idle.wait()
        raise Closed(1012, "the server is stopping")

    # From the client

    async def _read(self) -> None:
        limit = self.rest.settings.max_json
        while True:
            text = await self.socket.read()
            if not isinstance(text, str):
                raise Closed(1008, "frames are text here")
            frame = parse(text, limit)
            if frame.open is not None:
                await self._open(frame.open, frame)
            elif frame.grant is not None:
                if lane := self._lanes.get(frame.grant):  # else it has ended meanwhile
                    lane.grant(frame.items)
            elif frame.cancel is not None:
                self._cancel(frame.cancel)
            elif frame.leave is not None and (lane := self._lanes.pop(frame.leave, None)):
                lane.task.cancel()
                await asyncio.gather(lane.task, return_exceptions=True)

    def _cancel(self, number: int) -> None:
        lane = self._lanes.get(number)
        if lane is not None and lane not in self._stops and not lane.is_cancelled:
            self._stops[lane] = asyncio.create_task(self._stop(lane))

    async def _stop(self, lane: Lane) -> None:
        # A task of its own: a call that another replica runs may take seconds to end.
        try:
            with suppress(Error):  # it has ended, or its replica cannot be reached
                await self.calls.cancel(self.opening.principal.name, lane.call.id)
        finally:
            lane.cancel()
            del self._stops[lane]

    async def _open(self, number: int, frame: Frame) -> None:
        if number in self._lanes:
            raise Closed(1008, f"call {number} is open")
        call: Exchange | None = None
        try:
            if len(self._lanes) >= MAX_OPEN:
                raise QuotaExceeded(what=f"{MAX_OPEN} open calls of a socket", retry_after=1.0)
            if self.is_draining:
                raise Unavailable(reason="the server is stopping")
            if frame.path:
                call = self._exchange(self._method(frame.path))
                request = self._begin(call, frame)
            else:
                call, request = await self._known(frame.key or ""), None
        except Error as error:
            body = self.rest.refuse(call, error).body if call else to_json(error.problem())
            await self.socket.text(b'{"failed":%d,"error":%s}' % (number, body))
            return
        lane = self._lanes[number] = Lane(call)
        lane.task = asyncio.create_task(self._serve(number, lane, request, frame.after))
        await asyncio.sleep(0)  # in which it begins, so that it ends as it should

    def _exchange(self, method: Method[Any, Any, Any]) -> Exchange:
        call = Exchange(method, self.opening.client)
        call.principal = self.opening.principal
        return call

    async def _known(self, key: str) -> Exchange:
        """A call that is resumed."""
        owner = self.opening.principal
        status = await self.calls.status(owner.name, client_key(key.encode(), "key", owner))
        call = self._exchange(status.method)
        call.id, call.name = status.id, public(status.id)
        return call

    def _method(self, path: str) -> Method[Any, Any, Any]:
        verbs = self.rest.routes.get(path, {})
        for verb in ("POST", *verbs):
            if (method := verbs.get(verb)) and not method.cardinality.streams_in:
                return method
        raise UpgradeRequired(path=path) if verbs else RouteNotFound(path=path)

    def _begin(self, call: Exchange, frame: Frame) -> Request:
        headers = self._base | frame.headers()
        self.rest.begin(call, headers)
        if call.terms is None:  # its client learns its id, and may cancel it
            call.terms = Terms(call.principal.name, call.id)
        return self.rest.request(call, headers, self._payload(call.method, bytes(frame.message)))

    def _payload(self, method: Method[Any, Any, Any], message: bytes) -> Payload:
        if isinstance(method.input.node, Nothing):
            return Payload(b"null")
        return validated(method, from_json(method, message, self.rest.settings))

    # To the client

    async def _serve(self, number: int, lane: Lane, request: Request | None, after: int) -> None:
        try:
            last = await self._outcome(number, lane, request, after)
            if self._lanes.get(number) is lane:
                del self._lanes[number]  # first, for its number may be taken again at once
            await self.socket.text(last)
        except (Gone, asyncio.CancelledError):
            if self._lanes.get(number) is lane:
                del self._lanes[number]
        if self.is_draining and not self._lanes:
            self._idle.set()

    async def _outcome(self, number: int, lane: Lane, request: Request | None, after: int) -> bytes:
        """Sends what there is of a call but its last frame, which it gives."""
        call = lane.call
        try:
            await self.socket.text(b'{"opened":%d,"id":%s}' % (number, to_json(call.id)))
            await self._send(number, lane, self._items(call, request, after), after)
            call.end("ok", 101)
            return b'{"ended":%d}' % number
        except (Gone, asyncio.CancelledError):
            call.end("cancelled", 101)
            raise
        except Exception as error:
            return b'{"failed":%d,"error":%s}' % (number, self.rest.refuse(call, error).body)

    def _items(
        self, call: Exchange, request: Request | None, after: int
    ) -> AsyncIterator[Sequence[Payload]]:
        owner = call.principal.name
        if call.method.cardinality.streams:
            if request is None:
                return self.calls.items(owner, call.id, after)
            assert call.terms
            return self.calls.stream(request, call.terms, after)
        if request is None:
            return _once(self.calls.answer(owner, call.id))
        return _once(self.calls.unary(request, call.terms))

    async def _send(
        self, number: int, lane: Lane, items: AsyncIterator[Sequence[Payload]], after: int
    ) -> None:
        flow = Flow(lane.call) if lane.call.method.cardinality.streams else None
        try:
            async with aclosing(items):  # type: ignore[type-var]
                async for payloads in items:
                    if flow:
                        flow.sent(len(payloads))
                    for payload in payloads:
                        after += 1
                        await lane.spend()
                        value = inline(payload)
                        await self.socket.text(
                            b'{"item":%d,"n":%d,"value":%s}' % (number, after, value)
                        )
        finally:
            if flow:
                flow.close()


async def _once(answer: asyncio.Future[Any]) -> AsyncIterator[Sequence[Payload]]:
    """The answer of a unary call as its only item."""
    try:
        reply = await answer
    finally:
        answer.cancel()
    yield (reply.payload,)
