"""Streams that step together: who joins when, who is skipped, how each ends."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from mothlight import Code, Error, File, Step, current_calls, service, stepped
from mothlight.backend import wire
from mothlight.backend.execution import Instance
from mothlight.backend.streams import Streams
from mothlight.backend.threads import Tasks, start_thread
from mothlight.schema import Payload
from mothlight.services import Service

SIZE = 3


class Odd(Error):
    "an odd one"

    code = Code.ABORTED


class Song(BaseModel):
    """``notes``: one letter a step: a space is no item, "2" two, "?" an Error for this stream, "x"
    an item that cannot be encoded, "!" an exception, "E" an Error that is raised, "#" one step too
    few."""

    notes: str


class Voice:
    def __init__(self, choir: Choir, song: Song) -> None:
        self.choir, self.notes, self.at = choir, song.notes, 0
        self.closed = 0

    def close(self) -> None:
        assert not self.choir.is_singing, "nothing of the model runs beside its close()"
        self.closed += 1
        if "c" in self.notes:
            raise ValueError("a secret")


@service
class Choir:
    """``gate``, where it is shut, holds every step."""

    def __init__(self) -> None:
        self.log: list[tuple[str, list[str]]] = []
        self.voices: list[Voice] = []
        self.gate = threading.Event()
        self.gate.set()
        self.is_singing = False

    def start(self, song: Song) -> Voice:
        assert not self.is_singing
        self.log.append(("start", [call.id for call in current_calls()]))
        if song.notes == "no":
            raise Odd
        if song.notes == "crash":
            raise ValueError("a secret")
        self.voices.append(Voice(self, song))
        return self.voices[-1]

    @stepped(start, max_size=SIZE, raises=[Odd])
    def sing(self, voices: list[Voice]) -> list[Step[str] | Odd]:
        self.is_singing = True
        self.log.append(("step", [call.id for call in current_calls()]))
        assert len(voices) == len(current_calls()) <= SIZE
        assert self.gate.wait(10)
        self.is_singing = False
        notes = "".join(voice.notes[voice.at : voice.at + 1] for voice in voices)
        if "!" in notes:
            raise ValueError("a secret")
        if "E" in notes:
            raise Odd
        return [self.note(voice) for voice in voices][("#" in notes) :]

    def note(self, voice: Voice) -> Step[str] | Odd:
        assert not voice.closed
        note = voice.notes[voice.at]
        voice.at += 1
        done = voice.at == len(voice.notes)
        match note:
            case " ":
                return Step(done=done)
            case "2":
                return Step("2a", "2b", done=done)
            case "?":
                return Odd()
            case "x":
                return Step("before", 1.5, "after")  # type: ignore[arg-type]
            case "n":
                return None  # type: ignore[return-value]
        return Step(note, done=done)

    def open_file(self, file: File) -> Voice:
        return Voice(self, Song(notes=file.data.decode()))

    @stepped(open_file, max_size=SIZE)
    def play(self, voices: list[Voice]) -> list[Step[str] | Odd]:
        return [self.note(voice) for voice in voices]


class Stage:
    """A stepper behind a real channel."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(10)
        self.channel = wire.Channel(theirs, theirs)
        self.instance = Instance(Service.of(Choir))
        self.choir: Choir = self.instance.object  # type: ignore[assignment]
        loop: Any = None  # nothing here is asynchronous
        tasks = Tasks(loop)
        tasks.cancel = lambda id: None  # type: ignore[method-assign]
        self.streams = Streams(self.instance, self.channel, tasks, start_thread)
        self.splitter = wire.Splitter()
        self.items: dict[int, list[str]] = {}
        self.ends: dict[int, str] = {}
        self.reads = 0

    def open(self, id: int, payload: Payload | str, *, method: str = "sing", **by: Any) -> None:
        if isinstance(payload, str):
            payload = Payload(Song(notes=payload).model_dump_json().encode())
        frame = wire.Open(id, method, payload, str(id), by.get("deadline"))
        self.items[id] = []
        self.streams.list(frame)
        self.streams.open(frame)

    def read(self) -> None:
        for body in self.splitter.feed(self.socket.recv(1 << 16)):
            match wire.decode_to_front(body):
                case wire.Items(id, payloads):
                    self.items[id] += (item.json.decode().strip('"') for item in payloads)
                case wire.End(id, problem):
                    assert id not in self.ends
                    self.ends[id] = problem["type"] if problem else ""
        self.reads += 1

    def until(self, found: Callable[[], Any]) -> None:
        while not found():
            self.read()

    def end(self, *ids: int) -> list[tuple[str, str]]:
        """The items of streams, in one text, and how they ended."""
        self.until(lambda: all(id in self.ends for id in ids))
        return [("".join(self.items[id]), self.ends[id]) for id in ids]

    def close(self) -> None:
        self.choir.gate.set()
        self.socket.close()
        self.channel._reader.close()
        self.channel._writing.close()

    @property
    def steps(self) -> list[list[str]]:
        return [ids for kind, ids in self.choir.log if kind == "step"]


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()
    assert not made.streams._streams, "no stream is left"
    assert all(voice.closed == 1 for voice in made.choir.voices), "each state is closed once"


def until(found: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not found():
        assert time.monotonic() < end
        time.sleep(0)


def held(stage: Stage, *notes: str) -> None:
    """Streams 1, 2, ... of which the first is held in its first step, and the others wait."""
    stage.choir.gate.clear()
    stage.open(1, notes[0])
    until(lambda: stage.choir.is_singing)
    for number, text in enumerate(notes[1:], 2):
        stage.open(number, text)


def test_one_stream(stage: Stage) -> None:
    stage.open(1, "a b2")
    assert stage.end(1) == [("ab2a2b", "")]
    assert stage.choir.log == [("start", ["1"]), *[("step", ["1"])] * 4]


def test_newcomers_join_one_a_step_and_leave_places_behind(stage: Stage) -> None:
    held(stage, "aaa", "bbbb", "c", "ddd", "e")
    stage.choir.gate.set()
    assert stage.end(1, 2, 3, 4, 5) == [
        ("aaa", ""), ("bbbb", ""), ("c", ""), ("ddd", ""), ("e", ""),
    ]  # fmt: skip
    assert stage.choir.log == [
        ("start", ["1"]), ("step", ["1"]),
        ("start", ["2"]), ("step", ["1", "2"]),
        ("start", ["3"]), ("step", ["1", "2", "3"]),
        ("start", ["4"]), ("step", ["2", "4"]),
        ("start", ["5"]), ("step", ["2", "4", "5"]),
        ("step", ["4"]),
    ]  # fmt: skip


def test_all_items_of_a_step_are_sent_in_one_system_call(stage: Stage) -> None:
    held(stage, "a" * 12, "b" * 12, "c" * 12)
    stage.choir.gate.set()
    stage.end(1, 2, 3)
    sent = []
    channel = stage.channel
    send, channel._writing = channel._writing, Recorder(channel._writing, sent)  # type: ignore[assignment]
    held(stage, *["d" * 12] * 3)
    stage.ends.clear()
    stage.choir.gate.set()
    stage.end(1, 2, 3)
    channel._writing = send
    # A thread that sends what was posted may come in between, but seldom: it waits 1 ms.
    assert len(sent) <= len(stage.steps) // 2 + 6


class Recorder:
    def __init__(self, to: socket.socket, sent: list[bytes]) -> None:
        self.to, self.sent = to, sent

    def sendall(self, data: bytes) -> None:
        self.sent.append(data)
        self.to.sendall(data)


def test_a_slow_reader_is_skipped_and_its_place_taken(stage: Stage) -> None:
    stage.open(1, "a" * 200)
    stage.until(lambda: len(stage.items[1]) == wire.WINDOW)
    done = len(stage.choir.log)
    for number in range(2, 2 + SIZE):
        stage.open(number, "b" * 10)
    assert stage.end(*range(2, 2 + SIZE)) == [("b" * 10, "")] * SIZE
    assert all("1" not in ids for ids in stage.steps[done:])
    assert max(map(len, stage.steps[done:])) == SIZE, "it takes no place in the steps"
    assert len(stage.items[1]) == wire.WINDOW, "nothing of it is lost, nothing sent unasked"
    stage.streams.grant(1, 200)
    assert stage.end(1) == [("a" * 200, "")]


def test_who_waits_behind_a_full_step_gets_a_turn(stage: Stage) -> None:
    """More readers than places come back at once: all go on."""
    ids = range(1, 1 + 2 * SIZE)
    for number in ids:
        stage.open(number, "a" * (wire.WINDOW + 20))
        stage.until(lambda number=number: len(stage.items[number]) == wire.WINDOW)
    stage.choir.gate.clear()
    done = len(stage.steps)
    for number in ids:
        stage.streams.grant(number, 100)
    stage.choir.gate.set()
    assert stage.end(*ids) == [("a" * (wire.WINDOW + 20), "")] * len(ids)
    turns = [int(id) for ids in stage.steps[done:] for id in ids]
    for number in ids:
        first = turns.index(number)
        assert first < 3 * len(ids), f"stream {number} waited for {first} others' steps"


def test_leaving_ends_a_stream_between_two_steps(stage: Stage) -> None:
    held(stage, "aaaa", "bbbb")
    stage.streams.cancel(1)
    stage.choir.gate.set()
    assert stage.end(1, 2) == [("a", ""), ("bbbb", "")]
    assert stage.choir.voices[0].closed == 1


def test_leaving_before_the_start_needs_no_state(stage: Stage) -> None:
    held(stage, "a", "b")
    stage.streams.cancel(2)
    stage.choir.gate.set()
    assert stage.end(1, 2) == [("a", ""), ("", "")]
    assert len(stage.choir.voices) == 1


def test_leaving_while_the_reader_is_slow(stage: Stage) -> None:
    stage.open(1, "a" * 200)
    stage.until(lambda: len(stage.items[1]) == wire.WINDOW)
    stage.streams.cancel(1)
    assert stage.end(1) == [("a" * wire.WINDOW, "")]


def test_a_deadline_ends_a_stream_wherever_it_is(stage: Stage) -> None:
    stage.open(1, "a" * 200, deadline=time.monotonic() + 0.1)  # its reader grants nothing
    assert stage.end(1) == [("a" * wire.WINDOW, "DeadlineExceeded")]
    held(stage, "aa", "b")
    stage.ends.clear()
    stage.open(3, "c", deadline=time.monotonic() - 1)
    stage.choir.gate.set()
    assert stage.end(3) == [("", "DeadlineExceeded")]
    stage.end(1, 2)


@pytest.mark.parametrize(
    ("notes", "found", "logged"),
    [
        ("a?b", ("a", "Odd"), ""),
        ("2xb", ("2a2bbefore", "Internal"), "Choir.sing failed (call 2)"),
        ("no", ("", "Odd"), ""),
        ("crash", ("", "Internal"), "Choir.sing failed (call 2)"),
        ("abc", ("abc", ""), "Choir.sing failed (call 2)"),  # its close() fails
    ],
)
def test_a_stream_fails_alone(
    stage: Stage,
    notes: str,
    found: tuple[str, str],
    logged: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    held(stage, "dddddd", notes)
    stage.choir.gate.set()
    assert stage.end(1, 2) == [("dddddd", ""), found]
    assert (logged in caplog.text) if logged else not caplog.records


def test_a_message_that_cannot_be_read_never_starts(stage: Stage) -> None:
    stage.open(1, Payload(b"{}"))
    assert stage.end(1) == [("", "InvalidRequest")]
    assert stage.choir.log == []


@pytest.mark.parametrize(
    ("note", "problem"), [("!", "Internal"), ("E", "Odd"), ("#", "Internal"), ("n", "Internal")]
)
def test_a_step_that_fails_ends_its_members_and_nobody_else(
    stage: Stage, note: str, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    held(stage, f"aaaa{note}", "bbbbbb", "cccccc", "dd")
    stage.choir.gate.set()
    assert stage.end(1, 2, 3) == [("aaaa", problem), ("bbb", problem), ("cc", problem)]
    assert stage.end(4) == [("dd", "")], "who was not in that step"
    if problem == "Internal":
        assert "Choir.sing failed (call 1, 2, 3)" in caplog.text
    stage.open(5, "e")
    assert stage.end(5) == [("e", "")]


def test_files_are_opened_beside_the_steps(stage: Stage) -> None:
    media = ((b"ab", "text/plain", None),)
    stage.open(1, Payload(b'{"$media":0}', media), method="play")
    stage.open(2, Payload(b"5"), method="play")
    assert stage.end(1, 2) == [("ab", ""), ("", "InvalidRequest")]


def test_it_sleeps_while_nobody_can_step(stage: Stage) -> None:
    stage.open(1, "a" * 200)
    stage.until(lambda: len(stage.items[1]) == wire.WINDOW)
    used = time.process_time()
    time.sleep(0.2)
    assert time.process_time() - used < 0.05
    stage.streams.cancel(1)
    stage.end(1)


NOTES = st.text("aaaaaab2 ?x", min_size=1, max_size=12)


@given(
    st.lists(st.tuples(NOTES, st.integers(-1, 6), st.booleans()), min_size=1, max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_every_stream_gets_its_own_items_and_ends_once(
    wishes: list[tuple[str, int, bool]],
) -> None:
    """Streams that come one after the other, are left after some items, or have slow readers."""
    stage = Stage()
    logging.disable()
    try:
        for id, (notes, leave, is_slow) in enumerate(wishes):
            stage.open(id, notes)
            if is_slow:
                stage.streams.grant(id, 2 - wire.WINDOW)
            if leave == 0:
                stage.streams.cancel(id)
        while len(stage.ends) < len(wishes):
            stage.read()
            for id, (_, leave, is_slow) in enumerate(wishes):
                if id in stage.ends:
                    continue
                if 0 < leave <= len(stage.items[id]):
                    stage.streams.cancel(id)
                elif is_slow and stage.items[id]:
                    stage.streams.grant(id, 40)
    finally:
        logging.disable(logging.NOTSET)
        stage.close()
    for id, (notes, leave, _) in enumerate(wishes):
        expected, problem = sung(notes)
        found = stage.items[id]
        if leave < 0:
            assert (found, stage.ends[id]) == (expected, problem)
        else:
            assert found == expected[: len(found)]
            assert stage.ends[id] in ("", problem)
    assert all(voice.closed == 1 for voice in stage.choir.voices)
    assert all(len(ids) <= SIZE for ids in stage.steps)


def sung(notes: str) -> tuple[list[str], str]:
    items: list[str] = []
    for note in notes:
        if note == "?":
            return items, "Odd"
        if note == "x":
            return [*items, "before"], "Internal"
        items += {" ": [], "2": ["2a", "2b"]}.get(note, [note])
    return items, ""
