"""Workers that live and do not answer: stopped ones, and models that never come back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from traffic import Traffic

from live import wait_until

Start = Callable[..., Any]
Show = Callable[[str], None]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stopped_worker_is_replaced(faulty: Start, show: Show, workers: int) -> None:
    server = faulty(workers=workers)
    with Traffic(server.port) as load:
        fault = time.monotonic()
        victim = server.workers()[0]
        os.kill(victim, signal.SIGSTOP)
        line = server.await_log("a worker of Faulty .* died: it was stopped")
        noticed = time.monotonic() - fault
        assert f"(pid {victim})" in line
        wait_until(lambda: server.has_workers(workers), "all workers", 20)
        whole, back = time.monotonic() - fault, load.back(fault)
        load.more()
        codes, gap = load.codes(fault), load.gap(fault)
        show(
            f"noticed after {noticed:.2f} s, answers after {back:.2f} s, whole after {whole:.2f} s,"
            f" longest gap {gap:.2f} s, {dict(codes)}"
        )
        assert codes.keys() <= {"ok", "unavailable"}
        assert codes["unavailable"], "no call was in flight"
        bound = server.bound()
        assert noticed < bound / 2
        assert whole < bound
        assert not Path(f"/proc/{victim}").exists()


def test_a_worker_that_is_stopped_for_an_instant_stays(faulty: Start) -> None:
    server = faulty(workers=1)
    (worker,) = server.workers()
    for _ in range(8):
        os.kill(worker, signal.SIGSTOP)
        time.sleep(0.05)  # a look may see it, and the next one sees that it goes on
        os.kill(worker, signal.SIGCONT)
        assert server.call("echo", 5) == (200, -5)
        time.sleep(0.6)
    assert server.workers() == [worker]


@pytest.mark.parametrize("how", ["sleep", "spin", "regex"])
def test_a_model_that_hangs(faulty: Start, show: Show, how: str) -> None:
    server = faulty(workers=1)
    assert server.call("hang", "not") == (204, None)  # what it costs is known from now on
    (victim,) = server.workers()
    with Traffic(server.port) as load:
        asked = 0.3
        status, problem = server.call("hang", how, timeout=asked)
        deadline = time.monotonic()
        assert (status, problem["code"]) == (504, "deadline_exceeded")
        back = load.back(deadline, "echo", 60)
        server.await_log("is renewed: Faulty.hang hangs, and nobody waits for it any more")
        wait_until(lambda: not Path(f"/proc/{victim}").exists(), "its end", 20)
        codes = load.codes(deadline)
        show(f"answers {back:.2f} s after the deadline, {dict(codes)}")
        assert codes.keys() <= {"ok", "unavailable"}
        assert back < server.bound()


def test_the_first_call_of_a_method_hangs(faulty: Start) -> None:
    server = faulty(workers=1, hang=1)  # nobody knows what it should cost
    (victim,) = server.workers()
    assert server.call("hang", "sleep", timeout=0.3)[0] == 504
    server.await_log("is renewed: Faulty.hang hangs, and nobody waits for it any more")
    wait_until(lambda: not Path(f"/proc/{victim}").exists(), "its end", 20)
    assert server.call("echo", 5) == (200, -5)


def test_others_go_on_beside_a_model_that_hangs(faulty: Start, show: Show) -> None:
    server = faulty(workers=2)
    assert server.call("hang", "not") == (204, None)
    before = set(server.workers())
    with Traffic(server.port) as load:
        fault = time.monotonic()
        assert server.call("hang", "spin", timeout=0.3)[0] == 504
        server.await_log("died: it hangs")
        load.more()
        show(f"longest gap {load.gap(fault):.3f} s, {dict(load.codes(fault))}")
        assert load.gap(fault) < 1.0
        assert load.codes(fault).keys() <= {"ok", "unavailable"}
    assert len(set(server.workers()) & before) == 1


def test_a_call_that_is_slow_and_awaited_is_not_taken_for_hung(faulty: Start) -> None:
    server = faulty(workers=1)
    (worker,) = server.workers()
    with Traffic(server.port, calls=4, streams=0) as load:
        assert server.call("dawdle", 0.001) == (200, 0.001)
        assert server.call("dawdle", 2.0) == (200, 2.0)  # 2,000 times as long as predicted
        load.more()
    assert server.workers() == [worker]
