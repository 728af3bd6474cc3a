"""What may be done to servers that are up: works, and the stage they run on.

``run`` drives all who take part once and says what it found; ``measure`` calls it round by round.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .figures import Figures, Row
from .load import Request, waves
from .servers import Loop, Server


@dataclass(frozen=True)
class Contender:
    """``module``: who serves it; ``loop`` is not a server. ``request``: what it is sent instead of
    the work's. ``arguments``: the server's, ``("2",)`` for two workers. ``python``: another one
    than ours; such a stranger may fail without failing the rest."""

    name: str
    module: str
    request: Callable[[], Request] | None = None
    arguments: tuple[str, ...] = ()
    python: str = ""


@dataclass
class Stage:
    """The contenders of a case, up. ``seconds``: for each of them; ``is_backwards``: in which order
    this round takes them, so that what drifts favours nobody."""

    contenders: list[Contender]
    subjects: dict[str, Server | Loop] = field(default_factory=dict)
    seconds: float = 2.0
    overload: float = 15.0  # seconds
    is_backwards: bool = False

    def of(self, names: Sequence[str]) -> list[Contender]:
        """Those of these names (all when there are none), in this round's order."""
        chosen = [c for c in self.contenders if not names or c.name in names]
        return chosen[::-1] if self.is_backwards else chosen

    def server(self, name: str) -> Server:
        found = self.subjects[name]
        assert isinstance(found, Server)
        return found


class Work(Protocol):
    """``rows``: what it finds figures for."""

    @property
    def rows(self) -> Sequence[Row]: ...

    def run(self, stage: Stage) -> Figures: ...


@dataclass(frozen=True)
class OneRow:
    """A work that finds figures for one row."""

    row: Row

    @property
    def rows(self) -> Sequence[Row]:
        return (self.row,)


@dataclass(frozen=True)
class Closed(OneRow):
    """The same request over and over on so many kept-alive connections. ``figure``: ``rate`` (a
    second), ``p50``, ``p99`` or ``first`` (milliseconds). ``least``: seconds that it takes at
    least to mean something."""

    request: Callable[[], Request]
    connections: int
    figure: str
    of: tuple[str, ...] = ()
    least: float = 0.0

    def run(self, stage: Stage) -> Figures:
        found = {}
        seconds = max(self.least, stage.seconds)
        for contender in stage.of(self.of):
            request = (contender.request or self.request)()
            subject = stage.subjects[contender.name]
            try:
                figures = subject.drive(request, self.connections, seconds)
            except RuntimeError:  # answers that are errors
                if not contender.python:
                    raise
                figures = {self.figure: math.nan}
            found[contender.name] = figures[self.figure]
        return {self.row.title: found}


@dataclass(frozen=True)
class Waves(OneRow):
    """Streams that begin together: how late the last one's first item is."""

    request: Callable[[], Request]
    connections: int
    of: tuple[str, ...]

    def run(self, stage: Stage) -> Figures:
        found = {}
        for contender in stage.of(self.of):
            port = stage.server(contender.name).port
            request = (contender.request or self.request)()
            found[contender.name] = waves(port, request, self.connections, stage.seconds)
        return {self.row.title: found}
