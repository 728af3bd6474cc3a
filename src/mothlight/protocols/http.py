"""HTTP under the protocols: raw ASGI, so that the path of a model call is short.

A request's headers are read once into a dict; a body is read whole, bounded in bytes and time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from pydantic_core import to_json

from ..errors import Error, MalformedRequest, PayloadTooLarge, RequestTimeout
from ..settings import Settings

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

JSON = b"application/json"
PROBLEM = b"application/problem+json"
_WHITE = b" \t"


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


def head(scope: Scope) -> dict[bytes, bytes]:
    """The request's headers; of one that stands twice the last counts."""
    return dict(scope["headers"])


async def read_body(headers: dict[bytes, bytes], receive: Receive, settings: Settings) -> bytes:
    """The whole body. Raises PayloadTooLarge before reading where Content-Length tells,
    RequestTimeout, ClientGone."""
    limit = settings.max_body
    claimed = headers.get(b"content-length", b"")
    if claimed.isdigit() and int(claimed) > limit:
        raise PayloadTooLarge(what="the body", limit=limit)
    event = await receive()
    if event["type"] == "http.disconnect":
        raise ClientGone
    body: bytes = event.get("body", b"")
    if not event.get("more_body"):
        if len(body) > limit:
            raise PayloadTooLarge(what="the body", limit=limit)
        return body
    chunks = [body]
    size = len(body)
    try:
        async with asyncio.timeout(settings.body_timeout):
            while event.get("more_body"):
                event = await receive()
                if event["type"] == "http.disconnect":
                    raise ClientGone
                chunks.append(event.get("body", b""))
                size += len(chunks[-1])
                if size > limit:
                    raise PayloadTooLarge(what="the body", limit=limit)
    except TimeoutError:
        raise RequestTimeout(seconds=settings.body_timeout) from None
    return b"".join(chunks)


async def respond(
    send: Send, status: int, media_type: bytes, body: bytes, headers: Iterable[Header] = ()
) -> None:
    """Sends a whole response."""
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [
                (b"content-type", media_type),
                (b"content-length", b"%d" % len(body)),
                *headers,
            ],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def respond_problem(send: Send, error: Error, headers: Iterable[Header] = ()) -> None:
    """Sends an error as a problem document (RFC 9457)."""
    document = error.problem()
    extra = list(headers)
    if (seconds := document.get("retry_after")) is not None:
        extra.append((b"retry-after", b"%d" % max(1, round(seconds))))
    if allow := document.get("allow"):
        extra.append((b"allow", ", ".join(allow).encode()))
    if isinstance(error, PayloadTooLarge | RequestTimeout):
        extra.append((b"connection", b"close"))  # what is left of the body is not waited for
    status = int(document.get("status", error.status))
    await respond(send, status, PROBLEM, to_json(document), extra)


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
    """The first of ``offers`` in the order of the client's preference (RFC 9110, 12.5.1); None
    where it accepts none of them."""
    if not accept or accept == b"*/*":
        return offers[0]
    best: tuple[float, int, bytes] | None = None
    for entry in accept.split(b",")[:32]:
        kind, _, parameters = entry.partition(b";")
        kind = kind.strip(_WHITE).lower()
        quality = 1.0
        for parameter in parameters.split(b";"):
            name, _, setting = parameter.strip(_WHITE).partition(b"=")
            if name == b"q":
                try:
                    quality = float(setting)
                except ValueError:
                    quality = 0.0
        for rank, offer in enumerate(offers):
            fits = kind in (offer, b"*/*", offer.split(b"/")[0] + b"/*")
            exact = kind == offer
            if fits and quality > 0:
                candidate = (quality + 0.0001 * exact, -rank, offer)
                best = candidate if best is None or candidate > best else best
    return best[2] if best else None


def timeout(value: bytes | None) -> float | None:
    """Seconds of a ``Request-Timeout`` header; None without one."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 86_400 * 365:
        raise MalformedRequest(reason="Request-Timeout is a number of seconds")
    return seconds
