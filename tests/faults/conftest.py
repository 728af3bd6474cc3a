"""A server of the faulty service, whose every process can be found again."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from marks import FAULTY, MARK, marked

from live import Live, wait_until


class Faulty(Live):
    """The server, and what its log says of a fault."""

    mark = ""

    def processes(self) -> list[int]:
        """All that live and descend from it."""
        return marked(self.mark)

    def bound(self) -> float:
        """Seconds within which service is back. That is 2, on a machine that starts a worker in a
        third of one, as any does that has nothing else to do, and that is as quick now."""
        found = re.search(r"ready in (\S+) s", self.text())
        assert found
        begin = time.monotonic()
        subprocess.run([sys.executable, "-c", "import mothlight.backend.worker"], check=True)
        return max(2.0, 6 * float(found[1]), 4 * (time.monotonic() - begin))

    def call(self, method: str, message: Any = None, timeout: float | None = None) -> Any:
        """(status, the answer): of one call beside the load."""
        headers = {"request-timeout": str(timeout)} if timeout else {}
        with self.client() as client:
            answer = client.post(f"/faulty/{method}", json=message, headers=headers)
        return answer.status_code, answer.json() if answer.content else None

    def await_log(self, text: str, seconds: float = 20.0) -> str:
        """The log's first line that holds this pattern."""
        found: re.Match[str] = wait_until(
            lambda: re.search(f".*{text}.*", self.text()), f"{text!r} in the log", seconds
        )
        return found[0]

    def has_workers(self, count: int) -> bool:
        return self.metric("mothlight_workers", service="Faulty") == count


@pytest.fixture
def faulty(tmp_path: Path) -> Iterator[Callable[..., Faulty]]:
    """Starts a server of the faulty service; at the end no process of it may be left."""
    started: list[Faulty] = []

    def start(wait: bool = True, **options: Any) -> Faulty:
        mark = uuid4().hex
        environment = {MARK: mark, **options.pop("environment", {})}
        target = options.pop("target", f"{FAULTY}:Faulty")
        log = tmp_path / f"{len(started)}.log"
        server = Faulty(target, log, environment=environment, **{"drain": 5, **options})
        server.mark = mark
        started.append(server)
        return server.wait() if wait else server

    yield start
    for server in started:
        server.stop()
    for server in started:
        end = time.monotonic() + 3
        while left := server.processes():
            assert time.monotonic() < end, f"left behind: {left}\n{server.text()[-3000:]}"


@pytest.fixture
def marks() -> Callable[[str], list[int]]:
    """Finds the processes with a mark."""
    return marked
