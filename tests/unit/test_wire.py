"""Frames between the front process and a worker."""

from __future__ import annotations

import itertools
import socket
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mothlight.backend import wire
from mothlight.schema import Payload

FRAMES = [
    wire.Ready(1.5, {"alone": 0.1}, "f00d"),
    wire.Pulse(1 << 30),
    wire.Failed("Traceback …"),
    wire.Results(7, [Payload(b'"x"', ((b"\xff\x00", "image/png", None),)), {"type": "Odd"}], 0.25),
    wire.Results(8, b'[1,{"a":"]"}]', 0.25),
    wire.Items(3, [Payload(b"1")]),
    wire.Want(3, 32),
    wire.End(3, None),
    wire.End(4, {"type": "Odd", "n": 1}),
]
ORDERS = [
    wire.Setup(
        "module:Class", wire.Placement(), wire.Log(), ["/a"], None, {b"\xff": b""}, b"/\xff"
    ),
    wire.Batch(
        1,
        "analyze",
        [Payload(b"{}"), Payload(b"1", ((b"x" * 70_000, "a/b", "n"),))],
        ["a", "b"],
        [None, 1.5],
    ),
    wire.Batch(2, "analyze", [Payload(b"1")], ["a"], [None], ["ada"]),
    wire.Batch(3, "analyze", b"[1,2]", ["a", "b"], [None, 1.5]),
    wire.Drop(7, 3),
    wire.Open(2, "write", Payload(b"null"), "call", None),
    wire.Open(3, "write", Payload(b"null"), "call", 1.5, "ada"),
    wire.Messages(3, [Payload(b"1"), Payload(b"2", ((b"x", None, None),))]),
    wire.Close(3, None),
    wire.Close(3, {"type": "Odd", "n": 1}),
    wire.Grant(2, 64),
    wire.Cancel(2),
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda f: type(f).__name__)
def test_frames_to_the_front_come_back(frame: wire.ToFront) -> None:
    (body,) = wire.Splitter().feed(wire.pack(frame))
    back = wire.decode_to_front(body)
    assert type(back) is type(frame)
    assert wire.pack(back) == wire.pack(frame)


@pytest.mark.parametrize("frame", ORDERS, ids=lambda f: type(f).__name__)
def test_frames_to_the_worker_come_back(frame: wire.ToWorker) -> None:
    (body,) = wire.Splitter().feed(wire.pack(frame))
    assert wire.decode_to_worker(body) == frame


def test_results_are_payloads_or_problems() -> None:
    (body,) = wire.Splitter().feed(wire.pack(FRAMES[3]))
    frame = wire.decode_to_front(body)
    assert isinstance(frame, wire.Results)
    assert wire.each(frame.results) == [
        Payload(b'"x"', ((b"\xff\x00", "image/png", None),)),
        {"type": "Odd"},
    ]
    assert wire.each(b'[1,{"a":"]"}]') == [Payload(b"1"), Payload(b'{"a":"]"}')]


STREAM = b"".join(wire.pack(frame) for frame in FRAMES)
BODIES = [wire.pack(frame)[4:] for frame in FRAMES]


def test_fed_byte_by_byte() -> None:
    splitter = wire.Splitter()
    found = [body for byte in STREAM for body in splitter.feed(bytes([byte]))]
    assert found == BODIES


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(max_size=300), max_size=12),
    st.lists(st.integers(0, 4000), max_size=20),
)
def test_fed_in_random_cuts(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(len(b).to_bytes(4, "little") + b for b in bodies)
    edges = sorted({0, len(stream), *(min(cut, len(stream)) for cut in cuts)})
    splitter = wire.Splitter()
    found = [
        body
        for start, end in itertools.pairwise(edges)
        for body in splitter.feed(stream[start:end])
    ]
    assert found == bodies
    assert splitter.feed(b"") == []


class Held:
    """A socket on whose first data the system sits."""

    def __init__(self) -> None:
        self.begun, self.may_go_on = threading.Event(), threading.Event()
        self.sent: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        self.begun.set()
        assert self.may_go_on.wait(10)
        self.sent.append(data)


def test_what_is_delivered_has_left_when_its_thread_goes_on() -> None:
    """That may go on to a model which lets no other thread run, one that is sending included."""
    ours, theirs = socket.socketpair()
    channel = wire.Channel(theirs, theirs)
    held = Held()
    channel._writing = held  # type: ignore[assignment]
    left: list[int] = []

    def answer() -> None:
        channel.deliver(wire.Results(1, b"[]", 0.0))
        left.append(len(held.sent))

    with ours, theirs:
        other = threading.Thread(target=channel.send, args=(wire.Pulse(1),))
        other.start()
        assert held.begun.wait(10)
        model = threading.Thread(target=answer)
        model.start()
        while not channel._waiting:
            time.sleep(0.001)
        time.sleep(0.05)  # in which it would go on
        held.may_go_on.set()
        model.join(10)
        other.join(10)
        channel._reader.close()
    assert left == [2]


def test_a_worker_reads_and_writes_frames_on_its_channel() -> None:
    ours, theirs = socket.socketpair()
    channel = wire.Channel(theirs, theirs)
    with ours, theirs:
        ours.sendall(b"".join(wire.pack(frame) for frame in ORDERS))
        assert [channel.receive() for _ in ORDERS] == ORDERS
        sender = threading.Thread(target=lambda: [channel.send(frame) for frame in FRAMES])
        sender.start()
        splitter, found = wire.Splitter(), []
        while len(found) < len(FRAMES):
            found += splitter.feed(ours.recv(7))
        sender.join(5)
        assert found == BODIES
        ours.shutdown(socket.SHUT_WR)
        assert channel.receive() is None
        channel._reader.close()
