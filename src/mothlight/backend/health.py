"""Whether a worker has to go, and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from .process import Process

_FROZEN = 0.2
"""Seconds between two looks at a process that both find it stopped by a signal: a debugger that
lets go of one leaves it so for an instant. (While a debugger holds it, that is another state.)"""

_PATIENCE = 10.0
"""A batch that nobody waits for any more is hung when it takes so many times as long as predicted
(and a second more), and twice as long as the longest of its method of late."""

_PULSES = 2.0
"""Seconds in which a worker gives some signs of life, unless its model holds the interpreter."""


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
    """Seconds that a batch for which nobody waits may take, where its cost is not known; that a
    cancelled asynchronous call or stream may take to end."""


class Ailment(NamedTuple):
    """``kind`` is its name in the metrics; ``is_fatal``: the worker can no longer be waited for."""

    kind: Literal["stopped", "silent", "memory", "hang", "calls"]
    reason: str
    is_fatal: bool = False


class Signs(NamedTuple):
    """What the system says of a process: its state (``T``: stopped by a signal) and the bytes that
    are resident."""

    state: str
    memory: int


def signs(pid: int) -> Signs | None:
    """Looks at a process (proc(5)); None where the system does not let us."""
    try:
        # A title that was cut to 15 bytes may end within a character.
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # from the third on; the second may hold anything
    return Signs(fields[0], int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))


def ailment(process: Process, limits: Limits, now: float) -> Ailment | None:
    """What ails a worker; None for a healthy one."""
    if not process.ready:
        return None
    memory = process.memory
    if found := signs(process.pid):
        memory = found.memory  # it sends its own, but not while the model holds the interpreter
        if found.state != "T":
            process.frozen = None
        elif process.frozen is None:
            process.frozen = now
        elif now - process.frozen >= _FROZEN:
            return Ailment("stopped", "it was stopped (SIGSTOP)", is_fatal=True)
    if (silence := now - process.heard) > limits.silence:
        return Ailment("silent", f"it gave no sign of life for {silence:.0f} s", is_fatal=True)
    if limits.memory is not None and memory > limits.memory:
        held = f"it holds {memory >> 20} MiB (the ceiling is {limits.memory >> 20})"
        return Ailment("memory", held, is_fatal=memory > limits.memory * 3 // 2)
    if name := hanging(process, limits, now) or _lingering(process, limits, now):
        return Ailment("hang", f"{name} hangs, and nobody waits for it any more")
    if limits.calls is not None and process.served >= limits.calls:
        return Ailment("calls", f"it has served {process.served} calls")
    return None


def is_mute(process: Process, now: float) -> bool:
    """Whether nothing in it goes on."""
    return now - process.heard > _PULSES


def hanging(process: Process, limits: Limits, now: float) -> str | None:
    """The method of the synchronous batch that holds a worker up: its callers have all left, and it
    runs absurdly long."""
    for held, since in process.running():
        method = held.tickets[0].request.method
        if method.is_async or not all(ticket.done() for ticket in held.tickets):
            continue
        longest = process.scheduler.line(method).longest
        most = max(1.0 + _PATIENCE * held.predicted, 2 * longest) if held.predicted else limits.hang
        if now - since > most:
            return method.qualname
    return None


def _lingering(process: Process, limits: Limits, now: float) -> str | None:
    """The method of what was cancelled long ago and has not ended: it keeps a place."""
    for held, since in process.running():
        method = held.tickets[0].request.method
        if method.is_async and now - since > limits.hang and all(t.done() for t in held.tickets):
            return method.qualname
    for method, left in process.abandoned():
        if now - left > limits.hang:
            return method.qualname
    return None
