"""Figures as a table: ratios first; they hold, absolute figures do not."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from .cases import FASTAPI, MOTHLIGHT
from .measure import Row

_PACKAGES = ("mothlight", "fastapi", "starlette", "uvicorn", "uvloop", "pydantic", "torch")

_HEAD = """# Mothlight beside plain FastAPI and beside the limits

Made by `python -m bench` (`make bench`); do not edit.

{facts}

Each ratio is the median over the rounds, and in brackets the lowest and the highest, of figures
taken one after the other in the same round. Rates: more is better. p50 and first item: **less is
better**. The absolute figures are weak: load generator, server and worker share the {cores} cores.
"Others' cores" are busy with something else before each round; above 0.1 the machine was shared and
the row is weak.

"""

_FOOT = """
Mothlight: one worker process, `mothlight.serve`, as its users write it (`bench/served.py`).
FastAPI: one uvicorn process, the model inline in a `def` endpoint, and beside it in an `async def`
one, which is faster and lets nobody else in meanwhile; streams from an `async def` generator, which
serves one client after the other (`bench/byhand.py`). Bare uvicorn: a raw ASGI function that parses
and writes the same JSON with `json`, or sends the same 200 chunks (`bench/bare.py`). Plain loop:
`predict` in one process, no server, at its best batch size up to 32; for one connection one item
alone, its mean; photos are decoded in the loop (`bench/loop.py`). Everywhere one torch thread.
Calls are driven by `wrk`, streams by `bench/client.py`; each in a closed loop over kept-alive
connections.
"""


def table(rows: Sequence[Row]) -> str:
    """A Markdown table."""
    lines = [
        "| work | contender | ÷ FastAPI | ÷ limit | limit | others' cores | absolute (weak) |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        for name in row.names:
            limit = row.case.limit
            lines.append(
                f"| {row.case.name}: {row.work.title}{_less(row)} | {name} "
                f"| {_ratio(row.ratio(name, FASTAPI))} | {_ratio(row.ratio(name, limit))} "
                f"| {', '.join([limit, *row.notes])} "
                f"| {median(row.foreign):.1f} ({min(row.foreign):.1f}–{max(row.foreign):.1f}) "
                f"| {_absolute(row, name)} |"
            )
    return "\n".join(lines)


def document(rows: Sequence[Row], facts: dict[str, str]) -> str:
    """``RESULTS.md``."""
    listed = "\n".join(f"- {name}: {value}" for name, value in facts.items())
    head = _HEAD.format(facts=listed, cores=os.cpu_count())
    works = {row.case.name: row.case.about for row in rows}
    about = "\n".join(f"- {name}: {text}" for name, text in works.items())
    return f"{head}{about}\n\n{table(rows)}\n{_FOOT}"


def facts(rounds: int, seconds: float, generators: set[str]) -> dict[str, str]:
    """Where and how it was measured."""
    load = os.getloadavg()[0]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, {_processor()}, {platform.system()}; "
        f"load average before: {load:.1f}",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", *(f"{p} {version(p)}" for p in _PACKAGES)]
        ),
        "rounds": f"{rounds} of {seconds:g} s for each contender and work, interleaved",
        "load": ", ".join(sorted(generators)),
    }


def _less(row: Row) -> str:
    return "" if row.work.figure == "rate" else " ↓"


def _ratio(found: tuple[float, float, float] | None) -> str:
    if found is None:
        return "–"
    middle, low, high = found
    return f"**{middle:.2f}** ({low:.2f}–{high:.2f})"


def _absolute(row: Row, name: str) -> str:
    shown = [name] if name != MOTHLIGHT else list(row.figures)
    parts = [f"{n} {_figure(median(row.figures[n]))}{row.work.unit}" for n in shown]
    return "; ".join(parts)


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
