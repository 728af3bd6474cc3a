"""HTTP under the protocols: raw ASGI, so that the path of a model call is short.

A request's headers are read once into a dict; a body is read whole, bounded in bytes and time.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from pydantic_core import to_json

from ..errors import (
    Error,
    MalformedRequest,
    MethodNotAllowed,
    Overloaded,
    PayloadTooLarge,
    RequestTimeout,
    Unavailable,
)
from ..settings import Settings

T = TypeVar("T")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = b"application/json"
PROBLEM = b"application/problem+json"
_WHITE = b" \t"

_PATIENCE = 0.05
"""Seconds after which a call is worth watching for its client to leave."""

_GAP, _LEFT = 0.5, 64 * 1024 * 1024
"""Seconds without a byte, and bytes, that the rest of a refused body is waited for."""


_SMALL = 64 * 1024
"""Bytes of a body that is sent at once, whatever becomes of it."""


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


class BodyUnread(Exception):
    """A body was refused before all of it was read; ``error`` says why."""

    def __init__(self, error: Error) -> None:
        super().__init__(str(error))
        self.error = error


class Departure:
    """Cancels the task that serves a request when the request's client leaves; ``seen`` says that
    it was this."""

    def __init__(self, receive: Receive, task: asyncio.Task[Any]) -> None:
        self.seen = False
        self._receive, self._task = receive, task

    async def watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.seen = True
        self._task.cancel()


async def watched(
    future: asyncio.Future[T], receive: Receive, loop: asyncio.AbstractEventLoop
) -> T:
    """The answer; ClientGone, and the call cancelled, when the client leaves before it is there.

    Most calls end sooner than a watcher could be started, so one is started only for slow ones.
    """
    task = asyncio.current_task(loop)  # without it, a system call asks which loop is ours
    assert task
    departure = Departure(receive, task)
    watcher: asyncio.Task[None] | None = None

    def start() -> None:
        nonlocal watcher
        watcher = asyncio.create_task(departure.watch())

    timer = loop.call_later(_PATIENCE, start)
    try:
        return await future
    except asyncio.CancelledError:
        if departure.seen:
            task.uncancel()
            raise ClientGone from None
        raise
    finally:
        timer.cancel()
        if watcher:
            watcher.cancel()


def head(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers, as ``merged`` gives them."""
    return merged(scope["headers"])


_LISTS = (b"accept", b"prefer", b"x-forwarded-for")


def merged(lines: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Headers by their names. The lines of a list are one list (RFC 9110, 5.3: HAProxy adds a line
    of its own to those of the proxies before it); of any other that stands twice the last one
    counts."""
    found = dict(lines)
    if len(found) < len(lines):
        for name in _LISTS:
            if name in found:
                found[name] = b", ".join(value for key, value in lines if key == name)
    return found


def stopping() -> Unavailable:
    """What to answer where the server cancels the task of a request that has no answer yet: it
    stops, and the time to drain is over. The task is no longer cancelled."""
    if (task := asyncio.current_task()) is not None:
        task.uncancel()
    return Unavailable(reason="the server is stopping")


class Headers(Mapping[str, str]):
    """A request's headers as text; each is decoded when it is asked for, as few are."""

    __slots__ = ("_headers",)

    def __init__(self, headers: dict[bytes, bytes]) -> None:
        self._headers = headers

    def __getitem__(self, name: str) -> str:
        return self._headers[name.encode("utf-8", "replace")].decode("latin-1")

    def get(self, name: str, default: Any = None) -> Any:
        value = self._headers.get(name.encode("utf-8", "replace"))
        return default if value is None else value.decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._headers)

    def __len__(self) -> int:
        return len(self._headers)


def is_upload(headers: dict[bytes, bytes]) -> bool:
    """Whether a body follows that may be large, or that its client sends only when it is asked."""
    length = headers.get(b"content-length", b"0")
    is_small = length.isdigit() and int(length) <= _SMALL
    return not is_small or b"transfer-encoding" in headers or b"expect" in headers


async def read_body(headers: dict[bytes, bytes], receive: Receive, settings: Settings) -> bytes:
    """The whole body. Raises PayloadTooLarge before reading where Content-Length tells,
    RequestTimeout, ClientGone."""
    limit = settings.max_body
    claimed = headers.get(b"content-length", b"")
    if claimed.isdigit() and int(claimed) > limit:
        raise PayloadTooLarge(what="the body", limit=limit)
    chunks: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(settings.body_timeout):
            while more:
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise ClientGone
                chunks.append(event.get("body", b""))
                size += len(chunks[-1])
                if size > limit:
                    raise PayloadTooLarge(what="the body", limit=limit)
                more = event.get("more_body", False)
    except TimeoutError:
        raise RequestTimeout(seconds=settings.body_timeout) from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class Answer(NamedTuple):
    """A whole response; ``headers`` are all that it has but those of the connection."""

    status: int
    headers: list[Header]
    body: bytes = b""


def answer(status: int, media_type: bytes, body: bytes, headers: Iterable[Header] = ()) -> Answer:
    """The response that has this body."""
    own = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    return Answer(status, own, body)


def problem(error: Error, headers: Iterable[Header] = ()) -> Answer:
    """The response that an error is: a problem document (RFC 9457)."""
    if type(error) is Overloaded:
        status, known, body = _refusal(Overloaded, retry_after=error.retry_after)
    elif type(error) is Unavailable:
        fields = {"reason": error.reason, "retry_after": error.retry_after}
        status, known, body = _refusal(Unavailable, **fields)
    else:
        status, known, body = _problem(error)
    return Answer(status, [*known, *headers], body)


@lru_cache(maxsize=256)
def _refusal(kind: type[Error], **fields: Any) -> Answer:
    # A server with more work than it can do says little else, and has no time to say it.
    return _problem(kind(**fields))


def _problem(error: Error) -> Answer:
    document = error.problem()
    headers: list[Header] = []
    if isinstance(seconds := document.get("retry_after"), int | float):
        headers.append((b"retry-after", b"%d" % max(1, math.ceil(seconds))))
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", ", ".join(error.allow).encode()))
    status = int(document.get("status", error.status))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))  # RFC 6750, 3
    return answer(status, PROBLEM, to_json(document), headers)


async def respond(send: Send, whole: Answer, *, more: bool = False) -> None:
    """Sends a response; with ``more`` the connection stays open for the end of it."""
    status, headers, body = whole
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": more})


async def respond_unread(
    send: Send, receive: Receive, error: Error, settings: Settings, headers: Iterable[Header] = ()
) -> None:
    """Sends a problem to a client that may still be sending its body. To close at once would reset
    the connection, and a client that only writes for now (dart:io) would never see the answer: so
    what it sends is read and thrown away, within bounds, and then the connection is closed."""
    linger = _GAP if isinstance(error, RequestTimeout) else settings.body_timeout
    refusal = problem(error, [*headers, (b"connection", b"close")])
    await respond(send, refusal, more=True)
    loop = asyncio.get_running_loop()
    left, end = _LEFT, loop.time() + linger
    with contextlib.suppress(TimeoutError):
        while left > 0 and loop.time() < end:
            async with asyncio.timeout(_GAP):
                event = await receive()
            left -= len(event.get("body", b""))
            if event["type"] == "http.disconnect" or not event.get("more_body"):
                break
    await send({"type": "http.response.body", "body": b""})


def media_type(value: bytes) -> tuple[bytes, bytes]:
    """(media type in lower case, charset in lower case or b"") of a Content-Type."""
    kind, _, parameters = value.partition(b";")
    charset = b""
    for parameter in parameters.split(b";"):
        name, _, setting = parameter.strip(_WHITE).partition(b"=")
        if name.lower() == b"charset":
            charset = setting.strip(b'"').lower()
    return kind.strip(_WHITE).lower(), charset


def accepted(accept: bytes, offers: list[bytes]) -> bytes | None:
    """The one of ``offers`` that the client likes best, the first where it has no preference
    (RFC 9110, 12.5.1); None where it accepts none of them."""
    if not accept or accept == b"*/*":
        return offers[0]
    # For each offer the most specific entry that fits counts: (its specificity, its quality).
    liked: dict[bytes, tuple[int, float]] = {}
    for entry in accept.split(b",")[:32]:
        kind, _, parameters = entry.partition(b";")
        kind = kind.strip(_WHITE).lower()
        quality = 1.0
        for parameter in parameters.split(b";"):
            name, _, setting = parameter.strip(_WHITE).partition(b"=")
            if name.lower() == b"q":
                try:
                    quality = float(setting)
                except ValueError:
                    quality = 0.0
        for offer in offers:
            ranges = (b"*/*", offer.split(b"/")[0] + b"/*", offer)
            if kind in ranges:
                found = (ranges.index(kind), quality)
                liked[offer] = max(liked.get(offer, found), found)
    best = max(offers, key=lambda o: liked.get(o, (0, 0.0))[::-1])
    return best if liked.get(best, (0, 0.0))[1] > 0 else None


class Preferences(NamedTuple):
    """What a ``Prefer`` header (RFC 7240) says: to be answered before the work is done, and how
    many seconds to wait for it first."""

    is_async: bool = False
    wait: float | None = None


NO_PREFERENCE = Preferences()


def prefer(value: bytes) -> Preferences:
    """The preferences of a ``Prefer`` header; what is not known there is passed over."""
    is_async, wait = False, None
    for entry in value[:512].split(b","):
        name, _, setting = entry.partition(b";")[0].strip(_WHITE).partition(b"=")
        name, setting = name.strip(_WHITE).lower(), setting.strip(_WHITE).strip(b'"')
        if name == b"respond-async":
            is_async = True
        elif name == b"wait" and setting.isdigit() and wait is None:  # the first one counts
            wait = float(setting[:9])
    return Preferences(is_async, wait)


def last_event(headers: dict[bytes, bytes]) -> int:
    """The number of the last item that a client has of a stream (``Last-Event-ID``, WHATWG HTML,
    9.2.4); 0 where it has none."""
    value = headers.get(b"last-event-id", b"")
    if not value:
        return 0
    if not value.isdigit() or len(value) > 15:
        raise MalformedRequest(reason="Last-Event-ID is the number of an item")
    return int(value)


def timeout(value: bytes) -> float:
    """Seconds of a ``Request-Timeout`` header."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 86_400 * 365:
        raise MalformedRequest(reason="Request-Timeout is a number of seconds")
    return seconds
