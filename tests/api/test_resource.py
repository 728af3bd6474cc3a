"""A call as a resource, over plain HTTP: a key and its one run, its answer for whoever comes later,
its status, its end by DELETE, by grace, by a newer one, and by time."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
import pytest

from live import request, wait_until
from served import Served
from services import loom

CALL = "application/vnd.mothlight.call+json"
Serve = Callable[..., Served]


def problem(answer: httpx2.Response, status: int, type: str) -> dict[str, Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    document: dict[str, Any] = answer.json()
    assert (document["type"], document["status"]) == (type, status)
    return document


def drop(served: Served, data: bytes, began: Callable[[], Any]) -> None:
    """Sends a request, and resets the connection once the call has begun."""
    sock = socket.create_connection(("127.0.0.1", served.port), 20)
    with sock:
        sock.sendall(data)
        wait_until(began, "the call has begun")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hold(name: str, key: str = "", **headers: str) -> bytes:
    body = b'"%s"' % name.encode()
    return request("POST", "/loom/hold", body, **{"idempotency_key": key, **headers})


# A key, and its one run


def _chunked(served: Served, name: str, key: str) -> httpx2.Response:
    def body() -> Iterator[bytes]:
        yield b'"'
        yield name.encode()
        yield b'"'

    headers = {"content-type": "application/json", "idempotency-key": key}
    return served.http.post("/loom/together", content=body(), headers=headers)


def _multipart(served: Served, name: str, key: str) -> httpx2.Response:
    files = {"file": ("a.bin", name.encode() * 10_000)}  # the boundary is another one each time
    return served.http.post(
        "/loom/weigh", data={"name": name}, files=files, headers={"idempotency-key": key}
    )


WAYS: dict[str, Callable[[Served, str, str], httpx2.Response]] = {
    "small JSON": lambda s, name, key: s.post("together", name, key),
    "chunked": _chunked,
    "multipart": _multipart,
    "a query": lambda s, name, key: s.http.get(
        "/loom/find", params={"name": name}, headers={"idempotency-key": key}
    ),
    "nothing": lambda s, name, key: s.post("nothing", name, key),
    "a file": lambda s, name, key: s.post("cloth", name, key),
    "a problem": lambda s, name, key: s.post("tear", name, key),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_model_runs_once_for_a_key(way: str, served: Serve, name: str, key: str) -> None:
    server = served()
    first = WAYS[way](server, name, key)
    again = WAYS[way](server, name, key)
    later = server.get(key)
    assert loom.RAN[name] == 1
    for answer in (again, later):
        assert answer.status_code == first.status_code
        assert answer.content == first.content
        for header in ("content-type", "call-id", "server-timing", "x-content-type-options"):
            assert answer.headers.get(header) == first.headers.get(header), header
    assert first.headers["call-id"] == key
    expected = {"a problem": 400, "nothing": 204}.get(way, 200)
    assert first.status_code == expected
    state = server.state(key)
    assert state["state"] == ("failed" if way == "a problem" else "done")
    assert (state["id"], state["created"] <= state["ended"]) == (key, True)
    assert ("problem" in state) == (way == "a problem")


def test_twenty_at_once_are_one_call(served: Serve, name: str, key: str) -> None:
    server, gate = served(), loom.gate(name)
    with ThreadPoolExecutor(21) as pool:
        asked = [pool.submit(server.post, "hold", name, key) for _ in range(10)]
        wait_until(lambda: server.knows(key), "the call is known")
        asked += [pool.submit(server.get, key, prefer="wait=20") for _ in range(10)]
        gate.set()
        answers = [one.result(20) for one in asked]
    assert loom.RAN[name] == 1
    assert {(a.status_code, a.content) for a in answers} == {(200, b'"%s is done"' % name.encode())}


def test_a_key_belongs_to_its_request(served: Serve, name: str, key: str) -> None:
    server = served()
    assert server.post("together", name, key).status_code == 200
    problem(server.post("together", name + "!", key), 422, "KeyReused")
    problem(server.post("hold", name, key), 422, "KeyReused")
    problem(_chunked(server, name + "!", key), 422, "KeyReused")
    problem(server.post("weave", {"name": name}, key), 422, "KeyReused")
    assert server.post("together", name, key).json() == name.upper()
    assert loom.RAN[name] == 1 and not loom.RAN[name + "!"]


def test_an_id_that_a_request_did_not_choose_is_not_for_others(served: Serve, name: str) -> None:
    server, gate = served(), loom.gate(name)
    wait = server.post("weave", {"name": name, "hold_at": 1, "count": 1}, prefer="respond-async")
    id = wait.headers["call-id"]
    problem(server.post("hold", name, id), 422, "KeyReused")  # the same owner: his own call
    gate.set()


@pytest.mark.parametrize("header", ["Idempotency-Key", "Supersede-Key"])
@pytest.mark.parametrize(
    "bad", ["abc", "a" * 64, "0123456789abcdef0123456789abcde", "12" * 18, "a b", "x" * 129]
)
def test_a_key_that_could_be_guessed_is_refused(
    header: str, bad: str, served: Serve, name: str
) -> None:
    server = served()
    for path, body in (("hold", name), ("weave", {"name": name})):
        answer = server.http.post(f"/loom/{path}", json=body, headers={header: bad})
        assert header in problem(answer, 400, "MalformedRequest")["detail"]
    assert not loom.RAN[name]


@pytest.mark.parametrize("form", ["{0}", '"{0}"', "my-{0}", "{0}/?#%41%2F+&=:;@~"])
def test_a_key_may_have_any_visible_character(form: str, served: Serve, name: str) -> None:
    server = served()
    for secret in (uuid4().hex, str(uuid4())):
        key = form.format(secret)
        first = server.post("together", name, key)
        id = first.headers["call-id"]
        assert id == key.strip('"')
        found = server.get(quote(id, safe=""))
        assert (found.status_code, found.content) == (200, first.content)
        assert server.http.delete(f"/calls/{quote(id, safe='')}").status_code == 204
        begun = server.post("together", name + "2", "b" + id, prefer="respond-async")
        assert server.http.get(begun.headers["location"]).status_code in (200, 202)


def test_a_call_that_was_refused_may_be_sent_again(served: Serve, name: str, key: str) -> None:
    server, gate = served(max_queue=1), loom.gate(name)
    with ThreadPoolExecutor(2) as pool:
        runs = pool.submit(server.post, "block", name)
        wait_until(lambda: loom.RAN[name], "it runs")
        waits = pool.submit(server.post, "together", "waits", uuid4().hex)
        wait_until(lambda: server.app.backend.queued, "another waits")
        problem(server.post("together", name + "2", key), 503, "Overloaded")
        problem(server.get(key), 404, "CallNotFound")
        gate.set()
        assert [runs.result(20).status_code, waits.result(20).status_code] == [200, 200]
    assert server.post("together", name + "2", key).json() == (name + "2").upper()
    assert loom.RAN[name + "2"] == 1


# What may be asked of it


def test_calls_that_are_not_there(served: Serve, name: str, key: str) -> None:
    server = served()
    for verb in ("GET", "DELETE", "HEAD"):
        for id in (key, "", "a/b", "%00", "x" * 300, "%2e%2e"):
            answer = server.http.request(verb, f"/calls/{id}")
            assert answer.status_code == 404, (verb, id)
            if verb != "HEAD" and id:
                problem(answer, 404, "CallNotFound")
    id = server.post("together", name).headers["call-id"]  # without a key: gone at its end
    problem(server.get(id), 404, "CallNotFound")


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH", "OPTIONS", "QUERY"])
def test_what_a_call_does_not_answer(verb: str, served: Serve, name: str, key: str) -> None:
    server = served()
    server.post("together", name, key)
    answer = server.http.request(verb, f"/calls/{key}")
    assert problem(answer, 405, "MethodNotAllowed")["allow"] == ["DELETE", "GET", "HEAD"]
    assert answer.headers["allow"] == "DELETE, GET, HEAD"


def test_head_has_no_body(served: Serve, name: str, key: str) -> None:
    server = served()
    server.post("together", name, key)
    with socket.create_connection(("127.0.0.1", server.port), 20) as sock:
        for _ in range(2):  # on the same connection: a body would be taken for the next answer
            sock.sendall(request("HEAD", f"/calls/{key}"))
            data = b""
            while not data.endswith(b"\r\n\r\n"):
                data += sock.recv(4096)
            assert data.startswith(b"HTTP/1.1 200 ") and data.count(b"\r\n\r\n") == 1


def test_a_call_in_the_background(served: Serve, name: str, key: str) -> None:
    server, gate = served(), loom.gate(name)
    begun = server.post("hold", name, key, prefer="respond-async")
    assert (begun.status_code, begun.headers["location"]) == (202, f"/calls/{key}")
    assert begun.headers["preference-applied"] == "respond-async"
    assert begun.headers["content-type"] == CALL and begun.headers["call-id"] == key
    assert begun.headers["cache-control"] == "no-store"
    assert begun.json()["state"] in ("queued", "running")
    wait_until(lambda: server.state(key)["state"] == "running", "it runs")
    assert server.get(key).status_code == 202
    start = time.monotonic()
    waited = server.get(key, prefer="wait=1")
    assert waited.status_code == 202 and time.monotonic() - start >= 0.95
    threading.Timer(0.1, gate.set).start()
    start = time.monotonic()
    found = server.get(key, prefer="wait=20")
    assert (found.status_code, found.json()) == (200, f"{name} is done")
    assert time.monotonic() - start < 10
    assert server.get(key).json() == f"{name} is done"
    assert loom.RAN[name] == 1


def test_a_wait_for_a_call_in_the_background(served: Serve, name: str) -> None:
    server = served()
    quick = server.post("together", name, prefer="respond-async, wait=10")
    assert (quick.status_code, quick.json()) == (200, name.upper())
    assert server.get(quick.headers["call-id"]).json() == name.upper()  # it has an id all the same
    gate = loom.gate(name)
    slow = server.post("hold", name, prefer="respond-async, wait=1")
    assert slow.status_code == 202 and server.state(slow.headers["call-id"])["state"] == "running"
    gate.set()
    failed = server.post("tear", name, prefer="respond-async, wait=10")
    problem(failed, 400, "Torn")


def test_the_background_needs_nobody(served: Serve, name: str) -> None:
    server, gate = served(grace=0.2), loom.gate(name)
    id = server.post("hold", name, prefer="respond-async").headers["call-id"]
    drop(server, request("GET", f"/calls/{id}", prefer="wait=60"), lambda: loom.RAN[name])
    threading.Timer(0.6, gate.set).start()  # three times the grace
    assert server.get(id, prefer="wait=20").json() == f"{name} is done"


# Its ends


def test_delete_ends_it_at_once(served: Serve, name: str, key: str) -> None:
    server = served()
    loom.gate(name)
    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(server.post, "hold", name, key)
        wait_until(lambda: loom.RAN[name], "it runs")
        ended = server.http.delete(f"/calls/{key}")
        assert (ended.status_code, ended.content, ended.headers["call-id"]) == (204, b"", key)
        problem(reader.result(20), 499, "Cancelled")
    wait_until(lambda: loom.LEFT[name], "the model has stopped")
    assert not loom.ENDED[name]
    assert server.state(key)["state"] == "cancelled"
    assert server.http.delete(f"/calls/{key}").status_code == 204
    problem(server.get(key), 499, "Cancelled")
    problem(server.post("hold", name, key), 499, "Cancelled")  # which is its end, for good
    assert loom.RAN[name] == 1


def test_delete_of_what_has_ended_changes_nothing(served: Serve, name: str, key: str) -> None:
    server = served()
    server.post("together", name, key)
    assert server.http.delete(f"/calls/{key}").status_code == 204
    assert server.get(key).json() == name.upper()


def test_a_dropped_call_goes_on_and_is_found_again(served: Serve, name: str, key: str) -> None:
    server, gate = served(grace=1.5), loom.gate(name)
    drop(server, hold(name, key), lambda: loom.RAN[name])
    wait_until(lambda: server.app.calls.find("", key).alone, "its reader is missed")
    with ThreadPoolExecutor(1) as pool:
        back = pool.submit(server.post, "hold", name, key)
        wait_until(lambda: server.app.calls.find("", key).alone is None, "somebody waits again")
        threading.Timer(2.0, gate.set).start()  # after the grace of the one that was dropped
        assert back.result(20).json() == f"{name} is done"
    assert loom.RAN[name] == 1


@pytest.mark.parametrize("way", ["the short way", "the long way"])
def test_a_dropped_call_ends_with_its_grace(way: str, served: Serve, name: str, key: str) -> None:
    server = served(grace=0.5)
    loom.gate(name)
    more = {"expect": "100-continue"} if way == "the long way" else {}
    drop(server, hold(name, key, **more), lambda: loom.RAN[name])
    wait_until(lambda: server.app.calls.find("", key).alone, "its reader is missed")
    start = time.monotonic()
    assert server.state(key)["state"] == "running"
    wait_until(lambda: loom.LEFT[name], "the model has stopped")
    assert 0.3 < time.monotonic() - start < 5
    assert server.state(key)["state"] == "cancelled"
    problem(server.post("hold", name, key), 499, "Cancelled")


def test_a_dropped_call_without_a_key_ends_at_once(served: Serve, name: str) -> None:
    server = served()
    loom.gate(name)
    drop(server, hold(name), lambda: loom.RAN[name])
    wait_until(lambda: loom.LEFT[name], "the model has stopped")
    assert not loom.ENDED[name]


def test_an_answer_is_kept_for_its_time(served: Serve, name: str, key: str) -> None:
    server = served(keep=0.5)
    start = time.monotonic()
    server.post("cloth", name, key)
    wait_until(lambda: not server.knows(key), "it is forgotten")
    assert time.monotonic() - start >= 0.5
    problem(server.get(key), 404, "CallNotFound")
    calls = server.app.calls
    assert not calls.records and calls.room.bytes == 0
    server.post("cloth", name, key)
    assert loom.RAN[name] == 2  # it is a new call now


def test_the_oldest_answers_go_first(served: Serve, name: str) -> None:
    server = served(max_calls=4)
    keys = [uuid4().hex for _ in range(7)]
    for key in keys:
        assert server.post("together", name, key).status_code == 200
    assert [server.knows(key) for key in keys] == [False] * 3 + [True] * 4
    gate = loom.gate(name)
    for _ in range(4):
        assert server.post("hold", name, prefer="respond-async").status_code == 202
    problem(server.post("together", name, uuid4().hex), 503, "Overloaded")
    assert server.post("together", name).status_code == 200  # which nobody keeps
    gate.set()


def test_the_bytes_of_answers_are_bounded(served: Serve) -> None:
    server = served(max_calls_bytes=30_000)
    keys = [uuid4().hex for _ in range(20)]
    for key in keys:
        assert len(server.post("cloth", key, key).content) == 6400
        assert server.app.calls.room.bytes < 30_000 + 7000
    known = [server.knows(key) for key in keys]
    assert known == sorted(known) and 4 <= sum(known) <= 6


def test_only_the_last_of_fifty_is_computed_to_its_end(served: Serve, name: str) -> None:
    server, latest = served(), f"{uuid4().hex}/search-box"
    names = [f"{name}{number}" for number in range(50)]
    gates = [loom.gate(one) for one in names]
    keys = [uuid4().hex for _ in names]
    with ThreadPoolExecutor(50) as pool:
        asked = []
        for one, key in zip(names, keys, strict=True):
            asked.append(pool.submit(server.post, "hold", one, key, supersede_key=latest))
            wait_until(lambda key=key: server.knows(key), "it is known")
        for gate in gates:
            gate.set()
        *older, last = [one.result(20) for one in asked]
    for answer in older:
        assert problem(answer, 409, "Superseded")["code"] == "aborted"
    assert last.json() == f"{names[-1]} is done"
    assert [loom.ENDED[one] for one in names] == [0] * 49 + [1]
    assert [server.state(key)["state"] for key in keys] == ["cancelled"] * 49 + ["done"]
    assert server.post("hold", names[-1], keys[-1], supersede_key=latest).status_code == 200


def test_supersede_keys_do_not_touch_others(served: Serve, name: str) -> None:
    server, gate = served(), loom.gate(name)
    for _ in range(4):
        server.post("hold", name, prefer="respond-async", supersede_key=uuid4().hex)
    wait_until(lambda: loom.RAN[name] == 4, "all run")
    gate.set()
    wait_until(lambda: loom.ENDED[name] == 4, "all end")
