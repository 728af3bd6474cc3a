"""Many calls over one socket, with a real client and a real server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from sockets import Post, code, cut, opened, read
from websockets.sync.client import ClientConnection

from live import wait_until
from mothlight.testing import TestClient
from services import booth, loom


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(loom.Loom, booth.Booth, Post, grace=10, max_json=50_000) as c:
        yield c


@pytest.fixture
def url(client: TestClient) -> str:
    return client.url


def say(ready: ClientConnection, **frame: Any) -> None:
    ready.send(json.dumps(frame))


def until(ready: ClientConnection, *ends: int) -> dict[int, list[dict[str, Any]]]:
    """The frames of each call, up to the ends of these."""
    found: dict[int, list[dict[str, Any]]] = {}
    waits = set(ends)
    while waits:
        frame = read(ready)
        kind = next(kind for kind in ("opened", "item", "ended", "failed") if kind in frame)
        found.setdefault(frame[kind], []).append(frame)
        if kind in ("ended", "failed"):
            waits.discard(frame[kind])
    return found


def values(frames: list[dict[str, Any]]) -> list[Any]:
    assert "opened" in frames[0] and "ended" in frames[-1], frames
    return [frame["value"] for frame in frames[1:-1]]


def problem(frames: list[dict[str, Any]]) -> str:
    return str(frames[-1]["error"]["type"])


def test_streams_and_unary_calls_side_by_side(url: str) -> None:
    with opened(url, "/calls") as ready:
        say(ready, open=1, path="/loom/weave", message={"count": 3})
        say(ready, open=2, path="/loom/together", message="abc")
        say(ready, open=3, path="/loom/nothing", message="x")
        say(ready, open=4, path="/post/ticks")
        say(ready, open=5, path="/loom/cloth", message="x")
        found = until(ready, 1, 2, 3, 4, 5)
    assert values(found[1]) == ["1:ünï\n", "2:ünï\n", "3:ünï\n"]
    assert [frame["n"] for frame in found[1][1:-1]] == [1, 2, 3]
    assert (values(found[2]), values(found[3]), values(found[4])) == (["ABC"], [None], [0, 1, 2])
    assert len(values(found[5])[0]) == 8536  # 6400 bytes in base64
    ids = [frames[0]["id"] for frames in found.values()]
    assert len(set(ids)) == 5 and all(len(id) == 32 for id in ids)


def test_the_message_of_a_query_is_the_object_of_its_parameters(url: str) -> None:
    with opened(url, "/calls") as ready:
        say(ready, open=1, path="/post/numbers", message={"count": 2})
        say(ready, open=2, path="/post/numbers")
        say(ready, open=3, path="/post/tag", message={"name": "a", "size": 2})
        say(ready, open=4, path="/loom/find", message={"name": "b"})
        found = until(ready, 1, 2, 3, 4)
    assert [values(found[n]) for n in (1, 2, 3)] == [[0, 1], [0, 1, 2], ["a 2"]]
    assert values(found[4]) == [{"name": "b"}]


@pytest.mark.parametrize("after", range(6))
def test_a_call_is_resumed_on_another_socket(url: str, key: str, name: str, after: int) -> None:
    message = {"name": name, "count": 5}
    with opened(url, "/calls") as ready:
        say(ready, open=1, path="/loom/weave", message=message, key=key)
        frames = [read(ready) for _ in range(after + 1)]
        cut(ready)
    assert frames[0] == {"opened": 1, "id": key}
    with opened(url, "/calls") as ready:
        say(ready, open=7, key=key, after=after)
        say(ready, open=8, path="/loom/weave", message=message, key=key, after=after)
        found = until(ready, 7, 8)
    wanted = [f"{number}:ünï\n" for number in range(1, 6)]
    assert [frame["value"] for frame in frames[1:]] == wanted[:after]
    assert values(found[7]) == values(found[8]) == wanted[after:]
    assert [frame["n"] for frame in found[7][1:-1]] == list(range(after + 1, 6))
    assert loom.RAN[name] == 1


def test_a_unary_call_is_resumed(url: str, key: str, name: str) -> None:
    held = loom.gate(name)
    with opened(url, "/calls") as ready:
        say(ready, open=1, path="/loom/hold", message=name, key=key)
        assert read(ready) == {"opened": 1, "id": key}
        wait_until(lambda: loom.RAN[name], "it runs")
        cut(ready)
    with opened(url, "/calls") as ready:
        say(ready, open=1, key=key)
        assert read(ready) == {"opened": 1, "id": key}
        held.set()
        assert read(ready) == {"item": 1, "n": 1, "value": f"{name} is done"}
        assert read(ready) == {"ended": 1}
    assert loom.RAN[name] == 1


def test_cancel_and_leave(url: str, name: str) -> None:
    loom.gate(name)
    key, other = uuid4().hex, uuid4().hex
    with opened(url, "/calls") as ready:
        for number, own in enumerate(("", key, other)):
            keyed = {"key": own} if own else {}
            say(
                ready,
                open=number,
                path="/loom/weave",
                message={"name": name, "count": 5, "hold_at": 1},
                **keyed,
            )
            assert "opened" in read(ready)
        wait_until(lambda: loom.RAN[name] == 3, "they run")
        say(ready, cancel=0)
        assert problem([read(ready)]) == "Cancelled"
        say(ready, cancel=1)
        assert problem([read(ready)]) == "Cancelled"
        wait_until(lambda: loom.LEFT[name] == 2, "both are stopped")
        say(ready, leave=2)
        say(ready, cancel=99)
        say(ready, grant=99, items=5)
        say(ready, open=2, key=other)  # it lives on, and may be come back to
        assert read(ready) == {"opened": 2, "id": other}
        loom.GATES[name].set()
        assert len(until(ready, 2)[2]) == 6


def test_a_unary_call_is_cancelled_and_left(url: str, name: str) -> None:
    loom.gate(name)
    with opened(url, "/calls") as ready:
        say(ready, open=1, path="/loom/hold", message=name)
        say(ready, open=2, path="/loom/hold", message=name)
        assert "opened" in read(ready) and "opened" in read(ready)
        wait_until(lambda: loom.RAN[name] == 2, "they run")
        say(ready, cancel=1)
        assert problem([read(ready)]) == "Cancelled"
        say(ready, leave=2)
        wait_until(lambda: loom.LEFT[name] == 2, "both are stopped")
    assert loom.ENDED[name] == 0


def test_a_call_ends_with_its_socket(url: str, name: str) -> None:
    loom.gate(name)
    with opened(url, "/calls") as ready:
        for number in range(5):
            message = {"name": name, "count": 5, "hold_at": 1}
            say(ready, open=number, path="/loom/weave", message=message)
        wait_until(lambda: loom.RAN[name] == 5, "they run")
        cut(ready)
    wait_until(lambda: loom.LEFT[name] == 5, "they are stopped")


def test_a_hundred_calls_of_which_one_is_not_read(url: str) -> None:
    names = [uuid4().hex for _ in range(100)]
    with opened(url, "/calls") as ready:
        for number, name in enumerate(names):
            say(ready, open=number, path="/loom/weave", message={"name": name, "count": 600})
            if number:
                say(ready, grant=number, items=1000)
        found = until(ready, *range(1, 100))
        assert all(len(values(found[number])) == 600 for number in range(1, 100))
        say(ready, open=200, path="/loom/together", message="a")
        found[0] += until(ready, 200).get(0, [])
        assert len(found[0]) == 1 + 256, "what it may have without a grant"
        say(ready, grant=0, items=100)
        found[0] += [read(ready) for _ in range(100)]
        assert [frame["n"] for frame in found[0][1:]] == list(range(1, 357))
        say(ready, cancel=0)
        assert problem(until(ready, 0)[0]) == "Cancelled"


def test_one_that_is_not_granted_more_waits(url: str, name: str) -> None:
    with opened(url, "/calls") as ready:
        message = {"name": name, "count": 100_000, "width": 1000}
        say(ready, open=1, path="/loom/weave", message=message)
        for _ in range(257):
            read(ready)
        last = -1
        done = threading.Event()
        while last != loom.MADE[name]:
            last = loom.MADE[name]
            done.wait(0.3)
        assert last < 10_000, "100 MB were to be made, and 4 are kept for it"


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ({"path": "/nowhere"}, "RouteNotFound"),
        ({"path": "/booth/echo"}, "UpgradeRequired"),
        ({"path": "/loom/weave", "message": {"count": "many"}}, "InvalidRequest"),
        ({"path": "/loom/weave"}, "MalformedRequest"),
        ({"path": "/loom/weave", "message": {"fail_at": 1}}, "Torn"),
        ({"path": "/loom/weave", "message": {}, "key": "weak"}, "MalformedRequest"),
        ({"path": "/loom/weave", "message": {}, "key": "é" * 40}, "MalformedRequest"),
        ({"path": "/loom/weave", "message": {}, "supersede": "weak"}, "MalformedRequest"),
        ({"path": "/loom/weave", "message": {}, "after": 3}, "ItemsGone"),
        ({"path": "/loom/weave", "message": {}, "timeout": 1e300}, "MalformedRequest"),
        ({"path": "/loom/hold", "message": 3}, "InvalidRequest"),
        ({"path": "/loom/tear", "message": "x"}, "Torn"),
        ({"path": "/post/boom", "message": 1}, "Internal"),
        ({"key": "0123456789abcdef0123456789abcdef"}, "CallNotFound"),
        ({}, "MalformedRequest"),
    ],
)
def test_a_call_fails_and_the_socket_goes_on(url: str, frame: Any, error: str) -> None:
    with opened(url, "/calls") as ready:
        say(ready, open=1, **frame)
        assert problem(until(ready, 1)[1]) == error
        say(ready, open=1, path="/loom/together", message="a")
        assert values(until(ready, 1)[1]) == ["A"]


@pytest.mark.parametrize(
    ("frame", "closed"),
    [
        ("{", 1007),
        ("", 1007),
        ('{"open":1,"message":' + "[" * 20_000, 1007),
        ("[]", 1008),
        ("{}", 1008),
        ('{"open":1,"cancel":1}', 1008),
        ('{"open":"1"}', 1008),
        ('{"open":-1}', 1008),
        ('{"open":1,"pth":"/loom/weave"}', 1008),
        ('{"open":1,"path":"/loom/weave","timeout":-1}', 1008),
        (b'{"open":1}', 1008),
        ('{"open":1,"message":"' + "x" * 50_000 + '"}', 1009),
    ],
)
def test_a_frame_that_makes_no_sense(url: str, frame: Any, closed: int) -> None:
    with opened(url, "/calls") as ready:
        ready.send(frame)
        assert code(ready) == closed


def test_a_number_is_not_taken_twice(url: str, name: str) -> None:
    loom.gate(name)
    with opened(url, "/calls") as ready:
        say(ready, open=1, path="/loom/hold", message=name)
        say(ready, open=1, path="/loom/hold", message=name)
        assert code(ready) == 1008


def test_there_are_as_many_calls_as_may_be(url: str, name: str) -> None:
    held = loom.gate(name)
    with opened(url, "/calls") as ready:
        for number in range(129):
            say(ready, open=number, path="/loom/hold", message=name)
        found = until(ready, 128)
        assert problem(found[128]) == "QuotaExceeded"
        held.set()
        rest = until(ready, *range(128))
        assert all("ended" in frames[-1] for frames in rest.values())


def test_supersede(url: str, name: str) -> None:
    loom.gate(name)
    supersede = f"{uuid4().hex}/search"
    with opened(url, "/calls") as ready:
        for number in range(20):
            say(ready, open=number, path="/loom/hold", message=name, supersede=supersede)
        found = until(ready, *range(19))
        assert {problem(found[number]) for number in range(19)} == {"Superseded"}
        loom.GATES[name].set()
        assert until(ready, 19)[19][-1] == {"ended": 19}
    assert loom.ENDED[name] == 1
