"""A stream over WebSocket, on its own path and in a multiplex: cut at every item and resumed."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from live import wait_until
from served import Served
from services import loom

Serve = Callable[..., Served]
ITEMS = 40


Read = tuple[list[str], Any]
"""Items, and the frame that they ended with; None where they were cut."""


@contextmanager
def open_socket(served: Served, path: str) -> Iterator[ClientConnection]:
    """A connection, which is reset in the end, without a word of WebSocket."""
    with connect(
        f"ws://127.0.0.1:{served.port}{path}",
        subprotocols=["mothlight.v1"],  # type: ignore[list-item]
        proxy=None,
        close_timeout=0.01,
        open_timeout=20,
    ) as ws:
        yield ws
        with suppress(OSError):  # the server was faster, at the stream's end
            ws.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            ws.socket.shutdown(socket.SHUT_RD)  # which wakes the thread that reads, and closes it


def own(served: Served, key: str, order: dict[str, Any], after: int, most: int) -> Read:
    """Up to so many items after that number, over the stream's own socket."""
    got: list[str] = []
    with open_socket(served, f"/loom/weave?key={key}&after={after}") as ws:
        if not after:
            with suppress(ConnectionClosed):  # the call was known, and all of it has come already
                ws.send(json.dumps(order))
        assert json.loads(ws.recv(20)) == {"call": key, "received": 0}
        while len(got) < most:
            frame = ws.recv(20)
            assert isinstance(frame, str)
            if frame.startswith("{"):
                return got, json.loads(frame)
            got.append(frame)
    return got, None


def lane(served: Served, key: str, order: dict[str, Any], after: int, most: int) -> Read:
    """The same as one call of a multiplex."""
    number, got = 7 + after, list[str]()
    ask: dict[str, Any] = {"open": number, "key": key}
    with open_socket(served, "/calls") as ws:
        ask |= {"after": after} if after else {"path": "/loom/weave", "message": order}
        ws.send(json.dumps(ask))
        assert json.loads(ws.recv(20)) == {"opened": number, "id": key}
        while len(got) < most:
            frame = json.loads(ws.recv(20))
            if frame == {"ended": number}:
                return got, {"end": True}
            if "failed" in frame:
                assert frame["failed"] == number
                return got, {"error": frame["error"]}
            assert (frame["item"], frame["n"]) == (number, after + len(got) + 1)
            got.append(json.dumps(frame["value"], ensure_ascii=False))
    return got, None


WAYS = pytest.mark.parametrize("read", [own, lane], ids=["its own socket", "a multiplex"])


@WAYS
@pytest.mark.parametrize("fails", [False, True], ids=["to its end", "to its error"])
def test_a_stream_cut_at_every_item(read: Any, fails: bool, served: Serve, name: str) -> None:
    server = served()
    order = {"name": name, "count": ITEMS, "fail_at": 31 if fails else -1}
    whole, end = read(server, uuid4().hex, order, 0, 10_000)
    count = 30 if fails else ITEMS
    assert len(whole) == count == loom.MADE[name]
    if fails:
        assert end["error"]["type"] == "Torn" and end["error"]["name"] == name
    else:
        assert end == {"end": True}

    key, got = uuid4().hex, list[str]()
    for number in range(count):
        items, broken = read(server, key, order, number, 1)
        assert broken is None
        got += items
    assert read(server, key, order, count, 10_000) == ([], end) and got == whole

    for number in range(count + 1):
        key = uuid4().hex
        first, _ = read(server, key, order, 0, number)
        rest, how = read(server, key, order, number, 10_000)
        assert (first + rest, how) == (whole, end), number
    assert loom.RAN[name] == count + 3 and loom.MADE[name] == count * (count + 3)


@WAYS
def test_a_stream_moves_between_the_protocols(read: Any, served: Serve, name: str) -> None:
    server, gate = served(), loom.gate(name)
    order = {"name": name, "count": 20, "hold_at": 10}
    key = uuid4().hex
    first, _ = read(server, key, order, 0, 5)
    gate.set()
    lines = server.get(key, accept="application/x-ndjson", last_event_id="5").text.splitlines()
    assert first + lines[:-1] == [
        json.dumps(f"{n}:ünï\n", ensure_ascii=False) for n in range(1, 21)
    ]
    rest, end = read(server, key, order, 5, 10_000)
    assert (rest, end) == (lines[:-1], {"end": True})
    assert loom.RAN[name] == 1


@WAYS
def test_a_socket_that_is_left_ends_its_call_with_its_grace(
    read: Any, served: Serve, name: str, key: str
) -> None:
    server = served(grace=0.5)
    loom.gate(name)
    got, _ = read(server, key, {"name": name, "hold_at": 4}, 0, 3)
    assert len(got) == 3
    wait_until(lambda: server.app.calls.find("", key).alone, "its reader is missed")
    assert server.state(key)["state"] == "running"
    wait_until(lambda: loom.LEFT[name], "the model has stopped")
    assert server.state(key)["state"] == "cancelled"
