"""HTTP as functions: negotiation, media types, time-outs, bodies."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Coroutine
from secrets import token_hex, token_urlsafe
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothlight.errors import (
    MalformedRequest,
    MethodNotAllowed,
    Overloaded,
    PayloadTooLarge,
    RequestTimeout,
    Unavailable,
)
from mothlight.principal import ANONYMOUS, Principal
from mothlight.protocols import http
from mothlight.protocols.exchange import client_key, fresh_id
from mothlight.protocols.priority import urgency
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
    assert http.timeout(b"2.5") == 2.5
    assert http.timeout(b"0") == 0
    for odd in (b"", b"x", b"-1", b"nan", b"inf", b"1e99"):
        with pytest.raises(MalformedRequest):
            http.timeout(odd)


def test_call_ids() -> None:
    known = Principal("phone")
    assert client_key(b"abc-1", "K", known) == client_key(b'"abc-1"', "K", known) == "abc-1"
    for odd in (b"", b"a b", b"a\x7f", b"x" * 129, "ü".encode()):
        with pytest.raises(MalformedRequest):
            client_key(odd, "K", known)


@pytest.mark.parametrize(
    "make",
    [
        lambda: token_hex(16),
        lambda: token_hex(16).upper(),
        lambda: str(uuid4()),
        lambda: token_urlsafe(16),
        lambda: f"{token_hex(16)}/search-box",
    ],
)
def test_an_id_of_128_bits_is_a_secret(make: Callable[[], str]) -> None:
    for _ in range(200):
        key = make()
        assert client_key(key.encode(), "K", ANONYMOUS) == key


@pytest.mark.parametrize(
    "key",
    [
        "0123456789abcdef0123456789abcde",
        "a" * 128,
        "search-box",
        "the search box of the first screen of the app".replace(" ", "-"),
        "user-42-search-box-latest-answer",
        "1234567890" * 3,
        "abc-1",
    ],
)
def test_an_id_that_could_be_guessed_is_refused(key: str) -> None:
    with pytest.raises(MalformedRequest, match="128 random bits"):
        client_key(key.encode(), "K", ANONYMOUS)


def test_new_call_ids_are_drawn_from_chance_and_given_out_once() -> None:
    drawn = [fresh_id() for _ in range(2000)]
    assert len(set(drawn)) == 2000
    assert all(re.fullmatch("[0-9a-f]{32}", id) for id in drawn)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_two_processes_do_not_give_out_the_same_ids() -> None:
    program = """
import os, sys
from mothlight.protocols.exchange import fresh_id
fresh_id()
if os.fork() == 0:
    print(fresh_id(), flush=True)
    os._exit(0)
os.wait()
print(fresh_id())
"""
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    first, second = found.stdout.split()
    assert first != second


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, 3),
        (b"", 3),
        (b"u=0", 0),
        (b"u=7", 7),
        (b"  u=5, i  ", 5),
        (b"i,u=1", 1),
        (b"i=?0\t,\tu=1", 1),
        (b"u=1;x=2;y", 1),
        (b"u=1, u=2", 2),
        (b'x="u=0, \\"u=1", u=6', 6),
        (b"x=(1 u;u=3 3);u=2, u=4", 4),
        (b"a=-1.5, b=tok/en:x, c=:YWI=:, d=@17, u=2", 2),
        (b"u=005", 5),
        (b"u=8", 3),
        (b"u=-1", 3),
        (b"u=1.5", 3),
        (b"u", 3),
        (b"u=?1", 3),
        (b"u=(1)", 3),
        (b'u="1"', 3),
        (b"U=1", 3),
        (b"u = 1", 3),
        (b"u=1,", 3),
        (b",u=1", 3),
        (b"u=1,,i", 3),
        (b"u=1 i", 3),
        (b'u=1, x="', 3),
        (b"u=1, x=(", 3),
        (b"u=1, \xff", 3),
        (b"u=" + b"9" * 300, 3),
        (b"u=1," + b"a" * 300, 3),
    ],
)
def test_urgency(header: bytes | None, expected: int) -> None:
    assert urgency(header) == expected


@given(st.binary(max_size=300) | st.text('ui=,; ()"123?:\\', max_size=256).map(str.encode))
def test_urgency_takes_anything(header: bytes) -> None:
    assert urgency(header) in range(8)


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


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (Overloaded(retry_after=0.1), b"retry-after", b"1"),
        (Overloaded(retry_after=2.001), b"retry-after", b"3"),
        (Unavailable(reason="r", retry_after=2), b"retry-after", b"2"),
        (MethodNotAllowed(path="/", allow=["GET", "PUT"]), b"allow", b"GET, PUT"),
    ],
)
def test_problems_carry_their_headers(error: Any, name: bytes, value: bytes) -> None:
    answer = http.problem(error, [(b"call-id", b"x")])
    headers = dict(answer.headers)
    assert headers[name] == value
    assert headers[b"call-id"] == b"x"
    assert headers[b"content-length"] == b"%d" % len(answer.body)
    assert (answer.status, json.loads(answer.body)) == (error.status, error.problem())


def test_a_refusal_is_made_once_and_shared_by_nobody() -> None:
    first = http.problem(Overloaded(retry_after=0.3), [(b"call-id", b"1")])
    second = http.problem(Overloaded(retry_after=0.3), [(b"call-id", b"2")])
    assert first.body is second.body
    assert dict(first.headers)[b"call-id"] == b"1"
    other = http.problem(Unavailable(reason="gone", retry_after=0.3))
    assert json.loads(other.body)["detail"] == "gone"
    assert b"call-id" not in dict(other.headers)


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
