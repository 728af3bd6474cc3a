"""Runs a case: all contenders up at once, driven in turn, round after round."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from .cases import FASTAPI, Case, Work
from .servers import Loop, Server, looping, serving

WARM_UP = 1.0  # seconds of load before the first round


@dataclass
class Row:
    """The figures of one work: contender → one figure for each round."""

    case: Case
    work: Work
    figures: dict[str, list[float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    foreign: list[float] = field(default_factory=list)
    """Cores busy with other things before each round: threads that fight over two idle cores may
    be faster when one of them is taken, so that a ratio means little without it."""

    def ratio(self, name: str, to: str) -> tuple[float, float, float] | None:
        """(median, lowest, highest) over the rounds; None when one of the two was not there."""
        ours, theirs = self.figures.get(name), self.figures.get(to)
        if not ours or not theirs or name == to:
            return None
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        return median(ratios), min(ratios), max(ratios)

    @property
    def names(self) -> list[str]:
        """The contenders whose ratios count: all but the two that they are compared to."""
        return [name for name in self.figures if name not in (FASTAPI, self.case.limit)]


def measure(case: Case, rounds: int, seconds: float, say: Callable[[str], None]) -> list[Row]:
    """One row for each work. A round drives every contender once; every other one backwards, so
    that what drifts favours nobody. Raises RuntimeError when an answer is wrong."""
    rows = [Row(case, work) for work in case.works]
    contenders = list(case.contenders)
    with contextlib.ExitStack() as stack:
        modules: dict[str, Server | Loop] = {}
        for contender in contenders:
            module = contender.module
            if module == "loop":
                modules[module] = stack.enter_context(looping(case.name))
            elif module not in modules:
                modules[module] = stack.enter_context(serving(module, case.name))
        _compare(case, modules)
        for contender in contenders:
            request = case.request_of(contender)
            modules[contender.module].drive(request, case.works[0].connections, WARM_UP)
        for row in rows:
            row.figures = {contender.name: [] for contender in contenders}
            for loop in (m for m in modules.values() if isinstance(m, Loop)):
                if row.work.connections > 1:
                    row.notes.append(f"batches of {loop.best}")
        for number in range(rounds):
            for row in rows:
                row.foreign.append(_busy(0.5))
                for contender in contenders if number % 2 == 0 else reversed(contenders):
                    request = case.request_of(contender)
                    server = modules[contender.module]
                    found = server.drive(request, row.work.connections, seconds)
                    row.figures[contender.name].append(found[row.work.figure])
                shown = ", ".join(f"{n} {f[-1]:,.4g}" for n, f in row.figures.items())
                say(
                    f"{case.name}, {row.work.title}, round {number + 1}: {shown}{row.work.unit}"
                    f" (others: {row.foreign[-1]:.1f} cores)"
                )
    return rows


def _busy(seconds: float) -> float:
    """How many cores are busy while no contender is driven; NaN where Linux is not there to say."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return math.nan

    def busy() -> float:
        ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
        return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")  # idle, iowait

    before, start = busy(), time.perf_counter()
    time.sleep(seconds)
    return (busy() - before) / (time.perf_counter() - start)


def _compare(case: Case, modules: dict[str, Server | Loop]) -> None:
    """Sees that all servers give the same answer."""
    answers: dict[str, list[dict[str, Any]]] = {}
    for contender in case.contenders:
        server = modules[contender.module]
        if isinstance(server, Server):
            answers[contender.name] = server.ask(case.request_of(contender))
    first = next(iter(answers.values()))
    for name, answer in answers.items():
        if not _alike(first, answer):
            raise RuntimeError(f"{name} answers {answer!r:.300}, others {first!r:.300}")


def _alike(one: Any, other: Any) -> bool:
    match one, other:
        case float(), float():
            return math.isclose(one, other, rel_tol=1e-3)
        case dict(), dict():
            return one.keys() == other.keys() and all(_alike(one[k], other[k]) for k in one)
        case list(), list():
            return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)
