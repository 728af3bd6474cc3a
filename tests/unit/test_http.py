"""HTTP as functions: negotiation, media types, time-outs, bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothlight.errors import (
    MalformedRequest,
    MethodNotAllowed,
    Overloaded,
    PayloadTooLarge,
    RequestTimeout,
)
from mothlight.protocols import http
from mothlight.protocols.rest import call_id
from mothlight.settings import Settings

Run = Callable[[Coroutine[Any, Any, Any]], Any]
SSE, NDJSON, TEXT = b"text/event-stream", b"application/x-ndjson", b"text/plain"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (b"", SSE),
        (b"*/*", SSE),
        (b"text/*", SSE),
        (b"application/x-ndjson", NDJSON),
        (b"APPLICATION/X-NDJSON", NDJSON),
        (b"application/x-ndjson, */*", NDJSON),
        (b"application/x-ndjson, text/event-stream", SSE),
        (b"application/x-ndjson;q=0.9, text/event-stream;q=0.8", NDJSON),
        (b"text/event-stream;q=0.1, */*;q=0.9", NDJSON),
        (b"text/event-stream;q=0, */*", NDJSON),
        (b"text/*;q=0.2, text/plain", TEXT),
        (b"text/plain ; charset=utf-8 ; Q=0.5", TEXT),
        (b"text/html, application/json", None),
        (b"text/plain;q=0", None),
        (b"text/plain;q=lots", None),
        (b"*/*;q=0", None),
    ],
)
def test_accepted(accept: bytes, expected: bytes | None) -> None:
    assert http.accepted(accept, [SSE, NDJSON, TEXT]) == expected


@given(st.binary(max_size=60))
def test_accepted_takes_anything(accept: bytes) -> None:
    assert http.accepted(accept, [SSE, TEXT]) in (SSE, TEXT, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", (b"", b"")),
        (b"application/json", (b"application/json", b"")),
        (b"Application/JSON; Charset=UTF-8", (b"application/json", b"utf-8")),
        (b'text/plain;charset="latin-1"; x=y', (b"text/plain", b"latin-1")),
        (b" multipart/form-data ; boundary=a", (b"multipart/form-data", b"")),
    ],
)
def test_media_type(value: bytes, expected: tuple[bytes, bytes]) -> None:
    assert http.media_type(value) == expected


def test_timeout() -> None:
    assert http.timeout(None) is None
    assert http.timeout(b"2.5") == 2.5
    assert http.timeout(b"0") == 0
    for odd in (b"", b"x", b"-1", b"nan", b"inf", b"1e99"):
        with pytest.raises(MalformedRequest):
            http.timeout(odd)


def test_call_ids() -> None:
    assert call_id(b"abc-1") == "abc-1"
    assert call_id(None) != call_id(None)
    for odd in (b"", b"a b", b"a\x7f", b"x" * 129, "ü".encode()):
        with pytest.raises(MalformedRequest):
            call_id(odd)


def read(pieces: list[bytes], headers: dict[bytes, bytes] | None = None, **settings: Any) -> Any:
    async def receive() -> dict[str, Any]:
        if not pieces:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    return http.read_body(headers or {}, receive, Settings(**settings))


def test_bodies(run: Run) -> None:
    assert run(read([b""])) == b""
    assert run(read([b"a", b"", b"bc"])) == b"abc"
    assert run(read([b"abcd"], max_body=4)) == b"abcd"
    for pieces in ([b"abcde"], [b"abc", b"de", b"f"]):
        with pytest.raises(PayloadTooLarge):
            run(read(pieces, max_body=4))
    with pytest.raises(RequestTimeout):
        run(read([], body_timeout=0.01))


def test_a_claimed_size_is_refused_unread(run: Run) -> None:
    pieces = [b"a"]
    with pytest.raises(PayloadTooLarge):
        run(read(pieces, {b"content-length": b"5"}, max_body=4))
    assert pieces == [b"a"]


def test_problems_carry_their_headers(run: Run) -> None:
    async def headers(error: Any) -> dict[bytes, bytes]:
        events: list[Any] = []

        async def send(event: Any) -> None:
            events.append(event)

        await http.respond_problem(send, error)
        return dict(events[0]["headers"])

    assert run(headers(Overloaded(retry_after=0.1)))[b"retry-after"] == b"1"
    assert run(headers(MethodNotAllowed(path="/", allow=["GET", "PUT"])))[b"allow"] == b"GET, PUT"


def test_a_refused_body_is_drained_before_the_connection_is_closed(run: Run) -> None:
    log: list[Any] = []
    pieces = [b"x" * 1000] * 3

    async def send(event: Any) -> None:
        log.append(event)

    async def receive() -> Any:
        log.append("read")
        body = pieces.pop()
        return {"type": "http.request", "body": body, "more_body": bool(pieces)}

    run(http.respond_unread(send, receive, RequestTimeout(seconds=1), Settings()))
    start, answer, *reads, end = log
    assert dict(start["headers"])[b"connection"] == b"close"
    assert answer["more_body"] and b"RequestTimeout" in answer["body"]
    assert reads == ["read"] * 3
    assert not end.get("more_body")
