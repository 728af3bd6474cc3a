"""Three times as many calls as the model can answer, in an open loop.

capacity (closed loop) ─> that rate for some seconds ─> three times as much ─> half as much
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import processes
from .figures import Figures, Row, percentile
from .load import Request, ask
from .servers import Server
from .works import Stage

TIMES = 3
_CLOSED = 64  # connections that find the capacity
_AFTER = 3.0  # seconds of half the capacity
_WINDOW = 0.1  # seconds of arrivals that are judged together
OK, REFUSED = 200, 503


@dataclass(frozen=True)
class Phase:
    """What became of the arrivals of one rate: (due, status, latency), in seconds. ``late``: how
    late the load generator was to send each of them, which is part of its latency."""

    begin: float
    seconds: float
    arrivals: Sequence[tuple[float, int, float]]
    late: Sequence[float]

    def latencies(self, status: int) -> list[float]:
        """Milliseconds of the answers of a status, in the order of their arrival."""
        return [latency * 1000 for _, found, latency in self.arrivals if found == status]

    @property
    def goodput(self) -> float:
        """Answers a second that came while the phase lasted."""
        end = self.begin + self.seconds
        good = sum(s == OK and due + latency < end for due, s, latency in self.arrivals)
        return good / self.seconds

    def abnormal_until(self, normal: float) -> float:
        """Seconds from its begin until the last window of arrivals of which one was refused, or
        half took longer than ``normal`` milliseconds."""
        windows: dict[int, list[tuple[int, float]]] = {}
        for due, status, latency in self.arrivals:
            windows.setdefault(int((due - self.begin) / _WINDOW), []).append((status, latency))
        bad = [
            number
            for number, window in windows.items()
            if any(status != OK for status, _ in window)
            or percentile([latency for _, latency in window], 0.5) * 1000 > normal
        ]
        return (max(bad) + 1) * _WINDOW if bad else 0.0


@dataclass(frozen=True)
class Overload:
    """Its rows, and the request that arrives."""

    goodput: Row
    accepted: Row
    refused: Row
    recovery: Row
    others: Row
    memory: Row
    request: Callable[[], Request]
    of: str

    @property
    def rows(self) -> Sequence[Row]:
        return (
            self.goodput,
            self.accepted,
            self.refused,
            self.recovery,
            self.others,
            self.memory,
        )

    def run(self, stage: Stage) -> Figures:
        server, request = stage.server(self.of), self.request()
        capacity = server.drive(request, _CLOSED, max(2.0, stage.seconds))["rate"]
        rates = [
            (capacity, stage.overload / 3),
            (TIMES * capacity, stage.overload),
            (capacity / 2, _AFTER),
        ]
        before = processes.resident(server.processes)
        with _Peak(server) as peak:
            found = _offer(server, request, rates)
        normal, over, after = _phases(found, rates)
        p99 = percentile(normal.latencies(OK), 0.99)
        strange = sum(status not in (OK, REFUSED) for _, status, _ in over.arrivals)
        return {
            self.goodput.title: {"overloaded": over.goodput, "capacity": capacity},
            self.accepted.title: {
                "overloaded": percentile(over.latencies(OK), 0.99),
                "at capacity": p99,
            },
            self.refused.title: {
                "refused": percentile(over.latencies(REFUSED), 0.99),
                "client late": percentile(over.late, 0.99) * 1000,
            },
            self.recovery.title: {"recovery": after.abnormal_until(p99)},
            self.others.title: {"share": 100 * strange / max(1, len(over.arrivals))},
            self.memory.title: {"growth": peak.highest - before},
        }


def _offer(server: Server, request: Request, rates: Sequence[tuple[float, float]]) -> Any:
    run = {"port": server.port, "request": request.as_text(server.port), "phases": rates}
    return ask("arrivals", run, sum(seconds for _, seconds in rates))


def _phases(found: Any, rates: Sequence[tuple[float, float]]) -> list[Phase]:
    phases, begin = [], 0.0
    columns = (found["phase"], found["due"], found["status"], found["latency"], found["late"])
    rows = list(zip(*columns, strict=True))
    for number, (_, seconds) in enumerate(rates):
        mine = [row for row in rows if row[0] == number]
        arrivals = [(due, status, latency) for _, due, status, latency, _ in mine]
        phases.append(Phase(begin, seconds, arrivals, [row[4] for row in mine]))
        begin += seconds
    return phases


class _Peak:
    """The most memory that a server's processes have at a time, looked at now and then."""

    def __init__(self, server: Server) -> None:
        self.pids = server.processes
        self.highest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            self.highest = max(self.highest, processes.resident(self.pids))

    def __enter__(self) -> _Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
