"""A real worker process, spoken to in frames."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import Engine, Task
from mothlight.backend import wire
from mothlight.schema import Payload

FOREVER = 10.0
"""Seconds after which a test has failed."""


class Front:
    """The front process's end of a worker."""

    def __init__(
        self,
        placement: wire.Placement | None = None,
        *,
        address: str = "engine:Engine",
        **options: Any,
    ) -> None:
        self.sending, asked = socket.socketpair()
        self.receiving, told = socket.socketpair()
        self.receiving.settimeout(60)  # torch takes long to start where others work
        with asked, told:
            numbers = [asked.fileno(), told.fileno()]
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mothlight.backend.worker", *map(str, numbers)],
                pass_fds=numbers,
                **options,
            )
        self.splitter = wire.Splitter()
        self.frames: list[wire.ToFront] = []
        self.pulses: list[int] = []
        self.send(
            wire.Setup(address, placement or wire.Placement(device="cpu"), wire.Log(), sys.path)
        )
        ready = self.receive()
        assert isinstance(ready, wire.Ready), ready
        self.ready = ready
        self.ids = 0

    def send(self, *frames: wire.ToWorker) -> None:
        """All in one system call, so that they come together."""
        self.sending.sendall(b"".join(map(wire.pack, frames)))

    def receive(self, *, pulse: bool = False) -> wire.ToFront | None:
        """The next frame; None when the worker is gone."""
        while True:
            while not self.frames:
                data = self.receiving.recv(1 << 16)
                if not data:
                    return None
                self.frames += map(wire.decode_to_front, self.splitter.feed(data))
            frame = self.frames.pop(0)
            if isinstance(frame, wire.Pulse):
                self.pulses.append(frame.memory)
                if pulse:
                    return frame
            else:
                return frame

    def batch(
        self, method: str, *messages: Any, deadlines: list[float | None] | None = None
    ) -> wire.Batch:
        self.ids += 1
        payloads = [
            Payload((m.model_dump_json() if isinstance(m, Task) else str(m)).encode())
            for m in messages
        ]
        calls = [f"{self.ids}.{i}" for i in range(len(messages))]
        return wire.Batch(self.ids, method, payloads, calls, deadlines or [None] * len(messages))

    def open(self, method: str, task: Task, deadline: float | None = None) -> wire.Open:
        self.ids += 1
        payload = Payload(task.model_dump_json().encode())
        return wire.Open(self.ids, method, payload, f"{self.ids}", deadline)

    def results(self) -> list[Any]:
        frame = self.receive()
        assert isinstance(frame, wire.Results), frame
        found = wire.each(frame.results)
        return [r.json.decode() if isinstance(r, Payload) else r["type"] for r in found]

    def call(self, method: str, *messages: Any) -> list[Any]:
        self.send(self.batch(method, *messages))
        return self.results()

    def end(self) -> tuple[int, str | None]:
        """How many items come until a stream's end, and what it ends with."""
        count = 0
        while isinstance(frame := self.receive(), wire.Items):
            count += len(frame.payloads)
        assert isinstance(frame, wire.End), frame
        return count, frame.problem and frame.problem["type"]


@pytest.fixture
def front() -> Iterator[Front]:
    with started() as made:
        yield made


@contextlib.contextmanager
def started(*arguments: Any, **options: Any) -> Iterator[Front]:
    made = Front(*arguments, **options)
    try:
        yield made
    finally:
        made.sending.close()
        made.receiving.close()
        made.process.kill()
        made.process.wait(FOREVER)


def until(found: Callable[[], Any]) -> None:
    end = time.monotonic() + FOREVER
    while not found():
        assert time.monotonic() < end
        time.sleep(0.001)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# Deadlines and drops


def test_the_expired_never_reach_the_model(front: Front) -> None:
    now = time.monotonic()
    front.send(front.batch("double", 1, 2, 3, deadlines=[now - 1, now + 60, None]))
    assert front.results() == ["DeadlineExceeded", "4", "6"]
    front.send(front.batch("double", 1, deadlines=[now - 1]))
    assert front.results() == ["DeadlineExceeded"]
    assert front.call("seen", "") == ['[["direct"],["direct"],["1.1","1.2"]]']


def test_what_is_dropped_or_expires_while_it_waits_never_reaches_the_model(
    front: Front, tmp_path: Path
) -> None:
    held = front.batch("work", Task(path=str(tmp_path / "held")))
    front.send(held)
    until((tmp_path / "held.began").exists)
    waits = front.batch("double", 1, 2, 3, deadlines=[time.monotonic() + 0.02, None, None])
    front.send(waits, wire.Drop(waits.id, 1))
    until(lambda: time.monotonic() > (waits.deadlines[0] or 0))
    (tmp_path / "held.go").touch()
    both = sorted([front.results(), front.results()], key=len)  # each thread answers for itself
    assert both == [["false"], ["DeadlineExceeded", "Cancelled", "6"]]
    assert front.call("seen", "") == [f'[["direct"],["direct"],["{waits.id}.2"]]']


def test_a_batch_that_fails_is_run_again_in_halves(front: Front) -> None:
    assert front.call("double", 1, 0, 3, 4) == ["2", "Internal", "6", "8"]
    (seen,) = front.call("seen", "")
    assert json.loads(seen)[2:] == [
        ["1.0", "1.1", "1.2", "1.3"],
        ["1.0", "1.1"],
        ["1.0"],
        ["1.1"],
        ["1.2", "1.3"],
    ]


def test_a_long_method_is_told_that_its_call_was_dropped(front: Front, tmp_path: Path) -> None:
    for number in range(2):
        path = tmp_path / f"work{number}"
        batch = front.batch("work", Task(path=str(path)))
        front.send(batch)
        until(Path(f"{path}.began").exists)
        front.send(wire.Drop(batch.id, 0))
        assert front.results() == ["true"]
    front.send(
        front.batch("work", Task(path=str(tmp_path / "x")), deadlines=[time.monotonic() + 0.1])
    )
    assert front.results() == ["true"]


def test_a_quick_method_that_turns_slow_does_not_keep_the_others_from_being_read(
    front: Front, tmp_path: Path
) -> None:
    path = tmp_path / "go"
    Path(f"{path}.go").touch()
    for _ in range(5):
        assert front.call("work", Task(path=str(path))) == ["false"]  # it is quick
    slow = front.batch("work", Task(path=str(tmp_path / "slow")))
    front.send(slow, front.open("count", Task(path=str(tmp_path / "s"), count=10)))
    assert front.end() == (10, None)
    front.send(wire.Drop(slow.id, 0))
    assert front.results() == ["true"]


def test_an_asynchronous_call_is_cancelled(front: Front, tmp_path: Path) -> None:
    batch = front.batch("sleep", Task(path=str(tmp_path / "a")))
    front.send(batch)
    until((tmp_path / "a.began").exists)
    front.send(wire.Drop(batch.id, 0))
    assert front.results() == ["Cancelled"]
    assert (tmp_path / "a.left").exists()
    front.send(
        front.batch("sleep", Task(path=str(tmp_path / "b")), deadlines=[time.monotonic() + 0.1])
    )
    assert front.results() == ["DeadlineExceeded"]
    assert (tmp_path / "b.left").exists()


def test_an_asynchronous_call_that_is_dropped_at_once_never_begins(
    front: Front, tmp_path: Path
) -> None:
    for number in range(20):
        batch = front.batch("sleep", Task(path=str(tmp_path / str(number))))
        front.send(batch, wire.Drop(batch.id, 0))
        assert front.results() == ["Cancelled"]
        assert (tmp_path / f"{number}.began").exists() == (tmp_path / f"{number}.left").exists()


def test_an_asynchronous_batch_is_cancelled_when_nobody_is_left(
    front: Front, tmp_path: Path
) -> None:
    batch = front.batch("sleep_together", *[Task(path=str(tmp_path / "a"))] * 2)
    front.send(batch)
    until((tmp_path / "a.began").exists)
    front.send(wire.Drop(batch.id, 0))
    assert front.call("double", 4) == ["8"]
    assert not (tmp_path / "a.left").exists(), "one still waits"
    front.send(wire.Drop(batch.id, 1))
    assert front.results() == ["Cancelled", "Cancelled"]
    assert (tmp_path / "a.left").exists()


# Streams


@pytest.mark.parametrize("method", ["count", "count_async", "step"])
def test_a_stream_ends_at_its_deadline(front: Front, tmp_path: Path, method: str) -> None:
    task = Task(path=str(tmp_path / "s"))
    front.send(front.open(method, task, time.monotonic() + 0.1))
    count, problem = front.end()  # nothing is granted: it waits for its reader when it ends
    assert problem == "DeadlineExceeded"
    assert 0 < count <= wire.WINDOW
    assert (tmp_path / "s.closed").exists()
    front.send(front.open(method, task, time.monotonic() - 1))
    assert front.end() == (0, "DeadlineExceeded")


@pytest.mark.parametrize("method", ["count", "count_async", "step"])
def test_a_stream_that_is_left_at_once_ends(front: Front, tmp_path: Path, method: str) -> None:
    for number in range(20):
        stream = front.open(method, Task(path=str(tmp_path / str(number))))
        front.send(stream, wire.Cancel(stream.id))
        count, problem = front.end()
        assert count <= wire.WINDOW
        assert problem is None


@pytest.mark.parametrize("method", ["count", "step"])
def test_a_stream_goes_on_as_its_reader_takes(front: Front, tmp_path: Path, method: str) -> None:
    stream = front.open(method, Task(path=str(tmp_path / "s"), count=1000))
    front.send(stream)
    found: list[int] = []
    while isinstance(frame := front.receive(), wire.Items):
        found += (int(item.json) for item in frame.payloads)
        front.send(wire.Grant(stream.id, len(frame.payloads)))
    assert found == list(range(1000))
    assert frame == wire.End(stream.id, None)


def test_streams_of_steps_leave_the_model_to_other_calls(front: Front, tmp_path: Path) -> None:
    stream = front.open("step", Task(path=str(tmp_path / "s"), count=100_000))
    front.send(stream, wire.Grant(stream.id, 200_000))
    assert isinstance(front.receive(), wire.Items)
    front.send(front.batch("double", 3))
    between = 0
    while isinstance(front.receive(), wire.Items):
        between += 1
    front.send(wire.Cancel(stream.id))
    front.end()


# Start and health


def test_examples_are_timed(front: Front) -> None:
    assert list(front.ready.examples) == ["double"]
    assert 0 < front.ready.examples["double"] < 0.1 < front.ready.seconds + 0.1


def test_a_pulse_comes_while_the_model_computes(front: Front, tmp_path: Path) -> None:
    front.send(front.batch("work", Task(path=str(tmp_path / "w"))))
    until((tmp_path / "w.began").exists)
    for _ in range(2):
        assert isinstance(front.receive(pulse=True), wire.Pulse)
    statm = Path(f"/proc/{front.process.pid}/statm")
    now = int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    assert front.pulses[-1] == pytest.approx(now, rel=0.2)
    assert front.pulses[-1] > 10 << 20


# What a model does to its process


def test_what_a_model_prints_appears_at_once(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out, started(stdout=out) as front:
        assert front.call("say", '"hello"') == ['"hello"']
        assert (tmp_path / "out").read_text() == "hello\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_a_full_disk_for_the_log_fails_no_call_and_kills_no_worker() -> None:
    with Path("/dev/full").open("w") as full, started(stderr=full) as front:
        assert front.call("double", 0, 1) == ["Internal", "2"]  # it is logged
        assert front.call("double", 1) == ["2"]


def test_a_closed_log_fails_no_call() -> None:
    ours, theirs = os.pipe()
    with started(stderr=theirs) as front:
        os.close(theirs)
        os.close(ours)
        assert front.call("double", 0, 1) == ["Internal", "2"]
        assert front.call("double", 1) == ["2"]


@pytest.mark.parametrize("how", ["multiprocessing", "subprocess"])
def test_a_child_of_the_model_does_not_hide_the_workers_death(how: str) -> None:
    with started() as front:
        (child,) = map(int, front.call("fork", f'"{how}"'))
        try:
            assert is_running(child)
            front.process.kill()
            assert front.receive() is None, "the socket ends with the worker"
            assert is_running(child)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def test_a_model_that_forks_and_comes_back_twice_answers_once(front: Front) -> None:
    for _ in range(3):
        assert front.call("fork", '"both"') == [str(front.process.pid)]
    assert front.call("double", 1) == ["2"]
    children = Path(f"/proc/{front.process.pid}/task")
    until(
        lambda: (
            not [
                pid
                for thread in children.iterdir()
                for pid in (thread / "children").read_text().split()
                if is_running(int(pid))
            ]
        )
    )


PARENT = """
import sys
sys.path[:0] = {path!r}
from test_worker import Front
front = Front()
front.send(front.batch("hold", '"{mark}"'), front.batch("hold", '"{mark}"'))
print(front.process.pid, flush=True)
input()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_worker_whose_model_never_lets_go_dies_with_its_parent(tmp_path: Path) -> None:
    here = Path(__file__).parent
    program = PARENT.format(path=[str(here), str(here.parent / "services")], mark=tmp_path / "h")
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout
        try:
            worker = int(parent.stdout.readline())
            until((tmp_path / "h.began").exists)
        finally:
            parent.kill()
        begin = time.monotonic()
        until(lambda: not is_running(worker))
        assert time.monotonic() - begin < 1


def test_a_worker_ends_when_its_front_closes(front: Front, tmp_path: Path) -> None:
    front.send(front.batch("work", Task(path=str(tmp_path / "w"))))
    until((tmp_path / "w.began").exists)
    front.sending.close()
    assert front.process.wait(FOREVER) == 0
    assert Engine
