"""What is written down: rows of figures, what is compared in them, and the bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

Figures = Mapping[str, Mapping[str, float]]
"""What one run of a work found: a row's title → a series' name → its figure."""


@dataclass(frozen=True)
class Comparison:
    """One series beside another (``how`` is ÷ or −), or alone; ``least`` or ``most`` is its bar."""

    ours: str
    than: str = ""
    how: str = "÷"
    least: float | None = None
    most: float | None = None

    @property
    def title(self) -> str:
        return f"{self.ours} {self.how} {self.than}" if self.than else self.ours

    @property
    def has_bar(self) -> bool:
        return self.least is not None or self.most is not None

    def of(self, figures: Mapping[str, Sequence[float]]) -> tuple[float, float, float] | None:
        """(median, lowest, highest) over the rounds; None where a series is not there, or has a
        round without a figure."""
        ours, than = figures.get(self.ours), figures.get(self.than or self.ours)
        if not ours or not than:
            return None
        if not self.than:
            values = list(ours)
        elif self.how == "÷":
            values = [a / b if b else math.nan for a, b in zip(ours, than, strict=True)]
        else:
            values = [a - b for a, b in zip(ours, than, strict=True)]
        if any(map(math.isnan, values)):
            return None
        return median(values), min(values), max(values)

    def is_met(self, value: float) -> bool:
        """Whether the bar is; never by a figure that is not a number."""
        if self.least is not None:
            return value >= self.least
        return self.most is not None and value <= self.most


def ratio(
    ours: str, than: str, *, least: float | None = None, most: float | None = None
) -> Comparison:
    """``ours`` ÷ ``than``."""
    return Comparison(ours, than, "÷", least, most)


def gap(ours: str, than: str, *, most: float | None = None) -> Comparison:
    """``ours`` − ``than``."""
    return Comparison(ours, than, "−", None, most)


def alone(ours: str, *, most: float | None = None) -> Comparison:
    """The figure itself."""
    return Comparison(ours, most=most)


@dataclass(frozen=True)
class Row:
    """One thing that is measured. ``unit``: ``/s`` is better when there is more of it, all others
    (``ms``, ``s``, ``MB``, ``×``) when there is less."""

    title: str
    unit: str
    comparisons: tuple[Comparison, ...] = ()

    @property
    def less_is_better(self) -> bool:
        return not self.unit.endswith("/s")


@dataclass
class Result:
    """A row's figures: series → one figure for each round."""

    case: str
    row: Row
    figures: dict[str, list[float]] = field(default_factory=dict)
    note: str = ""
    foreign: list[float] = field(default_factory=list)
    """Cores busy with other things before each round: threads that fight over two idle cores may
    be faster when one of them is taken, so that a ratio means little without it."""

    def add(self, found: Mapping[str, float]) -> None:
        for series, figure in found.items():
            self.figures.setdefault(series, []).append(figure)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of all do not exceed; NaN without values."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
