"""A server of the ledger in a process of its own, and what its model has written down."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from live import TESTS, Live, wait_until


class Kept(Live):
    """The server; ``ledger`` is where its model writes."""

    ledger: Path

    def runs(self) -> Counter[str]:
        """How often the model ran each call."""
        return Counter(self.ledger.read_text().split()) if self.ledger.exists() else Counter()

    async def kill(self, rnd: random.Random) -> None:
        """Kills a worker, at any moment; returns when there is another in its place."""
        await asyncio.sleep(rnd.uniform(0, 0.5))
        before = self.workers()
        victim = rnd.choice(before)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)

        def is_replaced() -> bool:
            workers = self.workers()
            count = self.metric("mothlight_workers")
            return victim not in workers and len(workers) == len(before) == count

        await asyncio.to_thread(wait_until, is_replaced, "another worker", 60)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Callable[..., Kept]]:
    """Starts a server; options are settings."""
    started: list[Kept] = []

    def start(**options: Any) -> Kept:
        path = tmp_path / f"ledger{len(started)}"
        server = Kept(
            f"{TESTS / 'services/ledger.py'}:Ledger",
            path.with_suffix(".log"),
            environment={"LEDGER": str(path)},
            **{"drain": 2, "max_delay": 60, **options},
        )
        server.ledger = path
        started.append(server)
        return server.wait()

    yield start
    for server in started:
        server.stop()
