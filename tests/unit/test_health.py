"""When a worker has to go: the rules, on a process that is described, and on real ones."""

from __future__ import annotations

import os
import signal
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from live import memory, wait_until
from mothlight.backend.health import Ailment, Limits, ailment, signs

NOW = 1000.0
MEBI = 1 << 20
BOUNDED = Limits(memory=100 * MEBI, calls=50, silence=30.0, hang=120.0)


def process(longest: float = 0.0, **facts: Any) -> Any:
    """A worker without a process: what it says of itself counts."""
    about = {
        "ready": True,
        "pid": 0,
        "heard": NOW,
        "memory": 0,
        "frozen": None,
        "served": 0,
        "running": lambda: iter(()),
        "abandoned": lambda: iter(()),
        "scheduler": SimpleNamespace(line=lambda _: SimpleNamespace(longest=longest)),
    }
    return SimpleNamespace(**{**about, **facts})


def running(since: float, *, predicted: float, left: bool = True, is_async: bool = False) -> Any:
    method = SimpleNamespace(qualname="Slow.method", is_async=is_async)
    ticket = SimpleNamespace(done=lambda: left, request=SimpleNamespace(method=method))
    held = SimpleNamespace(tickets=[ticket], predicted=predicted)
    return lambda: iter([(held, since)])


def abandoned(since: float) -> Any:
    return lambda: iter([(SimpleNamespace(qualname="Slow.stream"), since)])


HANG = ("Slow.method hangs, and nobody waits for it any more", False)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({}, None),
        ({"heard": NOW - 29}, None),
        ({"heard": NOW - 31}, ("it gave no sign of life for 31 s", True)),
        ({"heard": NOW - 31, "ready": False}, None),
        ({"memory": 100 * MEBI}, None),
        ({"memory": 120 * MEBI}, ("it holds 120 MiB (the ceiling is 100)", False)),
        ({"memory": 151 * MEBI}, ("it holds 151 MiB (the ceiling is 100)", True)),
        ({"served": 49}, None),
        ({"served": 50}, ("it has served 50 calls", False)),
        # Ten times as long as predicted, and a second
        ({"running": running(NOW - 1.9, predicted=0.1)}, None),
        ({"running": running(NOW - 2.1, predicted=0.1)}, HANG),
        ({"running": running(NOW - 99, predicted=10.0)}, None),
        ({"running": running(NOW - 99, predicted=0.1, left=False)}, None),
        # One has taken longer
        ({"running": running(NOW - 9.9, predicted=0.1), "longest": 5.0}, None),
        ({"running": running(NOW - 10.1, predicted=0.1), "longest": 5.0}, HANG),
        # What it costs is not known
        ({"running": running(NOW - 119, predicted=0.0)}, None),
        ({"running": running(NOW - 121, predicted=0.0)}, HANG),
        # It was cancelled, and goes on
        ({"running": running(NOW - 119, predicted=0.1, is_async=True)}, None),
        ({"running": running(NOW - 121, predicted=0.1, is_async=True)}, HANG),
        ({"abandoned": abandoned(NOW - 119)}, None),
        (
            {"abandoned": abandoned(NOW - 121)},
            ("Slow.stream hangs, and nobody waits for it any more", False),
        ),
    ],
)
def test_rules(facts: dict[str, Any], expected: tuple[str, bool] | None) -> None:
    found = ailment(process(**facts), BOUNDED, NOW)
    assert (found and (found.reason, found.is_fatal)) == expected


def test_without_limits_a_worker_may_grow_and_serve_for_ever() -> None:
    assert ailment(process(memory=1 << 50, served=1 << 50), Limits(), NOW) is None


def test_the_system_says_what_a_process_holds_and_whether_it_is_stopped() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        wait_until(lambda: (found := signs(child.pid)) and found.state == "S", "it sleeps")
        found = signs(child.pid)
        assert found
        assert found.memory / MEBI == pytest.approx(memory(child.pid), abs=1.0)
        child.send_signal(signal.SIGSTOP)
        wait_until(lambda: (found := signs(child.pid)) and found.state == "T", "state T")
        worker = process(pid=child.pid)
        assert ailment(worker, Limits(), NOW) is None, "one look proves nothing"
        assert ailment(worker, Limits(), NOW + 0.1) is None
        found_ill = ailment(worker, Limits(), NOW + 0.25)
        assert found_ill == Ailment("stopped", "it was stopped (SIGSTOP)", is_fatal=True)
        child.send_signal(signal.SIGCONT)
        wait_until(lambda: (found := signs(child.pid)) and found.state != "T", "it goes on")
        assert ailment(worker, Limits(), NOW + 0.3) is None
        child.send_signal(signal.SIGSTOP)
        wait_until(lambda: (found := signs(child.pid)) and found.state == "T", "state T")
        assert ailment(worker, Limits(), NOW + 0.6) is None, "it starts anew"
    finally:
        child.kill()
        child.wait()
    assert signs(child.pid) is None, "a process that has gone"


def test_a_name_with_parentheses_and_blanks_is_read_over(tmp_path: Any) -> None:
    program = tmp_path / "a) T (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as child:
        wait_until(lambda: (found := signs(child.pid)) and found.state == "S", "it sleeps")
        child.kill()
    assert os.getpid() and signs(os.getpid())


def test_a_name_that_is_cut_within_a_character_is_read_over(tmp_path: Any) -> None:
    program = tmp_path / ("x" * 14 + "é")  # the system keeps 15 bytes of it
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "60"]) as child:
        wait_until(lambda: (found := signs(child.pid)) and found.state == "S", "it sleeps")
        child.kill()
