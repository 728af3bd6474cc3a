"""What happens inside a model, seen from outside: methods note events in a file.

A line is an event and the time of the clock that all processes of a machine share. The file is
named by ``BENCH_LEDGER``.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

VARIABLE = "BENCH_LEDGER"


@cache
def _file() -> int:
    return os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(event: str) -> None:
    """Writes an event down, in one piece."""
    os.write(_file(), b"%s %.6f\n" % (event.encode(), time.monotonic()))


class Ledger:
    """The reader's side."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen = 0

    def skip(self) -> None:
        """Forgets what has been noted so far."""
        self._seen = self.path.stat().st_size if self.path.exists() else 0

    def events(self, event: str) -> list[float]:
        """The times of an event since ``skip``."""
        if not self.path.exists():
            return []
        with self.path.open() as file:
            file.seek(self._seen)
            whole, _, _ = file.read().rpartition("\n")  # what is just being written is for later
        lines = [line.split() for line in whole.splitlines()]
        return [float(at) for name, at in lines if name == event]

    def wait(self, event: str, count: int, seconds: float = 60.0) -> list[float]:
        """The same, when there are ``count``. Raises TimeoutError."""
        until = time.monotonic() + seconds
        while len(found := self.events(event)) < count:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(found)} of {count} {event} after {seconds:g} s")
            time.sleep(0.002)
        return found
