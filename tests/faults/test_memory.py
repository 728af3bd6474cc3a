"""Models that run out of memory, or take more than they are allowed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from traffic import Traffic

from live import MEBI, memory, wait_until

Start = Callable[..., Any]
Show = Callable[[str], None]


def test_a_memory_error_is_the_callers_own(faulty: Start) -> None:
    server = faulty(workers=1)
    (worker,) = server.workers()
    with Traffic(server.port) as load:
        since = time.monotonic()
        for _ in range(3):
            status, problem = server.call("exhaust", 1 << 60)
            assert (status, problem["code"]) == (500, "internal")
        load.more()
        assert load.codes(since).keys() == {"ok"}
    assert server.workers() == [worker], "a MemoryError costs no worker"
    assert "MemoryError" in server.text()


def test_a_worker_above_its_ceiling_is_renewed_and_no_call_fails(faulty: Start, show: Show) -> None:
    ceiling = 300 * MEBI
    server = faulty(workers=1, worker_memory=ceiling)
    (worker,) = server.workers()
    with Traffic(server.port) as load:
        held = ceiling / MEBI - memory(worker)
        fault = time.monotonic()
        status, _ = server.call("hoard_more", int(held + 20))
        assert status == 200
        line = server.await_log("is renewed: it holds")
        noticed = time.monotonic() - fault
        assert "(the ceiling is 300)" in line
        wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the old one's end", 30)
        show(f"noticed after {noticed:.2f} s, renewed after {time.monotonic() - fault:.2f} s")
        load.more()
        assert load.codes().keys() == {"ok"}, "a renewal costs no call"
    assert len(server.workers()) == 1
    assert memory(server.workers()[0]) < 150


def test_a_worker_that_takes_memory_without_end_is_killed(faulty: Start, show: Show) -> None:
    server = faulty(workers=1, worker_memory=150 * MEBI)
    (worker,) = server.workers()
    with Traffic(server.port) as load:
        fault = time.monotonic()
        status, problem = server.call("hoard_more", 100_000)
        killed = time.monotonic()
        assert (status, problem["code"]) == (503, "unavailable")
        assert "it holds" in problem["detail"] and "(the ceiling is 150)" in problem["detail"]
        back = load.back(killed, "echo")
        show(f"killed after {killed - fault:.2f} s, answers {back:.2f} s later")
        assert back < server.bound()
        assert load.codes(fault).keys() <= {"ok", "unavailable"}
    assert not Path(f"/proc/{worker}").exists()
    assert "Faulty.hoard_more (call " in server.await_log("a worker of Faulty .* died")


def test_a_ceiling_below_the_model_itself_is_no_storm(faulty: Start) -> None:
    server = faulty(workers=1, worker_memory=30 * MEBI)  # Python alone takes more than half of it
    if memory(server.workers()[0]) > 45:  # then it would be killed: another test
        server.stop()
        base = int(memory_of_a_worker(faulty) * 0.8)
        server = faulty(workers=1, worker_memory=base * MEBI)
    with Traffic(server.port, calls=4, streams=0) as load:
        server.await_log("is renewed: it holds")
        time.sleep(3)
        load.more()
        assert load.codes().keys() == {"ok"}
    assert 1 <= server.text().count("is renewed: it holds") <= 5


def memory_of_a_worker(faulty: Start) -> float:
    server = faulty(workers=1)
    with server:
        return memory(server.workers()[0])
