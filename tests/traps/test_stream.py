"""Scenario 3 of the tutorial, FastAPI's /stream_numbers: traps 37 to 43, and 53 to 57 where the
server has a part in them."""

from __future__ import annotations

import concurrent.futures
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx2
import pytest

from live import MEBI, Answer, Live, Raw, memory, problem_of, request, wait_until

TUTORIAL = Path(__file__).parents[1] / "services" / "tutorial.py"
SSE, NDJSON, TEXT = "text/event-stream", "application/x-ndjson", "text/plain"
SOON = 1.0
"""Seconds within which a generator is closed after its client has left."""


@pytest.fixture(scope="module")
def streams(serve_all: Callable[..., Live]) -> Live:
    return serve_all(f"{TUTORIAL}:Numbers", heartbeat=0.2)


def get(server: Live, path: str, accept: str = SSE, **headers: str) -> Answer:
    answer = server.send(request("GET", path, accept=accept, **headers))
    assert answer is not None
    return answer


def state(server: Live) -> dict[str, int]:
    found: dict[str, int] = httpx2.get(f"{server.url}/state", timeout=10).json()
    return found


def events(body: bytes) -> list[dict[str, str]]:
    """The server-sent events of a body, by the rules of WHATWG HTML 9.2.6 (id, event, data)."""
    found = []
    for block in body.decode().split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            if not line or line.startswith(":"):
                continue
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = fields[name] + "\n" + value if name in fields else value
        if fields:
            found.append(fields)
    return found


# 37: a stream blocks nobody


@pytest.mark.slow
@pytest.mark.parametrize("path", ["stream_numbers", "blocking"])
def test_trap_37_four_streams_block_nobody(streams: Live, path: str) -> None:
    """The tutorial's /ping took 5.98 s beside them, and they took 12.4 s instead of 3.0; the second
    path sleeps in the generator itself, with time.sleep, as the tutorial does."""
    stop = threading.Event()
    waits: dict[str, list[float]] = {"/health/live": [], "/double": []}

    def probe() -> None:
        with streams.client() as client:
            while not stop.is_set():
                for name, taken in waits.items():
                    begin = time.monotonic()
                    answer = client.post(name, json=4) if name == "/double" else client.get(name)
                    assert answer.status_code == 200
                    taken.append(time.monotonic() - begin)
                stop.wait(0.02)

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        probing = pool.submit(probe)
        begin = time.monotonic()
        answers = list(pool.map(lambda _: get(streams, f"/{path}?count=30", TEXT), range(4)))
        took = time.monotonic() - begin
        stop.set()
        probing.result()
    expected = "".join(f"{n}\n" for n in range(1, 31)).encode()
    assert all(answer.body == expected and answer.complete for answer in answers)
    assert took < 4.5
    for name, taken in waits.items():
        taken.sort()
        assert len(taken) > 30
        assert taken[len(taken) * 95 // 100] < 0.2, (name, taken[-5:])


def test_trap_37_items_come_as_they_are_made(streams: Live) -> None:
    with streams.connect() as raw:
        begin = time.monotonic()
        raw.send(request("GET", "/stream_numbers?count=10", accept=TEXT))
        raw.until(b"\r\n\r\n")
        raw.until(b"1\n")
        first = time.monotonic() - begin
        raw.until(b"10\n")
        last = time.monotonic() - begin
    assert first < 0.6 and 0.9 < last < 2.5


# 38: a client that leaves


@pytest.mark.parametrize("path", ["stream_numbers", "blocking", "fast", "quiet"])
@pytest.mark.parametrize("how", ["fin", "reset"])
def test_trap_38_the_generator_is_closed_when_its_client_leaves(
    streams: Live, path: str, how: str
) -> None:
    wait_until(lambda: state(streams)["running"] == 0, "no stream of another test")
    query = "seconds=10" if path == "quiet" else "count=10000"
    with streams.connect() as raw:
        raw.send(request("GET", f"/{path}?{query}", accept=NDJSON))
        raw.until(b"\r\n\r\n")
        raw.until(b"\n")
        if path != "quiet":
            assert state(streams)["running"] == 1
        if how == "reset":
            raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    left = time.monotonic()
    wait_until(lambda: state(streams)["running"] == 0, "the generator is closed", SOON)
    assert time.monotonic() - left < SOON
    produced = state(streams)["produced"]
    threading.Event().wait(0.3)
    assert state(streams)["produced"] == produced  # and nothing more is made


def test_trap_38_a_client_that_leaves_at_once(streams: Live) -> None:
    """Before the first item, before the head, before the request is whole."""
    whole = request("GET", "/stream_numbers?count=10000", accept=SSE)
    before = streams.metric("mothlight_requests_total", method="Numbers.stream_numbers")
    for size in (len(whole), len(whole) - 1, 10):
        for _ in range(5):
            with streams.connect() as raw:
                raw.send(whole[:size])
    wait_until(lambda: state(streams)["running"] == 0, "all are closed", SOON)
    wait_until(
        lambda: (
            streams.metric("mothlight_requests_total", method="Numbers.stream_numbers")
            >= before + 5
        ),
        "they are counted",
    )
    assert get(streams, "/stream_numbers?count=1").complete


def test_trap_38_a_client_that_leaves_with_a_second_request_behind_the_first(
    streams: Live,
) -> None:
    """uvicorn tells only the newest request of a connection that its client has left."""
    with streams.connect() as raw:
        raw.send(request("GET", "/stream_numbers?count=10000") + request("GET", "/state"))
        raw.until(b"2\n")
        assert state(streams)["running"] == 1
    wait_until(lambda: state(streams)["running"] == 0, "the generator is closed", SOON)
    assert "handler is closed" not in streams.text()  # nobody writes to a connection that is gone


@pytest.mark.slow
def test_trap_38_a_hundred_clients_that_leave_free_a_hundred_places(streams: Live) -> None:
    """A worker holds 128 streams: were their places not freed, the later ones would be refused."""
    for _ in range(3):
        raws = [streams.connect() for _ in range(100)]
        for raw in raws:
            raw.send(request("GET", "/stream_numbers?count=10000", accept=TEXT))
        for raw in raws:
            assert b"200 OK" in raw.until(b"\r\n\r\n")
        for raw in raws:
            raw.sock.close()
        wait_until(lambda: state(streams)["running"] == 0, "all are closed", 5)


def test_trap_38_too_many_streams_are_refused(serve: Callable[..., Live]) -> None:
    server = serve(f"{TUTORIAL}:Numbers", max_queue=1)
    raws = [server.connect() for _ in range(128)]
    queued = server.connect()
    try:
        for raw in raws:
            raw.send(request("GET", "/stream_numbers?count=10000", accept=TEXT))
        for raw in raws:
            raw.until(b"\r\n\r\n")
        queued.send(request("GET", "/stream_numbers?count=1", accept=TEXT))
        waits = b'mothlight_queue{service="Numbers"} 1.0'
        wait_until(lambda: waits in get(server, "/metrics").body, "it waits", 5)
        answer = get(server, "/stream_numbers?count=1")
        assert answer.status == 503 and answer.problem()["code"] == "unavailable"
        assert int(answer.headers["retry-after"]) >= 1
    finally:
        for raw in raws:
            raw.sock.close()
    assert b"200 OK" in queued.until(b"\r\n\r\n"), "who waited gets the first place"
    queued.sock.close()
    wait_until(lambda: get(server, "/stream_numbers?count=1").status == 200, "there is room", 5)


# 39 and 53: how a stream ends


def test_traps_39_and_53_an_error_is_an_event(streams: Live) -> None:
    answer = get(streams, "/breaks?after=3")
    assert answer.status == 200 and answer.complete
    *items, last = events(answer.body)
    assert [(e["id"], e["data"]) for e in items] == [("1", "1"), ("2", "2"), ("3", "3")]
    assert last["event"] == "error"
    problem = json.loads(last["data"])
    assert (problem["type"], problem["code"], problem["status"]) == ("Internal", "internal", 500)
    assert b"secret" not in answer.body and "secret-4711" in streams.text()


def test_traps_39_and_53_a_declared_error_keeps_its_type_and_fields(streams: Live) -> None:
    last = events(get(streams, "/breaks?how=declared").body)[-1]
    problem = json.loads(last["data"])
    assert (problem["type"], problem["text"]) == ("Refused", "the rest")
    assert problem["code"] == "failed_precondition"


def test_traps_39_and_53_an_error_is_a_line_of_ndjson(streams: Live) -> None:
    answer = get(streams, "/breaks?after=2", NDJSON)
    assert answer.type == NDJSON and answer.complete and answer.body.endswith(b"\n")
    *items, last = [json.loads(line) for line in answer.body.splitlines()]
    assert items == [1, 2]
    assert last["error"]["code"] == "internal"


def test_traps_39_and_53_plain_text_breaks_off(streams: Live) -> None:
    """It has no place for an error, so the body must not look whole."""
    answer = get(streams, "/breaks?after=2", TEXT)
    assert answer.status == 200 and answer.body == b"1\n2\n"
    assert not answer.complete
    with pytest.raises(httpx2.RemoteProtocolError, match="incomplete chunked read"):
        httpx2.get(f"{streams.url}/breaks?after=2", headers={"accept": TEXT}, timeout=10)


@pytest.mark.parametrize("accept", [SSE, NDJSON, TEXT])
def test_trap_39_an_error_before_the_first_item_has_a_status(streams: Live, accept: str) -> None:
    answer = get(streams, "/breaks?after=0&how=declared", accept)
    assert answer.status == 400
    assert answer.problem()["type"] == "Refused"


def test_trap_53_an_end_is_an_end(streams: Live) -> None:
    answer = get(streams, "/stream_numbers?count=2")
    *items, last = events(answer.body)
    assert last == {"event": "end", "data": "{}"} and len(items) == 2
    lines = get(streams, "/stream_numbers?count=2", NDJSON).body.splitlines()
    assert json.loads(lines[-1]) == {"end": True}


def test_trap_53_a_worker_that_dies_is_an_error(serve: Callable[..., Live]) -> None:
    import os
    import signal

    server = serve(f"{TUTORIAL}:Numbers")
    with server.connect() as raw:
        raw.send(request("GET", "/stream_numbers?count=10000", accept=SSE))
        raw.until(b"data: 1\n\n")
        os.kill(server.workers()[0], signal.SIGKILL)
        rest = raw.until(b"0\r\n\r\n")
    assert b"event: error" in rest and b'"unavailable"' in rest
    wait_until(lambda: get(server, "/stream_numbers?count=1").status == 200, "another worker")


# 40: the count


@pytest.mark.parametrize("count", ["1000000000000", "-1", "0", "abc", "1.5", "", "1e3", "٣"])
def test_trap_40_a_count_that_is_none_is_422(streams: Live, count: str) -> None:
    from urllib.parse import quote

    answer = get(streams, f"/stream_numbers?count={quote(count)}")
    assert answer.status == 422
    assert answer.problem()["errors"][0]["path"] == "count"


def test_trap_40_a_count_given_twice_is_422(streams: Live) -> None:
    assert get(streams, "/stream_numbers?count=1&count=2").status == 422
    assert get(streams, "/stream_numbers?count=" + "9" * 5000).status == 422


def test_trap_40_without_a_count_it_is_the_default(streams: Live) -> None:
    body = get(streams, "/stream_numbers", TEXT).body
    assert body.decode().split() == [str(n) for n in range(1, 11)]


# 41: framing, ids, heartbeat, headers, compression, back-pressure


@pytest.mark.parametrize("accept", [SSE, NDJSON, TEXT])
def test_trap_41_nobody_caches_collects_or_packs_a_stream(streams: Live, accept: str) -> None:
    answer = get(streams, "/stream_numbers?count=2", accept, accept_encoding="gzip, br, deflate")
    assert answer.type.partition(";")[0] == accept
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in answer.headers and "content-length" not in answer.headers
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["call-id"]


def test_traps_41_and_42_events_are_numbered_from_one(streams: Live) -> None:
    """What a resume will ask by (Last-Event-ID)."""
    *items, _ = events(get(streams, "/fast?count=300").body)
    assert [int(e["id"]) for e in items] == list(range(1, 301))
    assert [json.loads(e["data"]) for e in items] == [f"{n:01024}" for n in range(300)]


@pytest.mark.slow
def test_trap_42_a_drop_at_item_9000_goes_on_behind_it(streams: Live) -> None:
    wait_until(lambda: state(streams)["running"] == 0, "no stream of another test")
    before, key = state(streams)["produced"], token_hex(16)
    with streams.connect() as raw:
        raw.send(request("GET", "/fast?count=10000", accept=SSE, idempotency_key=key))
        seen = raw.until(b"\nid: 9001\n")
    assert b"\nid: 9000\n" in seen
    *rest, end = events(get(streams, f"/calls/{key}", last_event_id="9000").body)
    assert [int(e["id"]) for e in rest] == list(range(9001, 10_001))
    assert [json.loads(e["data"]) for e in rest] == [f"{n:01024}" for n in range(9000, 10_000)]
    assert end["event"] == "end"
    assert state(streams)["produced"] - before == 10_000, "the generator ran once"


def test_trap_41_a_quiet_stream_has_a_heartbeat(streams: Live) -> None:
    body = get(streams, "/quiet?seconds=1").body
    assert 2 <= body.count(b": hb\n\n") <= 6
    assert [e["data"] for e in events(body) if "id" in e] == ["1", "2"]


def test_trap_41_what_it_cannot_answer_is_406(streams: Live) -> None:
    answer = get(streams, "/stream_numbers?count=1", "application/pdf")
    assert answer.status == 406
    assert set(answer.problem()["supported"]) == {SSE, NDJSON, TEXT}


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", TEXT),  # as the tutorial's client asks: a stream of numbers is lines
        ("*/*", TEXT),
        ("text/event-stream;q=0.9, */*;q=0.1", SSE),
        ("application/*", NDJSON),
        ("text/plain;q=0, text/*;q=0.5", SSE),
    ],
)
def test_trap_41_the_form_is_the_one_that_is_asked_for(
    streams: Live, accept: str, kind: str
) -> None:
    assert get(streams, "/stream_numbers?count=1", accept).type.partition(";")[0] == kind


def stalled(server: Live, path: str) -> Raw:
    """A client that asks, reads the first piece, and then reads no more."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20)
    sock.connect(("127.0.0.1", server.port))
    raw = Raw(sock)
    raw.send(request("GET", path, accept=NDJSON))
    raw.until(b"\r\n\r\n")
    return raw


@pytest.mark.slow
def test_trap_41_a_reader_that_stops_stops_the_producer(streams: Live) -> None:
    """A million items of 1 kB would be 1 GB: what is made ahead is what the buffers hold."""
    wait_until(lambda: state(streams)["running"] == 0, "no stream of another test")
    before = state(streams)["produced"]
    with streams.bounded(30), stalled(streams, "/fast?count=1000000"):
        ahead = settled(streams) - before
        assert 0 < ahead < 8000, f"{ahead} items were made for a reader that reads none"
        threading.Event().wait(0.5)
        assert state(streams)["produced"] - before == ahead
        assert state(streams)["running"] == 1
    wait_until(lambda: state(streams)["running"] == 0, "the generator is closed", SOON)


def settled(server: Live) -> int:
    """The items made, once it makes no more."""
    last = [-1]

    def still() -> bool:
        now = state(server)["produced"]
        same = now == last[0]
        last[0] = now
        threading.Event().wait(0.2)
        return same

    wait_until(still, "the producer stops", 15)
    return last[0]


@pytest.mark.slow
def test_trap_41_a_slow_reader_gets_all_of_it(streams: Live) -> None:
    with stalled(streams, "/fast?count=3000") as raw:
        settled(streams)
        body = raw.until(b"0\r\n\r\n", 8 * MEBI)
    assert body.count(b'"\n') == 3000 and b'{"end":true}' in body


@pytest.mark.slow
def test_trap_41_stalled_readers_hold_up_nobody(streams: Live) -> None:
    readers = [stalled(streams, "/fast?count=1000000") for _ in range(20)]
    try:
        begin = time.monotonic()
        for _ in range(10):
            assert get(streams, "/fast?count=100", TEXT).body.count(b"\n") == 100
        assert time.monotonic() - begin < 4
        assert all(memory(pid) < 300 for pid in streams.pids())
    finally:
        for raw in readers:
            raw.sock.close()
    wait_until(lambda: state(streams)["running"] == 0, "all are closed", 5)


@pytest.mark.slow
def test_trap_41_a_reader_that_stops_for_good_is_let_go(serve: Callable[..., Live]) -> None:
    """Or 128 of them would hold a worker's places for ever."""
    server = serve(f"{TUTORIAL}:Numbers", send_timeout=1)
    with stalled(server, "/fast?count=1000000"):
        wait_until(lambda: state(server)["running"] == 1, "it runs")
        wait_until(lambda: state(server)["running"] == 0, "the generator is closed", 6)
    assert "Traceback" not in server.text()


# 43 and 44: lines


def test_trap_43_a_line_is_an_item_whatever_it_holds(streams: Live) -> None:
    body = get(streams, "/lines", TEXT).body.decode()
    assert body.split("\n") == [
        "one\\ntwo", "three\\r\\nfour", "", "data: x\\n\\nevent: end", "ünïcödé 🦋", ""
    ]  # fmt: skip
    texts = ["one\ntwo", "three\r\nfour", "", "data: x\n\nevent: end", "ünïcödé 🦋"]
    *items, last = events(get(streams, "/lines").body)
    assert [json.loads(e["data"]) for e in items] == texts
    assert last["event"] == "end"
    lines = get(streams, "/lines", NDJSON).body.decode().split("\n")
    assert [json.loads(line) for line in lines[:-2]] == texts


def test_trap_43_a_plain_stream_ends_with_a_newline_and_has_nothing_but_lines(
    streams: Live,
) -> None:
    body = get(streams, "/stream_numbers?count=12", TEXT).body
    assert re.fullmatch(rb"(\d+\n){12}", body)


def test_trap_43_a_number_is_never_split_between_two_chunks(streams: Live) -> None:
    """What naive clients rely on; what travels between may still split it, hence LineSplitter."""
    with streams.connect() as raw:
        raw.send(request("GET", "/stream_numbers?count=15", accept=TEXT))
        raw.until(b"\r\n\r\n")
        chunks = list(_chunks(raw))
    assert len(chunks) >= 10
    assert all(chunk.endswith(b"\n") for chunk in chunks)


def _chunks(raw: Raw) -> Iterator[bytes]:
    while size := int(raw.until(b"\r\n"), 16):
        yield raw._exactly(size + 2)[:-2]


# 55 to 57: beside the stream


def test_trap_57_batches_and_streams_at_once_each_get_their_own(
    serve: Callable[..., Live],
) -> None:
    server = serve(TUTORIAL)

    def text(index: int) -> bool:
        wanted = f"refuse {index}" if index % 5 == 0 else "x" * (index + 1)
        answer = server.send(request("POST", "/analyze", json.dumps({"text": wanted}).encode()))
        assert answer
        if index % 5 == 0:  # one that fails alone
            return answer.problem()["text"] == wanted
        return bool(answer.json()["score"] == sum(wanted.encode()) % 1000 / 1000)

    def stream(index: int) -> bool:
        return get(server, f"/fast?count={index + 1}", TEXT).body.count(b"\n") == index + 1

    def call(index: int) -> Any:
        return text(index) if index % 2 else stream(index)

    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        assert all(pool.map(call, range(120)))


def test_trap_57_a_deadline_of_one_leaves_the_others(streams: Live) -> None:
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        begin = time.monotonic()
        short = pool.submit(get, streams, "/stream_numbers?count=1000", request_timeout="0.5")
        whole = pool.submit(get, streams, "/stream_numbers?count=15")
        last = events(short.result().body)[-1]
        assert time.monotonic() - begin < 2
        assert last["event"] == "error"
        assert json.loads(last["data"])["code"] == "deadline_exceeded"
        assert events(whole.result().body)[-1]["event"] == "end"


def test_it_still_answers(streams: Live) -> None:
    answer = get(streams, "/state")
    assert answer.status == 200 and answer.json()["running"] == 0
    bad = get(streams, "/double")
    assert bad.status == 405 and problem_of(bad.status, bad.type, bad.body)
