"""What a client keeps of a stream to the server, when it tries again, and what sockets may say."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from mothlight import DeadlineExceeded, Error, Unavailable, method, service
from mothlight.client import StreamCut, UnexpectedAnswer
from mothlight.client.conversation import Conversation
from mothlight.client.exchange import Exchange
from mothlight.client.options import Options
from mothlight.client.outbox import END, MAX_BYTES, MAX_ITEMS, Outbox
from mothlight.client.patience import Patience

STEPS = st.tuples(st.sampled_from(["add", "send", "confirm", "cut"]), st.integers(0, 50))


@given(st.lists(STEPS, max_size=60))
def test_each_message_comes_once_and_in_order(steps: list[tuple[str, int]]) -> None:
    outbox, received = Outbox(), list[str | bytes]()
    for step, number in steps:
        had = outbox.confirmed + number % (len(received) - outbox.confirmed + 1)
        match step:
            case "add":
                outbox.add(f"{outbox.count}")
            case "send" if (frame := outbox.take()) is not None:
                received.append(frame)
            case "confirm":
                outbox.confirm(had)
            case "cut":  # the last frames have not come
                del received[had:]
                outbox.rewind(had)
    outbox.end()
    while (frame := outbox.take()) is not None:
        received.append(frame)
    assert received == [*(f"{n}" for n in range(outbox.count)), END]


def test_an_outbox_is_bounded() -> None:
    outbox = Outbox()
    for _ in range(MAX_ITEMS):
        assert not outbox.is_full
        outbox.add("x")
        outbox.take()
    assert outbox.is_full
    outbox.confirm(1)
    assert not outbox.is_full
    outbox.add(bytes(MAX_BYTES))
    outbox.take()
    assert outbox.is_full
    outbox.confirm(outbox.count)
    assert not outbox.is_full and outbox.take() is None


def test_a_server_cannot_have_more_than_was_sent() -> None:
    outbox = Outbox()
    outbox.add("a")
    outbox.add("b")
    outbox.take()
    for wrong in (2, -1):
        with pytest.raises(ValueError, match="messages"):
            outbox.confirm(wrong)
    outbox.confirm(1)
    with pytest.raises(ValueError, match="messages"):
        outbox.rewind(0)


# Patience


def test_pauses_grow_and_are_random() -> None:
    random.seed(1)
    firsts = [Patience(Options(), True).pause() for _ in range(200)]
    assert all(p is not None and 0.05 <= p <= 0.1 for p in firsts) and len(set(firsts)) > 150
    patience = Patience(Options(retries=9), True)
    pauses = [patience.pause() for _ in range(10)]
    assert pauses.pop() is None
    for number, pause in enumerate(pauses):
        bound = min(5.0, 0.1 * 2**number)
        assert pause is not None and bound / 2 <= pause <= bound
    patience.progress()
    assert patience.pause() is not None


def test_a_call_that_the_server_keeps_is_tried_for_30_s(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("mothlight.client.patience.time.monotonic", lambda: now)
    patience = Patience(Options(retries=2), True)
    now += 3600  # since it began: no matter
    assert all(patience.pause(is_kept=True) for _ in range(3))
    assert patience.pause() is None  # what the server may not have
    now += 29.9
    assert patience.pause(is_kept=True)
    now += 0.2
    assert patience.pause(is_kept=True) is None
    patience.progress()
    assert patience.pause(is_kept=True)
    now += 120  # a host that does not answer
    assert patience.pause(is_kept=True)  # it has all of its tries
    assert patience.pause(is_kept=True) is None
    assert Patience(Options(retries=0), True).pause(is_kept=True) is None


def test_pauses_end_before_the_deadline() -> None:
    for _ in range(50):
        patience = Patience(Options(timeout=0.05), True)
        pause = patience.pause()
        assert pause is not None and pause < 0.05
        assert patience.pause(1.0) is None
    assert Patience(Options(timeout=0.0), True).pause() is None
    with pytest.raises(DeadlineExceeded):
        Patience(Options(timeout=-1), True).check()
    told = Patience(Options(), True).pause(2.0)
    assert told is not None and 2.0 <= told <= 2.5
    assert Patience(Options(), True).pause(31.0) is None


# Frames of strangers


class Found(BaseModel):
    end: int = 0
    received: int = 0


@service
class Wire:
    @method
    def echo(self, words: Iterator[str]) -> Iterator[Found]:
        yield Found()


def conversation() -> Conversation[Found]:
    exchange = Exchange("http://127.0.0.1:1", Wire.echo, None, Options(retries=0))
    return Conversation(exchange, {})


def test_what_a_socket_says() -> None:
    talk = conversation()
    talk.greet('{"call": "a", "received": 0}')
    talk.outbox.add("x")
    talk.outbox.take()
    assert talk.take('{"end": 1}') == (Found(end=1),)  # an item
    assert talk.take('{"end": 1, "received": 1}') == (Found(end=1, received=1),)
    assert talk.take(' { "received" : 1}') == () and talk.outbox.confirmed == 1
    assert talk.take('{"end":true}') == () and talk.ended
    assert talk.exchange.received == 2 and not talk.exchange.is_left


@pytest.mark.parametrize(
    "frame",
    [
        '{"received": 9}',
        '{"received": -1}',
        "[]",
        "{",
        '"x"',
        b"\xff",
        '{"end": "b"}',
    ],
)
def test_frames_that_are_none(frame: str | bytes) -> None:
    talk = conversation()
    talk.greet('{"call": "a", "received": 0}')
    with pytest.raises(UnexpectedAnswer) as caught:
        talk.take(frame)
    assert caught.value.call_id == talk.exchange.id


@pytest.mark.parametrize(
    "frame", ['{"a": 1}', "{}", "x", b"x", '{"call": "a", "received": "x"}', '{"call": 1, "a": 2}']
)
def test_greetings_that_are_none(frame: str | bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        conversation().greet(frame)


def test_how_a_conversation_fails() -> None:
    died = Unavailable(reason="the worker died").problem()
    for name in ("greet", "take"):
        talk = conversation()
        with pytest.raises(Unavailable, match="died"):
            getattr(talk, name)(str({"error": died}).replace("'", '"'))
    talk = conversation()
    talk.greet('{"call": "a", "received": 0}')
    for _ in range(3):
        talk.outbox.add("x")
        talk.outbox.take()
    talk.take('{"received": 2}')
    with pytest.raises(StreamCut, match="have the call"):  # it is another one
        talk.greet('{"call": "a", "received": 0}')
    talk = conversation()
    talk.greet('{"call": "a", "received": 0}')
    with pytest.raises(StreamCut, match="torn"):
        talk.lost(OSError("torn"))
    with pytest.raises(Error, match="valid string"):
        talk.encode(5)


def test_the_time_of_a_conversation() -> None:
    exchange = Exchange("https://a.b/c", Wire.echo, None, Options(timeout=5.0))
    talk = Conversation(exchange, {"verify": False, "trust_env": False})
    start = time.monotonic()
    given = talk.connecting()
    assert talk.url == "wss://a.b/c/wire/echo"
    assert given["additional_headers"]["Idempotency-Key"] == exchange.id
    assert 4 < float(given["additional_headers"]["Request-Timeout"]) <= 5
    assert given["open_timeout"] <= 5.5 + (time.monotonic() - start)
    assert given["proxy"] is None and not given["ssl"].check_hostname
    assert talk.seconds is not None and talk.seconds <= 5.5
