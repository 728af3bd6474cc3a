"""Both clients against servers that are away, slow, cut off, or not ours."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from client_kitchen import (
    EVERYTHING,
    PICTURE,
    Kitchen,
    Review,
    TextTooLong,
)
from raw_server import Ask, Raw, answer, stream

from mothlight import (
    AsyncClient,
    Client,
    Code,
    DeadlineExceeded,
    Error,
    File,
    Overloaded,
    RemoteError,
    Unavailable,
)
from mothlight.client import ConnectionFailed, StreamCut, UnexpectedAnswer
from mothlight.errors import CallNotFound, QuotaExceeded, RouteNotFound
from mothlight.testing import TestClient


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(Kitchen) as client:
        yield client


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return Ask(request.param)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def test_both_clients_do_the_same(client: TestClient, ask: Ask) -> None:
    assert ask.call(client.url, Kitchen.echo, EVERYTHING) == EVERYTHING
    assert ask.stream(client.url, Kitchen.spell, Review(text="abc")) == ["a", "b", "c"]
    assert ask.call(client.url, Kitchen.size, File(bytes(200_000))) == 200_000
    with pytest.raises(TextTooLong):
        ask.stream(client.url, Kitchen.spell, Review(text="a!"))
    with pytest.raises(RouteNotFound):
        ask.call(client.url + "/else", Kitchen.double, 1)


def test_nobody_listens(ask: Ask) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ConnectionFailed, match="mothlight serve") as caught:
        ask.call(url, Kitchen.double, 1, retries=1)
    assert caught.value.code is Code.UNAVAILABLE and caught.value.url.startswith(url)
    with pytest.raises(ConnectionFailed):
        ask.stream(url, Kitchen.numbers, 1, retries=0)


def test_a_refused_connection_is_tried_again(ask: Ask) -> None:
    port = free_port()
    served: list[Raw] = []

    def listen() -> None:
        raw = Raw.__new__(Raw)
        raw.heads, raw._answers = [], [answer("200 OK", b"8")]
        raw._socket = socket.create_server(("127.0.0.1", port))
        raw._thread = threading.Thread(target=raw._serve)
        raw._thread.start()
        served.append(raw)

    timer = threading.Timer(0.1, listen)
    timer.start()
    assert ask.call(f"http://127.0.0.1:{port}", Kitchen.double, 4, retries=6) == 8
    timer.join()
    with served[0]:
        assert len(served[0].heads) == 1


OVERLOADED = json.dumps(Overloaded(retry_after=0.0).problem()).encode()
DIED = json.dumps(Unavailable(reason="the worker died").problem()).encode()
PROBLEM = "application/problem+json"


def key(head: str) -> str:
    return head.partition("idempotency-key: ")[2].partition("\r\n")[0]


def test_an_overloaded_server_is_asked_again(ask: Ask) -> None:
    busy = answer("503 Service Unavailable", OVERLOADED, PROBLEM, "retry-after: 0")
    with Raw(busy, busy, answer("200 OK", b"8")) as raw:
        assert ask.call(raw.url, Kitchen.double, 4) == 8
        assert len(raw.heads) == 3 and len({key(head) for head in raw.heads}) == 1
    with Raw(busy, busy, busy, answer("200 OK", b"8")) as raw:
        with pytest.raises(Overloaded):
            ask.call(raw.url, Kitchen.double, 4, retries=2)
        assert len(raw.heads) == 3
    with Raw(busy, stream(b"data: 1\n\nevent: end\ndata: {}\n\n")) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 1) == [1]


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (answer("503 X", DIED, PROBLEM, "retry-after: 0"), Unavailable),  # the key's for good
        (answer("503 X", OVERLOADED, PROBLEM), Overloaded),  # no Retry-After
        (answer("503 X", OVERLOADED, PROBLEM, "retry-after: 3600"), Overloaded),
        (answer("500 X", b"{}", PROBLEM, "retry-after: 0"), RemoteError),
    ],
    ids=["died", "no-wait", "too-long", "500"],
)
def test_what_is_not_tried_again(ask: Ask, refusal: bytes, error: type[Error]) -> None:
    with Raw(refusal, answer("200 OK", b"8")) as raw:
        with pytest.raises(error) as caught:
            ask.call(raw.url, Kitchen.double, 4)
        assert len(raw.heads) == 1
        assert caught.value.call_id == key(raw.heads[0])


def test_a_retry_does_not_outlive_the_deadline(ask: Ask) -> None:
    busy = answer("503 X", OVERLOADED, PROBLEM, "retry-after: 5")
    start = time.monotonic()
    with Raw(busy) as raw, pytest.raises(Overloaded):
        ask.call(raw.url, Kitchen.double, 4, timeout=2)
    assert time.monotonic() - start < 1.5


def test_what_a_request_says(ask: Ask) -> None:
    with Raw(answer("200 OK", b"8")) as raw:
        ask.call(raw.url + "/ml/", Kitchen.double, 4, timeout=2.5, headers={"X-Token": "t"})
        lines = raw.heads[0].split("\r\n")
    assert lines[0] == "post /ml/kitchen/double http/1.1"
    assert "x-token: t" in lines and "content-type: application/json" in lines
    timeout = next(line for line in lines if line.startswith("request-timeout: "))
    assert 2.0 < float(timeout.split()[1]) <= 2.5
    assert len(key(raw.heads[0])) == 32


def test_what_options_say(ask: Ask) -> None:
    tokens = iter(["one", "two"])
    options = {"token": lambda: next(tokens), "retries": 1}
    with Raw(b"", answer("200 OK", b"8")) as raw:
        ask.call(raw.url, Kitchen.double, 4, **options)
    said = ["\r\nauthorization: bearer one" in raw.heads[0]]
    assert [*said, "\r\nauthorization: bearer two" in raw.heads[1]] == [True, True]
    with Raw(*[answer("200 OK", b"8")] * 4) as raw:
        with Client(raw.url, trust_env=False, token="t") as client:
            client.with_options(priority=0, supersede="a b").call(Kitchen.double, 1)
            client.with_options(supersede="a b").call(Kitchen.double, 1)
            client.call(Kitchen.double, 1)
        first, second, third = ([*head.split("\r\n")] for head in raw.heads)
    assert "priority: u=0" in first and "authorization: bearer t" in third
    [key_1] = [line for line in first if line.startswith("supersede-key: ")]
    [key_2] = [line for line in second if line.startswith("supersede-key: ")]
    assert key_1 == key_2 and key_1.endswith("/a%20b") and len(key_1) == 15 + 32 + 6
    assert not any(line.startswith(("supersede-key", "priority")) for line in third)
    with pytest.raises(ValueError, match="priority"):
        client.with_options(priority=8)
    with pytest.raises(ValueError, match="supersede"):
        client.with_options(supersede="x" * 100)


QUOTA = json.dumps(QuotaExceeded(what="calls", retry_after=1.0).problem()).encode()


@pytest.mark.parametrize(
    "refusal",
    [
        answer("503 X", OVERLOADED, PROBLEM, "retry-after: 1"),
        answer("429 X", QUOTA, PROBLEM, "retry-after: 1"),
        answer("503 X", b"a proxy's", "text/plain", "retry-after: 1"),
    ],
    ids=["overloaded", "quota", "proxy"],
)
def test_it_waits_as_long_as_it_is_told(ask: Ask, refusal: bytes) -> None:
    with Raw(refusal, answer("200 OK", b"8")) as raw:
        start = time.monotonic()
        assert ask.call(raw.url, Kitchen.double, 4) == 8
        assert 1.0 <= time.monotonic() - start < 3.0
        assert len({key(head) for head in raw.heads}) == 1


def wait_for_close(connection: socket.socket) -> None:
    connection.settimeout(10)
    while connection.recv(65536):
        pass


def test_a_server_that_never_answers(ask: Ask) -> None:
    start = time.monotonic()
    told = answer("204 No Content", b"")
    with Raw(wait_for_close, told) as raw, pytest.raises(DeadlineExceeded) as caught:
        ask.call(raw.url, Kitchen.double, 4, timeout=0.1)
    assert 0.5 < time.monotonic() - start < 2
    assert raw.heads[1].startswith(f"delete /calls/{caught.value.call_id} ")
    assert caught.value.call_id == key(raw.heads[0])


def test_a_server_that_drips(ask: Ask) -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
        for _ in range(500):
            connection.sendall(b" ")
            threading.Event().wait(0.02)

    start = time.monotonic()
    with Raw(drip, answer("204 No Content", b"")) as raw, pytest.raises(DeadlineExceeded):
        ask.call(raw.url, Kitchen.double, 4, timeout=0.1)
    assert time.monotonic() - start < 2


def test_a_proxy_page(ask: Ask) -> None:
    page = b"<html><h1>502 Bad Gateway</h1>" + b"x" * 5000
    proxy = Raw(*[answer("502 Bad Gateway", page, "text/html")] * 2)
    with proxy as raw, pytest.raises(UnexpectedAnswer) as caught:
        ask.call(raw.url, Kitchen.double, 4, retries=1)  # the server behind it may come back
    assert len(raw.heads) == 2
    error = caught.value
    assert error.answered == 502 and error.code is Code.UNAVAILABLE
    assert error.start == page[:200].decode() and error.media_type == "text/html"


@pytest.mark.parametrize(
    "bad",
    [
        answer("200 OK", b"<html>", "text/html"),  # a hotel's login page
        answer("200 OK", b"{}"),
        answer("200 OK", b'{"a": '),
        answer("200 OK", b"[" * 100_000),
        answer("302 Found", b"", "text/html", "location: /login"),
        answer("500 X", b"no json", PROBLEM),
        answer("500 X", b"[]", PROBLEM),
        answer("200 OK", b"1" * 5000),
    ],
    ids=["html", "type", "cut", "deep", "redirect", "no-json", "list", "long"],
)
def test_answers_that_are_none(ask: Ask, bad: bytes) -> None:
    with Raw(bad) as raw, pytest.raises(UnexpectedAnswer):
        ask.call(raw.url, Kitchen.double, 4, max_answer=4000 if b"1111" in bad else 1 << 20)


def test_an_answer_cannot_name_files_that_are_not_there(ask: Ask) -> None:
    with Raw(answer("200 OK", b'{"$media": 0}')) as raw, pytest.raises(UnexpectedAnswer):
        ask.call(raw.url, Kitchen.mirror, PICTURE)


def test_an_answer_that_is_cut(ask: Ask) -> None:
    cut = answer("200 OK", b"12345678")[:-3]
    with Raw(cut, answer("200 OK", b"8")) as raw:
        assert ask.call(raw.url, Kitchen.double, 4) == 8
        assert len({key(head) for head in raw.heads}) == 1
    with Raw(b"") as raw:
        with pytest.raises(ConnectionFailed, match="disconnected"):
            ask.call(raw.url, Kitchen.double, 4, retries=0)
        assert len(raw.heads) == 1


GONE = answer("404 X", json.dumps(CallNotFound().problem()).encode(), PROBLEM)


@pytest.mark.parametrize(
    ("pieces", "items"),
    [
        ((b"id: 1\ndata: 1\n\n", b"id: 2\ndata: 2\n\n"), 2),
        ((b"data: 1\n\n", b"event: end\ndata: {}\n"), 1),  # no blank line: the end is not whole
        ((b": hb\n\n",), 0),
    ],
)
def test_a_stream_without_its_end_is_cut(ask: Ask, pieces: tuple[bytes, ...], items: int) -> None:
    with Raw(stream(*pieces)) as raw, pytest.raises(StreamCut) as caught:
        ask.stream(raw.url, Kitchen.numbers, 3, retries=0)
    assert caught.value.received == items and caught.value.code is Code.UNAVAILABLE
    assert caught.value.call_id == key(raw.heads[0])


CHUNKED = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)
REST = stream(b"id: 2\ndata: 5\n\nevent: end\ndata: {}\n\n")


def test_a_stream_whose_connection_breaks(ask: Ask) -> None:
    broken = CHUNKED + b"f\r\nid: 1\ndata: 1\n\n\r\n5\r\nda"
    with Raw(broken) as raw, pytest.raises(StreamCut) as caught:
        ask.stream(raw.url, Kitchen.numbers, 3, retries=0)
    assert caught.value.received == 1
    with Raw(broken, b"", REST) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 3, retries=2) == [1, 5]
    first, *others = raw.heads
    assert first.startswith("post /kitchen/numbers") and "last-event-id" not in first
    for other in others:
        assert other.startswith(f"get /calls/{key(first)} ") and "\r\nlast-event-id: 1" in other


def test_failures_in_a_row_are_counted(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    one = [stream(b"id: %d\ndata: 1\n\n" % n) for n in range(1, 6)]
    with Raw(*one, stream(b"event: end\ndata: {}\n\n")) as raw:  # each brings something
        assert ask.stream(raw.url, Kitchen.numbers, 3, retries=1) == [1] * 5
    with Raw(one[0], *[b""] * 3, stream(b"event: end\ndata: {}\n\n")) as raw:  # it keeps the call
        assert ask.stream(raw.url, Kitchen.numbers, 3, retries=1) == [1]
    monkeypatch.setattr("mothlight.client.patience.KEPT", 0.0)
    with Raw(one[0], b"", b"") as raw, pytest.raises(StreamCut):
        ask.stream(raw.url, Kitchen.numbers, 3, retries=2)
    assert len(raw.heads) == 3


def test_a_stream_that_the_server_does_not_know(ask: Ask) -> None:
    with Raw(stream(b": hb\n\n"), GONE, stream(b"event: end\ndata: {}\n\n")) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 3) == []  # nothing of it was given: anew
    assert [head[:4] for head in raw.heads] == ["post", "get ", "post"]
    assert key(raw.heads[0]) == key(raw.heads[2])
    with Raw(stream(b"id: 1\ndata: 1\n\n"), GONE) as raw, pytest.raises(StreamCut, match="have"):
        ask.stream(raw.url, Kitchen.numbers, 3)


@pytest.mark.parametrize("number", [b"1", b"3", b"x"])
def test_a_gap_in_a_stream(ask: Ask, number: bytes) -> None:
    odd = stream(b"id: 1\ndata: 1\n\nid: %s\ndata: 2\n\n" % number)
    server = Raw(odd, answer("204 No Content", b""))
    with server as raw, pytest.raises(UnexpectedAnswer, match="number 2"):
        ask.stream(raw.url, Kitchen.numbers, 3)
    assert raw.heads[1].startswith(f"delete /calls/{key(raw.heads[0])} ")


def test_a_silent_stream(ask: Ask) -> None:
    def silent(connection: socket.socket) -> None:
        connection.sendall(stream(b"id: 1\ndata: 1\n\n"))
        wait_for_close(connection)

    with Raw(silent) as raw, pytest.raises(StreamCut, match="heartbeat") as caught:
        ask.stream(raw.url, Kitchen.numbers, 3, idle=0.1, retries=0)
    assert caught.value.received == 1
    with Raw(silent, REST) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 3, idle=0.1) == [1, 5]
    with Raw(silent, GONE) as raw, pytest.raises(DeadlineExceeded):
        ask.stream(raw.url, Kitchen.numbers, 3, timeout=0.1)


def test_a_silent_answer_is_asked_for(ask: Ask) -> None:
    running = answer("202 Accepted", b"{}")
    with Raw(wait_for_close, running, b"", running, answer("200 OK", b"8")) as raw:
        assert ask.call(raw.url, Kitchen.double, 4, idle=0.1, retries=1) == 8
    assert [head[:4] for head in raw.heads] == ["post", "get ", "get ", "get ", "get "]
    assert all("\r\nprefer: wait=1" in head for head in raw.heads[1:])
    with Raw(wait_for_close, GONE, answer("200 OK", b"8")) as raw:
        assert ask.call(raw.url, Kitchen.double, 4, idle=0.1, retries=1) == 8
    assert [head[:4] for head in raw.heads] == ["post", "get ", "post"]


def test_what_comes_after_the_end_is_nothing(ask: Ask) -> None:
    with Raw(stream(b"data: 1\n\nevent: end\ndata: {}\n\ndata: 2\n\ndata: {")) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 3) == [1]


def test_streams_of_strangers(ask: Ask) -> None:
    page = Raw(answer("200 OK", b"<html>", "text/html"), GONE)
    with page as raw, pytest.raises(UnexpectedAnswer):
        ask.stream(raw.url, Kitchen.numbers, 3)
    with Raw(stream(b"data: x\n\n"), GONE) as raw, pytest.raises(UnexpectedAnswer, match="fit"):
        ask.stream(raw.url, Kitchen.numbers, 3)
    with Raw(stream(b"event: error\ndata: x\n\n")) as raw, pytest.raises(UnexpectedAnswer):
        ask.stream(raw.url, Kitchen.numbers, 3)
    long = Raw(stream(b"data: " + b"1" * 100_000), GONE)
    with long as raw, pytest.raises(StreamCut, match="longer"):
        ask.stream(raw.url, Kitchen.numbers, 3, max_answer=10_000)
    # An event of a type that we do not know is a newer server's.
    with Raw(stream(b"event: news\ndata: x\n\nevent: end\ndata: {}\n\n")) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 3) == []


def test_a_stream_split_at_every_byte(ask: Ask) -> None:
    def bytewise(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in stream(b"data: 1\r\n\r\ndata: 2\n\nevent: end\ndata: {}\n\n"):
            connection.sendall(bytes([byte]))

    with Raw(bytewise) as raw:
        assert ask.stream(raw.url, Kitchen.numbers, 3) == [1, 2]


@pytest.mark.parametrize("url", ["", "localhost:80", "ftp://x", "http://", "http://a b:x", 5])
def test_addresses_that_are_none(url: Any) -> None:
    with pytest.raises(ConnectionFailed, match="http://host:port"):
        Client(url)
    with pytest.raises(ConnectionFailed):
        AsyncClient(url)


def test_a_closed_client(client: TestClient, ask: Ask) -> None:
    other = Client(client.url)
    other.close()
    with pytest.raises(ConnectionFailed, match="closed"):
        other.call(Kitchen.double, 1)
