"""Traces of calls (OpenTelemetry); an optional dependency, imported when ``trace`` asks for it.

Sentiment.analyze ─────────────────────   the call; its parent is the client's ``traceparent``
  queue ────  batch ────────────────      with its size and its id, which all members have
                     compute ──────

The children are made when the call ends, out of its timeline: a call that runs costs nothing but
the clock readings, and one that is not sampled not even those.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from .codes import Code
from .errors import DefinitionError, Error, RemoteError
from .timeline import Timeline

_PACKAGES = {
    "otlp": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
    "console": ("opentelemetry.sdk",),
    "global": ("opentelemetry",),
}

_OURS = frozenset(
    {Code.UNKNOWN, Code.DEADLINE_EXCEEDED, Code.UNIMPLEMENTED, Code.INTERNAL, Code.UNAVAILABLE,
     Code.DATA_LOSS}
)  # fmt: skip
"""Codes that are errors of a server, as OpenTelemetry has it for gRPC; the others are the
client's, and no error of the span."""

_LAST_WORDS = 3.0
"""Seconds that the last spans get to leave when the server stops."""


def check(trace: str | None) -> None:
    """Raises DefinitionError where the packages for a value of ``trace`` are missing."""
    if trace is not None and not all(map(_is_there, _PACKAGES[trace])):
        raise DefinitionError(
            f"trace={trace!r} needs OpenTelemetry", 'pip install "mothlight[otel]"'
        )


def _is_there(package: str) -> bool:
    with contextlib.suppress(ModuleNotFoundError):
        return find_spec(package) is not None
    return False


def open_tracer(trace: str, services: str, version: str) -> Tracer:
    """The tracer for a value of the setting ``trace``: ``otlp`` sends to a collector, as the
    standard variables ``OTEL_…`` say, ``console`` prints, ``global`` takes the provider that the
    host of a mounted app has set. ``services`` is what the traces call us where
    ``OTEL_SERVICE_NAME`` does not, ``version`` is Mothlight's. Raises DefinitionError where a
    package is missing."""
    check(trace)
    if trace == "global":
        from opentelemetry.trace import get_tracer_provider

        return Tracer(get_tracer_provider(), version)
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

    # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say goes before what is given here,
    # but for a name that is given.
    named = Resource.create().attributes.get("service.name", "")
    own = {"service.name": services} if str(named).startswith("unknown_service") else {}
    provider = TracerProvider(resource=Resource.create(own), shutdown_on_exit=False)
    exporter = ConsoleSpanExporter(formatter=_line) if trace == "console" else _exporter()
    provider.add_span_processor(BatchSpanProcessor(exporter))  # its queue is bounded
    return Tracer(provider, version, provider.shutdown)


def _line(span: Any) -> str:
    return f"{span.to_json(indent=None)}\n"


def _exporter() -> Any:
    protocol = os.environ.get(
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http")
    )
    if protocol != "grpc":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    if not _is_there("opentelemetry.exporter.otlp.proto.grpc"):
        raise DefinitionError(
            "OTLP over gRPC (OTEL_EXPORTER_OTLP_PROTOCOL) needs its exporter",
            "pip install opentelemetry-exporter-otlp-proto-grpc",
        )
    from opentelemetry.exporter.otlp.proto.grpc import (  # type: ignore[import-not-found]
        trace_exporter,
    )

    return trace_exporter.OTLPSpanExporter()


class Tracer:
    """Makes the spans of calls with an OpenTelemetry provider. ``close`` ends what it was made
    with."""

    def __init__(
        self, provider: Any, version: str, close: Callable[[], None] | None = None
    ) -> None:
        from opentelemetry import propagate, trace

        self._tracer = provider.get_tracer("mothlight", version)
        self._api, self._extract = trace, propagate.extract
        self._close = close

    def begin(self, method: Any, headers: Mapping[bytes, bytes], start: float) -> Timeline | None:
        """The timeline of a call of ``method`` that came at ``start``; None where it is not
        sampled."""
        epoch = time.time_ns() - time.monotonic_ns()
        is_inside = self._api.get_current_span().get_span_context().is_valid  # of the host's span
        span = self._tracer.start_span(
            method.qualname,
            None if is_inside else self._extract(headers, getter=_HEADERS),
            self._api.SpanKind.SERVER,
            {
                "rpc.system.name": "mothlight",
                "rpc.method": method.qualname,
                "http.request.method": method.verb,
                "http.route": method.path,
            },
            start_time=epoch + int(start * 1e9),
        )
        if not span.is_recording():
            return None
        timeline = Timeline()
        timeline.span, timeline.epoch = span, epoch
        return timeline

    def trace_id(self, timeline: Timeline) -> str:
        """The trace's id in hex; "" for a call that is not traced."""
        if timeline.span is None:
            return ""
        return f"{timeline.span.get_span_context().trace_id:032x}"

    def end(self, timeline: Timeline, call: str, code: str, status: int) -> None:
        """Ends a call's span and makes its children. ``code`` is ``ok`` or one of the codes,
        ``status`` the HTTP status of the answer, 0 where there was none."""
        span, now = timeline.span, time.monotonic()
        if span is None:
            return
        span.set_attribute("mothlight.call.id", call)
        span.set_attribute("rpc.response.status_code", code)
        if status:
            span.set_attribute("http.response.status_code", status)
        if code != "ok":
            self._fail(timeline, code, now)
        self._add_children(timeline, now)
        if timeline.first:
            span.add_event("first item", timestamp=self._at(timeline, timeline.first))
        if timeline.items:
            span.set_attribute("mothlight.stream.items", timeline.items)
        span.end(self._at(timeline, now))

    def _fail(self, timeline: Timeline, code: str, now: float) -> None:
        span, error = timeline.span, timeline.error
        span.set_attribute("error.type", _kind(error) if error else code)
        if error is not None:
            # As span.record_exception() has it, but for the stack: it would show our own lines.
            detail = {"exception.type": _kind(error), "exception.message": str(error)}
            span.add_event("exception", detail, self._at(timeline, now))
        known = error.code if isinstance(error, Error) else Code(code)
        if known in _OURS:
            span.set_status(self._api.StatusCode.ERROR, str(error) if error else code)

    def _add_children(self, timeline: Timeline, now: float) -> None:
        batch = timeline.batch
        if timeline.placed:
            taken = batch.taken if batch else now  # it was given up while it waited
            self._add(timeline, timeline.span, "queue", timeline.placed, taken)
        if batch is None or timeline.first or timeline.items:
            return
        end = batch.answered or now  # what is not answered by now never will be, for this call
        about = {"mothlight.batch.id": batch.id, "mothlight.batch.size": batch.size}
        span = self._add(timeline, timeline.span, "batch", batch.taken, end, about)
        if batch.answered:
            self._add(timeline, span, "compute", max(batch.taken, end - batch.computed), end)

    def _add(
        self,
        timeline: Timeline,
        parent: Any,
        name: str,
        start: float,
        end: float,
        attributes: Mapping[str, Any] | None = None,
    ) -> Any:
        span = self._tracer.start_span(
            name,
            self._api.set_span_in_context(parent),
            attributes=attributes,
            start_time=self._at(timeline, start),
        )
        span.end(self._at(timeline, end))
        return span

    @staticmethod
    def _at(timeline: Timeline, moment: float) -> int:
        return timeline.epoch + int(moment * 1e9)

    def close(self) -> None:
        """Sends what has not been sent yet, for a few seconds at most."""
        if self._close is not None:
            from threading import Thread

            # A collector that does not answer must not keep the server from stopping.
            closing = Thread(target=self._close, daemon=True)
            closing.start()
            closing.join(_LAST_WORDS)


def _kind(error: Exception) -> str:
    if isinstance(error, RemoteError):  # of a class that its method does not declare
        return str(error.document.get("type", "RemoteError"))
    return type(error).__name__


class _Headers:
    """Reads a request's headers for OpenTelemetry's propagators."""

    def get(self, carrier: Mapping[bytes, bytes], key: str) -> list[str] | None:
        value = carrier.get(key.encode())
        return None if value is None else [value.decode("latin-1")]

    def keys(self, carrier: Mapping[bytes, bytes]) -> list[str]:
        return [name.decode("latin-1") for name in carrier]


_HEADERS: Any = _Headers()
