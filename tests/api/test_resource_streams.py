"""A stream as a resource, over plain HTTP: cut at every event and resumed, read slowly, read by
many, left, ended, and asked for items that are not kept."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from live import Raw, request, wait_until
from served import Served
from services import loom

Serve = Callable[..., Served]

SSE, NDJSON, TEXT = "text/event-stream", "application/x-ndjson", "text/plain"
MARK = {SSE: b"\n\n", NDJSON: b"\n", TEXT: b"\n"}
LAST = {SSE: b"event: end\ndata: {}\n\n", NDJSON: b'{"end":true}\n', TEXT: b""}
ITEMS = 40


def pieces(accept: str, data: bytes) -> list[bytes]:
    """The whole events, or lines, of a stream's bytes."""
    mark = MARK[accept]
    return [piece + mark for piece in data.split(mark)[:-1]]


class Cut:
    """One response, read until it has so many pieces; then its connection is reset."""

    def __init__(self, served: Served, data: bytes, accept: str, most: int) -> None:
        self.got: list[bytes] = []
        self.is_whole = False
        with socket.create_connection(("127.0.0.1", served.port), 20) as sock:
            sock.sendall(data)
            raw = Raw(sock)
            head = raw.until(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head + raw.read()
            body = b""
            while most and not self.is_whole:
                size = int(raw.until(b"\r\n"), 16)
                body += raw._exactly(size + 2)[:-2]
                self.is_whole = size == 0
                self.got = pieces(accept, body)
                if len(self.got) >= most and not self.is_whole:
                    self.got = self.got[:most]  # what a client had decoded when it lost the rest
                    break
            else:
                assert not most or b"".join(self.got) == body
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _ask(path: str, key: str, order: dict[str, Any], accept: str, after: int) -> bytes:
    more = {"last_event_id": str(after)} if after else {}
    if path == "weave":
        body = json.dumps(order).encode()
        return request("POST", "/loom/weave", body, accept=accept, idempotency_key=key, **more)
    query = "&".join(f"{name}={value}" for name, value in order.items())
    return request("GET", f"/loom/threads?{query}", accept=accept, idempotency_key=key, **more)


@pytest.mark.parametrize("how", ["by GET of the call", "by the same request"])
@pytest.mark.parametrize("path", ["weave", "threads"])
@pytest.mark.parametrize("accept", MARK)
def test_a_stream_cut_at_every_event(
    accept: str, path: str, how: str, served: Serve, name: str
) -> None:
    server, order = served(), {"name": name, "count": ITEMS}
    undisturbed = Cut(server, _ask(path, uuid4().hex, order, accept, 0), accept, 10_000)
    assert undisturbed.is_whole
    whole = undisturbed.got
    assert len(whole) == ITEMS + (accept != TEXT) and b"".join(whole).endswith(LAST[accept])
    made = loom.MADE[name]

    def resumed(key: str, after: int, most: int) -> Cut:
        data = _ask(path, key, order, accept, after)
        if how == "by GET of the call" and after:
            data = request("GET", f"/calls/{key}", accept=accept, last_event_id=str(after))
        return Cut(server, data, accept, most)

    # In one call, once for each event:
    key, got = uuid4().hex, list[bytes]()
    for number in range(ITEMS):
        got += resumed(key, number, 1).got
    got += resumed(key, ITEMS, 10_000).got
    assert got == whole
    # In a call of its own for each event:
    for number in range(ITEMS + 1):
        key = uuid4().hex
        first = resumed(key, 0, number)
        rest = resumed(key, number, 10_000)
        assert rest.is_whole and first.got[:number] + rest.got == whole, number
    assert loom.MADE[name] == made * (ITEMS + 3)  # nothing was made twice
    assert loom.RAN[name] == ITEMS + 3


@pytest.mark.parametrize("accept", [SSE, NDJSON])
def test_a_failure_is_resumed_too(accept: str, served: Serve, name: str, key: str) -> None:
    server, order = served(), {"name": name, "fail_at": 6}
    whole = Cut(server, _ask("weave", uuid4().hex, order, accept, 0), accept, 100).got
    assert b'"type":"Torn"' in whole[-1] and len(whole) == 6
    for number in range(5):
        key = uuid4().hex
        first = Cut(server, _ask("weave", key, order, accept, 0), accept, number)
        rest = server.get(key, accept=accept, last_event_id=str(number))
        assert first.got[:number] + pieces(accept, rest.content) == whole
    nothing_more = server.get(key, accept=accept, last_event_id="5")
    assert nothing_more.status_code == 400 and nothing_more.json()["type"] == "Torn"
    assert server.state(key)["problem"] == nothing_more.json()


def test_lines_without_an_end_break_off_when_resumed(served: Serve, name: str, key: str) -> None:
    server = served()
    order = {"name": name, "fail_at": 6}
    for data in (
        _ask("weave", key, order, TEXT, 0),
        request("GET", f"/calls/{key}", accept=TEXT, last_event_id="2"),
    ):
        with server.connect(data) as raw:
            answer = raw.answer()
            assert answer and not answer.complete
            assert answer.body.decode().endswith("5:ünï\\n\n")


# Who reads


def test_many_read_at_once_and_later(served: Serve, name: str, key: str) -> None:
    server, gate = served(), loom.gate(name)
    order = {"name": name, "count": 300, "hold_at": 150, "width": 10}
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(server.post, "weave", order, key)
        wait_until(lambda: loom.MADE[name] == 149, "half is made")
        readers = [pool.submit(server.get, key) for _ in range(3)]
        readers += [pool.submit(server.post, "weave", order, key) for _ in range(3)]
        partial = pool.submit(server.get, key, last_event_id="100")
        wait_until(lambda: len(server.app.calls.find("", key).log._readers) == 8, "all read")
        state = server.state(key)
        assert (state["state"], state["items"]) == ("running", 149)
        gate.set()
        whole = first.result(20).content
        assert {reader.result(20).content for reader in readers} == {whole}
    assert len(pieces(SSE, whole)) == 301
    assert pieces(SSE, partial.result(20).content) == pieces(SSE, whole)[100:]
    assert server.get(key).content == whole  # after the end, too
    assert loom.RAN[name] == 1 and loom.MADE[name] == 300
    assert server.state(key)["items"] == 300


def test_a_stream_by_its_forms(served: Serve, name: str, key: str) -> None:
    server = served()
    server.post("weave", {"name": name, "count": 2}, key)
    assert server.get(key).headers["content-type"] == SSE
    assert server.get(key, accept=NDJSON).content.endswith(LAST[NDJSON])
    assert server.get(key, accept=TEXT).text == "1:ünï\\n\n2:ünï\\n\n"
    assert server.get(key, accept="application/json").json()["items"] == 2
    refused = server.get(key, accept="image/png")
    assert (refused.status_code, refused.json()["type"]) == (406, "NotAcceptable")
    head = server.http.head(f"/calls/{key}")
    assert (head.status_code, head.content) == (200, b"")
    for bad in ("x", "-1", "1.5", "9" * 16):
        answer = server.get(key, last_event_id=bad)
        assert (answer.status_code, answer.json()["type"]) == (400, "MalformedRequest"), bad


def test_a_stream_in_the_background(served: Serve, name: str) -> None:
    server = served()
    begun = server.post("weave", {"name": name, "count": 5}, prefer="respond-async")
    assert begun.status_code == 202
    where = begun.headers["location"]
    assert len(pieces(SSE, server.http.get(where).content)) == 6
    assert server.state(begun.headers["call-id"])["state"] == "done"


@contextmanager
def slow(served: Served, data: bytes) -> Iterator[Raw]:
    """A connection whose client has little room for what it does not read."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", served.port))
        sock.sendall(data)
        yield Raw(sock)


def pauses(name: str) -> int:
    """How many items are made when none has been for half a second."""
    seen, since = -1, time.monotonic()

    def rests() -> bool:
        nonlocal seen, since
        if (made := loom.MADE[name]) != seen:
            seen, since = made, time.monotonic()
        return seen > 0 and time.monotonic() - since > 0.5

    wait_until(rests, "no more items are made")
    return seen


@pytest.mark.parametrize("keyed", [True, False], ids=["kept", "not kept"])
def test_a_slow_reader_slows_the_model(keyed: bool, served: Serve, name: str) -> None:
    server = served(max_log=400_000)
    count, width = 5000, 4000  # 20 MB
    body = json.dumps({"name": name, "count": count, "width": width}).encode()
    key = uuid4().hex if keyed else ""
    before = server.app.calls.room.bytes
    data = request("POST", "/loom/weave", body, accept=NDJSON, idempotency_key=key)
    with slow(server, data) as raw:
        made = pauses(name)
        held = server.app.calls.room.bytes - before
        # Half of the log, what the two sockets hold, and what is on its way between them.
        assert made * width < 200_000 + 8_000_000
        assert held < 400_000 + 64 * 1024 + 2 * width
        assert pauses(name) == made
        answer = raw.answer()
    assert answer and answer.complete
    lines = answer.body.splitlines()
    assert [json.loads(line).partition(":")[0] for line in lines[:-1]] == [
        str(number) for number in range(1, count + 1)
    ]
    assert lines[-1] + b"\n" == LAST[NDJSON]
    assert loom.MADE[name] == count


def test_nobody_reading_pauses_the_model_and_nothing_is_lost(
    served: Serve, name: str, key: str
) -> None:
    # What sockets hold counts as sent: to be resumed it has to fit into the log, too.
    server, count = served(max_log=24_000_000, grace=20), 8000
    order = {"name": name, "count": count, "width": 4000}
    assert len(Cut(server, _ask("weave", key, order, SSE, 0), SSE, 7).got) == 7
    made = pauses(name)
    assert 7 <= made < count
    got = pieces(SSE, server.get(key, last_event_id="7").content)
    assert [int(piece[4:].split(b"\n")[0]) for piece in got[:-1]] == list(range(8, count + 1))
    assert got[-1] == LAST[SSE] and loom.MADE[name] == count


def test_items_that_are_not_kept(served: Serve, name: str, key: str) -> None:
    server = served(max_log_items=64)
    whole = server.post("weave", {"name": name, "count": 500}, key).content
    gone = server.get(key)
    assert (gone.status_code, gone.json()["type"]) == (400, "ItemsGone")
    document = gone.json()
    assert (document["code"], document["after"], document["last"]) == ("out_of_range", 0, 500)
    first = document["first"]
    assert 500 - 64 <= first <= 500
    for after in (first, 499, 500):
        found = server.get(key, last_event_id=str(after))
        assert pieces(SSE, found.content) == pieces(SSE, whole)[after:]
    for after in (first - 1, 501):
        answer = server.get(key, last_event_id=str(after))
        assert (answer.status_code, answer.json()["type"]) == (400, "ItemsGone")


def test_a_resumption_of_what_is_not_known_runs_nothing(served: Serve, name: str) -> None:
    server = served()
    for key in (uuid4().hex, ""):
        answer = server.post("weave", {"name": name}, key, last_event_id="3")
        assert (answer.status_code, answer.json()["type"]) == (400, "ItemsGone")
    assert not loom.RAN[name] and not server.app.calls.room.is_full


# Its ends


def test_a_stream_that_is_left_ends_with_its_grace(served: Serve, name: str, key: str) -> None:
    server = served(grace=0.5)
    loom.gate(name)
    order = {"name": name, "hold_at": 4}
    assert len(Cut(server, _ask("weave", key, order, SSE, 0), SSE, 3).got) == 3
    wait_until(lambda: server.app.calls.find("", key).alone, "its reader is missed")
    start = time.monotonic()
    wait_until(lambda: loom.LEFT[name], "the model has stopped")
    assert 0.3 < time.monotonic() - start < 5
    assert server.state(key)["state"] == "cancelled"
    last = pieces(SSE, server.get(key, last_event_id="1").content)
    assert len(last) == 3 and last[-1].startswith(b"event: error\n") and b"Cancelled" in last[-1]


def test_a_stream_without_a_key_ends_with_its_reader(served: Serve, name: str) -> None:
    server = served()
    loom.gate(name)
    before = server.app.calls.room.bytes
    order = {"name": name, "hold_at": 4}
    assert len(Cut(server, _ask("weave", "", order, SSE, 0), SSE, 1).got) == 1
    wait_until(lambda: loom.LEFT[name], "the model has stopped")
    assert not loom.ENDED[name] and server.app.calls.room.bytes == before


@pytest.mark.parametrize("keyed", [True, False], ids=["kept", "not kept"])
def test_delete_ends_a_stream(keyed: bool, served: Serve, name: str) -> None:
    server = served()
    loom.gate(name)
    before = server.app.calls.room.bytes
    key = uuid4().hex if keyed else ""
    body = json.dumps({"name": name, "hold_at": 4}).encode()
    with server.connect(request("POST", "/loom/weave", body, idempotency_key=key)) as raw:
        head = raw.until(b"3:\xc3\xbcn\xc3\xaf").decode().lower()
        id = head.partition("call-id: ")[2].partition("\r\n")[0]
        assert server.http.delete(f"/calls/{id}").status_code == 204
        end = raw.until(b"0\r\n\r\n")
    assert b'event: error\ndata: {"type":"Cancelled"' in end
    wait_until(lambda: loom.LEFT[name], "the model has stopped")
    assert server.knows(id) == keyed
    if not keyed:
        assert server.app.calls.room.bytes == before


def test_a_stream_is_superseded(served: Serve, name: str) -> None:
    server, gate, latest = served(), loom.gate(name), uuid4().hex
    with ThreadPoolExecutor(2) as pool:
        older = pool.submit(
            server.post, "weave", {"name": name, "hold_at": 2}, supersede_key=latest
        )
        wait_until(lambda: loom.MADE[name] == 1, "it has begun")
        newer = pool.submit(server.post, "weave", {"name": name + "2"}, supersede_key=latest)
        last = pieces(SSE, older.result(20).content)[-1]
        assert last.startswith(b"event: error\n") and b'"type":"Superseded"' in last
        assert newer.result(20).content.endswith(LAST[SSE])
    gate.set()
    assert not loom.ENDED[name]


def test_a_deadline_ends_a_stream_that_nobody_reads(served: Serve, name: str, key: str) -> None:
    server = served(max_log=400_000, grace=20)
    order = {"name": name, "count": 100_000, "width": 4000}  # no buffer takes all of it
    body = json.dumps(order).encode()
    data = request("POST", "/loom/weave", body, idempotency_key=key, request_timeout="1.5")
    assert Cut(server, data, SSE, 3).got
    wait_until(lambda: server.state(key)["state"] == "failed", "the deadline has passed")
    assert server.state(key)["problem"]["type"] == "DeadlineExceeded"
    assert loom.LEFT[name] and loom.MADE[name] < 100_000


def test_nothing_is_left_after_all_that(served: Serve) -> None:
    server = served(grace=0.2, keep=0.4)
    keys = [uuid4().hex for _ in range(20)]
    for number, key in enumerate(keys):
        loom.gate(key)
        order = {"name": key, "hold_at": 6 if number % 2 else -1, "fail_at": 9 if number % 3 else 5}
        assert Cut(server, _ask("weave", key, order, SSE, 0), SSE, number % 5).got is not None
    calls = server.app.calls
    wait_until(lambda: not calls.records, "all are forgotten")
    assert calls.room.bytes == 0 and not calls._newest
    for later in (calls._left, calls._done):
        wait_until(lambda later=later: not len(later) and later._timer is None, "no timer is left")
    assert all(loom.LEFT[key] == 1 for key in keys)
