"""A front process that is killed takes its workers along, whatever they are at."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from traffic import Traffic

from live import Live, wait_until

Start = Callable[..., Any]
Show = Callable[[str], None]


@pytest.mark.parametrize("busy", ["", "sleep", "spin", "regex"])
def test_workers_end_with_their_front(faulty: Start, show: Show, busy: str) -> None:
    server = faulty(workers=2)
    load = Traffic(server.port)
    load.ends_when_refused = True
    with load:
        if busy:
            assert server.call("hang", busy, timeout=0.2)[0] == 504
        assert len(server.processes()) == 3
        fault = time.monotonic()
        server.process.kill()
        wait_until(lambda: not server.processes(), "the workers' end", 10)
        seconds = time.monotonic() - fault
        show(f"the last worker ended after {seconds:.3f} s")
        assert seconds < 1.0
        load.stop()
        load.wrong.clear()  # who was connected to a process that is killed has no answer


STARTING = """
import time
from mothlight import method, service

@service
class Starting:
    def __init__(self) -> None:
        open(__file__ + ".began", "w").close()
        time.sleep(3600)

    @method
    def say(self, x: int) -> int:
        return x
"""


@pytest.mark.parametrize("began", [True, False])
def test_workers_that_are_still_starting_end_too(
    tmp_path: Path, began: bool, marks: Callable[[str], list[int]]
) -> None:
    module = tmp_path / "starting.py"
    module.write_text(STARTING)
    server = Live(f"{module}:Starting", tmp_path / "log", environment={"FAULTS_MARK": "starting"})
    try:
        if began:  # its model loads
            wait_until(Path(f"{module}.began").exists, "the worker's start", 20)
        else:  # Python itself loads
            wait_until(lambda: len(marks("starting")) == 2, "the worker's process", 20)
        server.process.kill()
        wait_until(lambda: not marks("starting"), "the worker's end", 5)
    finally:
        server.stop()
