"""Who watches calls: traces and the access log, where the settings ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import __version__, logs, tracing
from ..services import Method, Service
from ..settings import Settings
from ..timeline import Timeline


class Observer:
    """Begins a timeline for each call that somebody wants to know of, and tells them when the call
    has ended. It traces between ``start`` and ``stop``."""

    @staticmethod
    def of(services: Sequence[Service], settings: Settings) -> Observer | None:
        """The observer that the settings ask for; None where they ask for none. Raises
        DefinitionError where a package that it needs is missing."""
        tracing.check(settings.trace)
        return Observer(services, settings) if settings.trace or settings.access_log else None

    def __init__(self, services: Sequence[Service], settings: Settings) -> None:
        self._trace, self._logs = settings.trace, settings.access_log
        self._names = " ".join(service.name for service in services)
        self.tracer: tracing.Tracer | None = None

    def start(self) -> None:
        """Opens what it writes to."""
        if self._trace and self.tracer is None:
            self.tracer = tracing.open_tracer(self._trace, self._names, __version__)

    def stop(self) -> None:
        """Sends what is not sent yet; it may take seconds."""
        tracer, self.tracer = self.tracer, None
        if tracer:
            tracer.close()

    def begin(
        self, method: Method[Any, Any, Any], headers: Mapping[bytes, bytes], start: float
    ) -> Timeline | None:
        """The timeline of a call that came at ``start``; None where nobody wants to know of it."""
        timeline = self.tracer.begin(method, headers, start) if self.tracer else None
        return Timeline() if timeline is None and self._logs else timeline

    def end(
        self,
        timeline: Timeline,
        method: Method[Any, Any, Any],
        call: str,
        code: str,
        status: int,
        seconds: float,
    ) -> None:
        """Tells of a call that ended after so many ``seconds`` with ``code``, ``ok`` or one of the
        codes; ``status`` is the HTTP status of its answer, 0 where there was none."""
        trace = ""
        if self.tracer:
            trace = self.tracer.trace_id(timeline)
            self.tracer.end(timeline, call, code, status)
        if self._logs:
            more = known(timeline)
            if trace:
                more["trace"] = trace
            logs.access(call, method.service.name, method.qualname, code, seconds, **more)


def known(timeline: Timeline) -> dict[str, float | str]:
    """What the access log says of a call: how long it was queued and computed, in a batch of how
    many, or how many items it gave."""
    facts: dict[str, float | str] = {}
    batch = timeline.batch
    if batch and timeline.placed:
        facts["queued"] = batch.taken - timeline.placed
    if batch and batch.answered:
        facts |= {"computed": batch.computed, "batch": batch.size}
    if timeline.items:
        facts["items"] = timeline.items
    return facts
