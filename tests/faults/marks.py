"""Processes that can be found again, by a mark in their environment."""

from __future__ import annotations

import contextlib
from pathlib import Path

from live import TESTS

FAULTY = str(TESTS / "services/faulty.py")
MARK = "FAULTS_MARK"


def marked(mark: str) -> list[int]:
    """The living processes that have this mark in their environment, as all have that descend from
    a server with it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found
