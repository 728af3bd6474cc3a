"""New code and new models under load: no call fails, and what cannot start replaces nothing."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from traffic import Traffic

from live import TESTS, wait_until

Start = Callable[..., Any]
Show = Callable[[str], None]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The faulty service in a file that may be changed."""
    path = tmp_path / "faulty_copy.py"
    path.write_text((TESTS / "services/faulty.py").read_text())
    return path


def add(source: Path, line: str) -> None:
    source.write_text(source.read_text() + line)


def test_sighup_renews_the_workers_and_fails_no_call(
    faulty: Start, source: Path, show: Show
) -> None:
    server = faulty(target=f"{source}:Faulty", workers=2)
    with Traffic(server.port, streams=6, visits=4) as load:
        old = set(server.workers())
        for number in range(3):
            server.process.send_signal(signal.SIGHUP)
            lines = number + 1
            wait_until(
                lambda lines=lines: server.text().count(" reloaded") >= lines, "reloaded", 30
            )
            load.more()
        wait_until(lambda: len(server.workers()) == 2, "the old ones have left", 10)
        assert not old & set(server.workers())
    show(f"3 reloads, {dict(load.codes())}")
    assert load.codes().keys() == {"ok"}


def test_who_asks_for_a_reload_during_one_gets_another(faulty: Start, source: Path) -> None:
    server = faulty(target=f"{source}:Faulty", workers=1)
    server.process.send_signal(signal.SIGHUP)
    server.await_log("reloading: ")
    for _ in range(3):
        server.process.send_signal(signal.SIGHUP)
        server.await_log("reloading once more")
    wait_until(lambda: server.text().count(" reloaded") == 2, "both", 30)
    wait_until(lambda: server.has_workers(1), "the old ones have left", 10)
    assert server.text().count("reloading: ") == 2


def test_a_reload_that_fails_leaves_the_old_workers(faulty: Start, source: Path) -> None:
    server = faulty(target=f"{source}:Faulty", workers=1)
    with Traffic(server.port) as load:
        old = server.workers()
        whole = source.read_text()
        add(source, "\nraise RuntimeError('half a thought')\n")
        server.process.send_signal(signal.SIGHUP)
        server.await_log("half a thought")
        server.await_log("the old worker serves on")
        source.write_text(
            whole.replace("numbers: list[int]) -> list[int]", "numbers: list[int]) -> list[float]")
        )
        server.process.send_signal(signal.SIGHUP)
        server.await_log("has other messages or methods now: restart the server")
        load.more()
        assert server.workers() == old
    assert load.codes().keys() == {"ok"}


def test_serve_reload_swaps_the_whole_server_and_fails_no_call(
    faulty: Start, source: Path, show: Show
) -> None:
    server = faulty(
        target=f"{source}:Faulty", command=("-m", "mothlight", "serve", "--reload"), workers=1
    )
    greeted = "ready in"
    with Traffic(server.port, streams=6, visits=4) as load:
        assert server.text().count(greeted) == 1
        for number in range(2):
            add(source, f"\n# {number}\n")
            begun = number + 2
            wait_until(lambda begun=begun: server.text().count(greeted) >= begun, "ready anew", 30)
            load.more()
        add(source, "\nthis is no Python\n")
        server.await_log("the new server could not be started; the old one serves on")
        load.more()
        source.write_text(source.read_text().replace("\nthis is no Python\n", ""))
        wait_until(lambda: server.text().count(greeted) >= 4, "ready anew", 30)
        load.more()
        wait_until(lambda: len(server.processes()) <= 3, "the old ones have left", 20)
    show(f"3 reloads and a failed one, {dict(load.codes())}")
    assert load.codes().keys() == {"ok"}
