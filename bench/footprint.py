"""Memory and cold start: a server's processes beside a plain process that loads the same model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import processes
from .figures import Figures, Row
from .load import Request
from .servers import looping, serving
from .works import Stage

PLAIN = "plain process"


@dataclass(frozen=True)
class Footprint:
    """``case``: whose model; ``memory`` in MB, ``start`` in seconds until it is ready."""

    memory: Row
    start: Row
    case: str
    request: Callable[[], Request]

    @property
    def rows(self) -> Sequence[Row]:
        return (self.memory, self.start)

    def run(self, stage: Stage) -> Figures:
        memory, start = {}, {}
        with looping(self.case) as loop:
            memory[PLAIN], start[PLAIN] = processes.footprint(loop.processes), loop.started
        for contender in stage.of(()):
            with serving(contender.module, self.case, contender.arguments) as server:
                server.ask(self.request())
                memory[contender.name] = processes.footprint(server.processes)
                start[contender.name] = server.started
        return {self.memory.title: memory, self.start.title: start}
