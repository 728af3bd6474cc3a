"""Whether a worker has to go, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .process import Process

_SILENCE = 1.5
"""Seconds without a pulse after which we look whether the process is stopped; it sends two a
second."""

_PATIENCE = 10.0
"""A batch that nobody waits for any more is hung when it takes so many times as long as predicted
(and a second more)."""


@dataclass(frozen=True)
class Limits:
    """When a worker has to go. None: never."""

    memory: int | None = None
    """Bytes that may be resident: above, it is renewed; at half as much again it is killed."""

    calls: int | None = None
    """Calls after which it is renewed."""

    silence: float = 30.0
    """Seconds without a sign of life (a thread of its own sends two a second, unless the model
    holds the interpreter)."""

    hang: float = 120.0
    """Seconds that a batch for which nobody waits may take, where its cost is not known."""


class Ailment(NamedTuple):
    """``is_fatal``: it can no longer be waited for."""

    reason: str
    is_fatal: bool


def ailment(process: Process, limits: Limits, now: float) -> Ailment | None:
    """What ails a worker; None for a healthy one."""
    if not process.ready:
        return None
    silence = now - process.heard
    if silence > _SILENCE and is_stopped(process.pid):
        return Ailment("it was stopped (SIGSTOP)", True)
    if silence > limits.silence:
        return Ailment(f"it gave no sign of life for {silence:.0f} s", True)
    if (stuck := _stuck(process, limits, now)) is not None:
        return Ailment(f"{stuck} hangs, and nobody waits for it any more", True)
    if limits.memory is not None and process.memory > limits.memory:
        held = f"it holds {process.memory >> 20} MiB (the ceiling is {limits.memory >> 20})"
        return Ailment(held, process.memory > limits.memory * 3 // 2)
    if limits.calls is not None and process.served >= limits.calls:
        return Ailment(f"it has served {process.served} calls", False)
    return None


def _stuck(process: Process, limits: Limits, now: float) -> str | None:
    """The method of a batch whose callers have all left, and that runs absurdly long."""
    for held, since in process.running():
        if not all(ticket.done() for ticket in held.tickets):
            continue
        most = 1.0 + _PATIENCE * held.predicted if held.predicted else limits.hang
        if now - since > most:
            return held.tickets[0].request.method.qualname
    return None


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal (proc(5)); False where that cannot be known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "T"
