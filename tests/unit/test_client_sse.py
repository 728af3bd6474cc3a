"""Server-sent events, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mothlight.client.sse import Decoder, Event, TooLong

EVENTS = (
    "\ufeffdata: first\n\n"
    ": a comment\n\n"
    "data: one\r\ndata: two\r\nid: 7\r\n\r\n"
    "event: end\rdata:{}\r\r"
    "data\n\n"
    "data:  two spaces\nid\nunknown: x\nretry: 5\n\n"
    "id: with\0null\nevent: né\ndata: ü\n\n"
    "event: only a type\n\n"
    "data: after\n\n"
    "data: unfinished\n"
).encode()
DECODED = [
    Event("", b"first", ""),
    Event("", b"one\ntwo", "7"),
    Event("end", b"{}", "7"),
    Event("", b"", "7"),
    Event("", b" two spaces", ""),
    Event("né", "ü".encode(), ""),
    Event("", b"after", ""),
]


def decode(*chunks: bytes) -> list[Event]:
    decoder = Decoder(1000)
    return [event for chunk in chunks for event in decoder.feed(chunk)]


def test_events() -> None:
    assert decode(EVENTS) == DECODED
    for cut in range(len(EVENTS) + 1):
        assert decode(EVENTS[:cut], EVENTS[cut:]) == DECODED, cut
    assert decode(*(EVENTS[i : i + 1] for i in range(len(EVENTS)))) == DECODED


@given(st.lists(st.integers(0, len(EVENTS)), max_size=8))
def test_events_however_they_are_cut(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(EVENTS)]
    assert decode(*(EVENTS[a:b] for a, b in pairwise(edges))) == DECODED


@given(st.lists(st.sampled_from([b"\r", b"\n", b"data: x", b"data", b":", b"id: 1", b" "])))
def test_events_are_the_same_whole_and_in_bytes(pieces: list[bytes]) -> None:
    text = b"".join(pieces)
    assert decode(text) == decode(*(text[i : i + 1] for i in range(len(text))))


def test_an_event_is_bounded() -> None:
    decoder = Decoder(100)
    assert len([e for _ in range(50) for e in decoder.feed(b"data: 12345678\n\n")]) == 50
    with pytest.raises(TooLong):
        for _ in range(20):
            list(decoder.feed(b"data: 12345678\n"))
