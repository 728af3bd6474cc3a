"""Figures as tables: ratios first; they hold, absolute figures do not."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from .figures import Comparison, Result

PACKAGES = ("mothlight", "fastapi", "starlette", "uvicorn", "uvloop", "pydantic", "torch")


def table(results: Sequence[Result]) -> str:
    """Every comparison with its bar, as a Markdown table."""
    lines = ["| work | compared | measured | bar | | others' cores |", "|---|---|---|---|---|---|"]
    for result in results:
        for comparison in result.row.comparisons:
            found = comparison.of(result.figures)
            bar, met = _bar(comparison, found)
            lines.append(
                f"| {_title(result)} | {comparison.title} | {_measured(result, comparison, found)}"
                f" | {bar} | {met} | {_foreign(result)} |"
            )
    return "\n".join(lines)


def absolute(results: Sequence[Result]) -> str:
    """The figures themselves, medians over the rounds, as a Markdown table."""
    lines = ["| work | |", "|---|---|"]
    for result in results:
        unit = result.row.unit
        parts = [f"{n} {_figure(median(f))}{_unit(unit)}" for n, f in result.figures.items()]
        note = f" ({result.note})" if result.note else ""
        lines.append(f"| {_title(result)} | {'; '.join(parts)}{note} |")
    return "\n".join(lines)


def tally(results: Sequence[Result]) -> str:
    """How many bars are met."""
    bars = [
        (comparison, comparison.of(result.figures))
        for result in results
        for comparison in result.row.comparisons
        if comparison.has_bar
    ]
    met = sum(found is not None and bar.is_met(found[0]) for bar, found in bars)
    return f"{met} of {len(bars)} bars are met."


def document(head: str, results: Sequence[Result], about: Mapping[str, str]) -> str:
    """A whole page: ``head``, what the works are, the tables."""
    listed = "\n".join(f"- {name}: {text}" for name, text in about.items())
    return (
        f"{head}\n{listed}\n\n{tally(results)}\n\n{table(results)}\n\n"
        f"The figures themselves (weak):\n\n{absolute(results)}\n"
    )


def facts(rounds: int, seconds: float, generators: set[str]) -> dict[str, str]:
    """Where and how it was measured."""
    load = os.getloadavg()[0]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "machine": f"{os.cpu_count()} cores, {_processor()}, {platform.system()}; "
        f"load average before: {load:.1f}",
        "versions": f"Python {platform.python_version()}, {versions(PACKAGES)}",
        "rounds": f"{rounds} of {seconds:g} s for each contender and work, interleaved",
        "load": ", ".join(sorted(generators)),
    }


def versions(packages: Sequence[str]) -> str:
    """Those that are installed here."""
    found = []
    for package in packages:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


def plain(results: Sequence[Result]) -> list[dict[str, Any]]:
    """All figures of all rounds, for JSON."""
    return [
        {
            "case": result.case,
            "work": result.row.title,
            "unit": result.row.unit,
            "note": result.note,
            "others": result.foreign,
            "figures": result.figures,
            "bars": [
                {"compared": c.title, "least": c.least, "most": c.most}
                for c in result.row.comparisons
                if c.has_bar
            ],
        }
        for result in results
    ]


def _title(result: Result) -> str:
    return f"{result.case}: {result.row.title}{' ↓' if result.row.less_is_better else ''}"


def _bar(comparison: Comparison, found: tuple[float, float, float] | None) -> tuple[str, str]:
    if not comparison.has_bar:
        return "", ""
    sign, bound = ("≤", comparison.most) if comparison.least is None else ("≥", comparison.least)
    met = found is not None and comparison.is_met(found[0])
    return f"{sign} {bound:g}", "met" if met else "missed"


def _measured(
    result: Result, comparison: Comparison, found: tuple[float, float, float] | None
) -> str:
    if found is None or math.isnan(found[0]):
        return "–"
    unit = "" if comparison.than and comparison.how == "÷" else _unit(result.row.unit)
    middle, low, high = map(_figure, found)
    return f"**{middle}**{unit} ({low}–{high})"


def _foreign(result: Result) -> str:
    busy = result.foreign
    return f"{median(busy):.1f} ({min(busy):.1f}–{max(busy):.1f})"


def _unit(unit: str) -> str:
    return unit if unit.startswith("/") else f" {unit}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
