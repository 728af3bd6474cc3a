"""Workers that die under load: kill -9, exits, crashes, and those that die again and again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from traffic import Traffic

from live import wait_until

Start = Callable[..., Any]
Show = Callable[[str], None]

ALLOWED = {"ok", "unavailable"}


def test_kill_9_while_batches_and_streams_run(faulty: Start, show: Show) -> None:
    server = faulty(workers=2)
    with Traffic(server.port, streams=8) as load:
        before = set(server.workers())
        victim = min(before)
        fault = time.monotonic()
        os.kill(victim, signal.SIGKILL)
        line = server.await_log("died of signal 9")
        for text in (f"(pid {victim})", "SIGKILL", "memory runs out", "Faulty.echo (call "):
            assert text in line, line
        wait_until(lambda: server.has_workers(2), "two workers", 20)
        whole = time.monotonic() - fault
        load.more()
        codes = load.codes(fault)
        gap = load.gap(fault)
        show(f"whole after {whole:.2f} s, longest gap {gap:.3f} s, {dict(codes)}")
        assert codes.keys() <= ALLOWED
        cut = {call.path for call in load.ended if call.code == "unavailable"}
        assert cut == {"/faulty/echo", "/faulty/count"}, "not both were in flight"
        assert gap < 1.0, "the others did not go on"
        assert whole < server.bound()
        after = set(server.workers())
        assert len(after) == 2 and before - after == {victim}


def test_kill_9_of_the_only_worker(faulty: Start, show: Show) -> None:
    server = faulty(workers=1)
    with Traffic(server.port, streams=8) as load, server.client() as client:
        fault = time.monotonic()
        os.kill(server.workers()[0], signal.SIGKILL)
        wait_until(lambda: client.get("/health/ready").status_code == 503, "not ready", 5)
        assert client.get("/health/live").status_code == 200
        calls, streams = load.back(fault, "echo"), load.back(fault, "count")
        wait_until(lambda: client.get("/health/ready").status_code == 200, "ready", 5)
        server.await_log("is back after")
        codes = load.codes(fault)
        show(f"calls back after {calls:.2f} s, streams {streams:.2f} s, {dict(codes)}")
        assert codes.keys() <= ALLOWED
        assert max(calls, streams) < server.bound()


@pytest.mark.parametrize(
    ("how", "cause"),
    [
        ("sys.exit", "exit status 3"),
        ("os._exit", "exit status 4"),
        ("abort", "signal 6 (SIGABRT)"),
        ("segfault", "signal 11 (SIGSEGV)"),
    ],
)
def test_a_model_that_ends_its_process(faulty: Start, show: Show, how: str, cause: str) -> None:
    server = faulty(workers=1)
    with Traffic(server.port) as load:
        status, problem = server.call("leave", how)
        fault = time.monotonic()  # it is told of the fault when its worker is gone
        assert (status, problem["code"]) == (503, "unavailable")
        assert cause in problem["detail"]
        back = load.back(fault)
        show(f"back after {back:.2f} s, {dict(load.codes(fault))}")
        assert back < server.bound()
        assert load.codes(fault).keys() <= ALLOWED
    assert "Faulty.leave (call " in server.await_log("a worker of Faulty .* died")


def test_a_method_that_kills_again_and_again_is_named(faulty: Start) -> None:
    server = faulty(workers=1)
    with Traffic(server.port, calls=4) as load:
        for _ in range(3):
            assert server.call("leave", "os._exit")[0] == 503
            load.back(time.monotonic())
        line = server.await_log("deaths in a row")
    assert "that is 3 deaths in a row" in line
    assert "Faulty.leave" in line and "look there first" in line
