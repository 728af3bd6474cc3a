"""Models that fail, miscount, print, and start processes; logs that cannot be written."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from marks import FAULTY, MARK, marked
from traffic import Traffic

from live import free_port, wait_until

Start = Callable[..., Any]
Show = Callable[[str], None]


def test_a_model_that_raises_fails_the_guilty_alone(faulty: Start) -> None:
    server = faulty(workers=2)
    with Traffic(server.port, paths=("echo", "stumble")) as load:
        load.more(500)
    failed = {call.number for call in load.ended if call.code == "internal"}
    asked = {call.number for call in load.ended if call.path == "/faulty/stumble"}
    assert failed == {number for number in asked if number % 7 == 0} != set()
    assert load.codes().keys() == {"ok", "internal"}
    assert "a secret" in server.text()


def test_a_model_that_miscounts_gives_nobody_anothers_answer(faulty: Start) -> None:
    server = faulty(workers=2)
    with Traffic(server.port, paths=("echo", "miscount")) as load:
        load.more(500)
        assert {c.code for c in load.ended if c.path == "/faulty/miscount"} == {"internal"}
        assert {c.code for c in load.ended if c.path != "/faulty/miscount"} == {"ok"}
    assert "Faulty.miscount gave what it does not declare: 0 answers to 1 messages" in server.text()


def test_a_model_that_prints_megabytes_disturbs_nobody(faulty: Start) -> None:
    server = faulty(workers=2)
    with Traffic(server.port) as load:
        assert server.call("chatter", 20) == (200, 20)
        load.more()
        assert load.codes().keys() == {"ok"}
    assert server.log.stat().st_size > 20 << 20


@pytest.mark.parametrize("how", ["os.fork", "subprocess", "multiprocessing"])
def test_what_a_model_starts_goes_with_its_worker(faulty: Start, how: str) -> None:
    server = faulty(workers=1)
    (worker,) = server.workers()
    with Traffic(server.port) as load:
        status, child = server.call("fork", how)
        assert status == 200
        assert child in server.processes()
        load.more()
        assert load.codes().keys() == {"ok"}, "a fork disturbs nobody"
        status, _ = server.call("leave", "os._exit")
        assert status == 503, "our end is seen, though the child lives"
        wait_until(lambda: child not in server.processes(), "the child's end", 5)
        assert load.back(time.monotonic()) < server.bound()
    assert server.workers() != [worker]


@pytest.mark.parametrize("how", ["os.fork", "subprocess", "multiprocessing"])
def test_what_a_model_starts_can_be_stopped(faulty: Start, how: str) -> None:
    server = faulty(workers=1)
    (worker,) = server.workers()
    status, child = server.call("fork", how)
    assert status == 200
    os.kill(worker, signal.SIGTERM)  # as a stop of all processes would: the front decides
    os.kill(child, signal.SIGTERM)
    wait_until(lambda: is_over(child), "the child's end", 5)
    assert server.call("echo", 5) == (200, -5)
    assert server.workers() == [worker]


def is_over(process: int) -> bool:
    """Whether it has ended; who started it need not have asked for its status."""
    try:
        return " Z " in Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return True


def test_a_fork_that_comes_back_twice_answers_once(faulty: Start) -> None:
    server = faulty(workers=1)
    with Traffic(server.port) as load:
        for _ in range(3):
            status, child = server.call("fork", "both sides return")
            assert status == 200 and child > 1
            wait_until(lambda pid=child: pid not in server.processes(), "the child's end", 5)
        load.more()
        assert load.codes().keys() == {"ok"}


def test_a_full_disk_for_logs() -> None:
    """Nothing that is logged or printed can be written; calls are served and workers replaced."""
    port, mark = free_port(), uuid4().hex
    environment = {MARK: mark, "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    with open("/dev/full", "wb") as full:
        process = subprocess.Popen(
            [sys.executable, "-m", "mothlight", "serve", f"{FAULTY}:Faulty", f"--port={port}"],
            stdout=full,
            stderr=full,
            env=environment,
        )
    url = f"http://127.0.0.1:{port}"

    def is_ready() -> bool:
        assert process.poll() is None, "it ended"
        with contextlib.suppress(httpx2.TransportError):
            return httpx2.get(f"{url}/health/ready").status_code == 200
        return False

    try:
        wait_until(is_ready, "ready", 30)
        with Traffic(port) as load, httpx2.Client(base_url=url) as client:
            assert client.post("/faulty/stumble", json=7).status_code == 500  # it is logged
            assert client.post("/faulty/chatter", json=1).status_code in (200, 500)
            assert client.post("/faulty/leave", json="os._exit").status_code == 503
            load.back(time.monotonic())
            load.more()
            assert load.codes().keys() <= {"ok", "unavailable"}
    finally:
        process.terminate()
        process.wait(15)
    wait_until(lambda: not marked(mark), "the end of all its processes", 5)
