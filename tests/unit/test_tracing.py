"""Traces: the spans of a call, whose children they are, and what tracing may never do."""

from __future__ import annotations

import asyncio
import logging
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import desk
import opentelemetry.trace
import pytest
from asgi import Exchange, ask
from desk import Desk
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode

from live import Live, wait_until
from mothlight import App, tracing
from mothlight.calls.identity import public
from mothlight.errors import DefinitionError

KEY = "3f2b8c1d9e7a4650b1c2d3e4f5a69788"

Run = Callable[[Coroutine[Any, Any, Any]], Any]
NOISY = f"{Path(__file__).parent.parent / 'services' / 'noisy.py'}:Noisy"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Spans:
    """A provider, and the spans that it has exported."""

    def __init__(self, sampler: Any = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=ParentBased(sampler), shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    made = Spans()
    monkeypatch.setattr(opentelemetry.trace, "get_tracer_provider", lambda: made.provider)
    return made


@asynccontextmanager
async def app(**options: Any) -> AsyncIterator[App]:
    async with App(Desk, **{"workers": 0, "grace": 2, "trace": "global", **options}) as made:
        yield made


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    assert span.parent and span.context and parent.context
    assert span.start_time and span.end_time and parent.start_time and parent.end_time
    assert parent.start_time <= span.start_time <= span.end_time <= parent.end_time
    return (span.parent.span_id, span.context.trace_id) == (
        parent.context.span_id,
        parent.context.trace_id,
    )


def test_the_spans_of_a_batch(run: Run, spans: Spans) -> None:
    async def main() -> None:
        async with app() as made:
            before = time.time_ns()
            headers = {"idempotency-key": KEY}
            first = ask(made, "POST", "/desk/echo", {"text": "0"}, headers=headers)
            rest = [ask(made, "POST", "/desk/echo", {"text": "x"}) for _ in range(8)]
            answers = await asyncio.gather(first, *rest)
            assert {answer.status for answer in answers} == {200}
            for span in spans.all:
                assert span.start_time and span.end_time
                assert before <= span.start_time <= span.end_time <= time.time_ns()

    run(main())
    calls = spans.named("Desk.echo")
    assert len(calls) == 9
    first = min(calls, key=lambda span: span.start_time or 0)
    assert first.kind is SpanKind.SERVER
    assert first.parent is None
    assert first.status.status_code is StatusCode.UNSET
    assert dict(first.attributes or {}) == {
        "rpc.system.name": "mothlight",
        "rpc.method": "Desk.echo",
        "rpc.response.status_code": "ok",
        "http.request.method": "POST",
        "http.route": "/desk/echo",
        "http.response.status_code": 200,
        "mothlight.call.id": public(KEY),
    }
    sizes: dict[Any, int] = {}
    for call in calls:
        (queue,) = [s for s in spans.named("queue") if s.parent == call.context]
        (batch,) = [s for s in spans.named("batch") if s.parent == call.context]
        (compute,) = [s for s in spans.named("compute") if s.parent == batch.context]
        assert is_child(queue, call) and is_child(batch, call) and is_child(compute, batch)
        assert queue.end_time == batch.start_time and compute.end_time == batch.end_time
        assert batch.attributes
        sizes[batch.attributes["mothlight.batch.id"]] = batch.attributes["mothlight.batch.size"]  # type: ignore[assignment]
    assert sorted(sizes.values()) == [1, 8]


def test_a_client_s_trace_goes_on(run: Run, spans: Spans) -> None:
    async def main() -> None:
        async with app() as made:
            await ask(made, "POST", "/desk/bell", headers={"traceparent": PARENT})
            unsampled = f"{PARENT[:-1]}0"
            await ask(made, "POST", "/desk/bell", headers={"traceparent": unsampled})

    run(main())
    span = spans.one("Desk.bell")
    assert span.context and span.parent
    assert f"{span.context.trace_id:032x}" == "0af7651916cd43dd8448eb211c80319c"
    assert (f"{span.parent.span_id:016x}", span.parent.is_remote) == ("b7ad6b7169203331", True)
    assert {f"{s.context.trace_id:x}" for s in spans.all if s.context} == {PARENT[4:35]}


def test_inside_a_host_that_traces_the_host_s_span_is_the_parent(run: Run, spans: Spans) -> None:
    async def main() -> None:
        async with app() as made:
            with spans.provider.get_tracer("host").start_as_current_span("host"):
                await ask(made, "POST", "/desk/bell", headers={"traceparent": PARENT})

    run(main())
    assert is_child(spans.one("Desk.bell"), spans.one("host"))


@pytest.mark.parametrize(
    ("path", "body", "code", "status", "error", "is_ours"),
    [
        ("/desk/boom", {"text": "x"}, "internal", 500, "Internal", True),
        ("/desk/echo", {"text": "busy"}, "unavailable", 503, "Busy", True),
        ("/desk/echo", {"text": 1}, "invalid_argument", 422, "InvalidRequest", False),
        ("/desk/echo", b"x" * 101, "out_of_range", 413, "PayloadTooLarge", False),
        ("/desk/words", {"text": "busy"}, "unavailable", 503, "Busy", True),
        ("/desk/words", {"text": "a busy"}, "unavailable", 200, "Busy", True),
    ],
)
def test_errors_are_recorded(
    run: Run, spans: Spans, path: str, body: Any, code: str, status: int, error: str, is_ours: bool
) -> None:
    async def main() -> None:
        async with app(max_body=100) as made:
            assert (await ask(made, "POST", path, body)).status == status

    run(main())
    span = spans.one("Desk." + path.rpartition("/")[2])
    assert span.attributes
    assert span.attributes["rpc.response.status_code"] == code
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes["error.type"] == error
    (event,) = [event for event in span.events if event.name == "exception"]
    assert event.attributes and event.attributes["exception.type"] == error
    assert span.status.status_code is (StatusCode.ERROR if is_ours else StatusCode.UNSET)
    assert "a secret" not in span.to_json()


def test_a_stream_tells_when_its_first_item_went_and_how_many_there_were(
    run: Run, spans: Spans
) -> None:
    async def main() -> None:
        async with app() as made:
            await ask(made, "POST", "/desk/words", {"text": "a b c"})
            await ask(made, "POST", "/desk/words", {"text": ""})

    run(main())
    full, empty = spans.named("Desk.words")
    assert full.attributes and full.attributes["mothlight.stream.items"] == 3
    (event,) = full.events
    assert event.name == "first item"
    assert full.start_time and full.end_time
    assert full.start_time < event.timestamp < full.end_time
    assert not empty.events and "mothlight.stream.items" not in (empty.attributes or {})


def test_a_call_whose_client_leaves_has_ended(run: Run, spans: Spans) -> None:
    async def main() -> None:
        async with app() as made:
            desk.hold.__init__()  # type: ignore[misc]
            exchange = Exchange(made, "POST", "/desk/wait")
            left = asyncio.create_task(exchange())
            await asyncio.to_thread(desk.hold.began.wait, 10)
            exchange.leave()
            await left

    run(main())
    span = spans.one("Desk.wait")
    assert span.attributes and span.attributes["rpc.response.status_code"] == "cancelled"
    assert "http.response.status_code" not in span.attributes
    assert is_child(spans.one("batch"), span)
    assert not spans.named("compute")


def test_a_call_that_expires_while_it_waits_has_a_queue_and_no_batch(
    run: Run, spans: Spans
) -> None:
    async def main() -> None:
        async with app() as made:
            runner = next(iter(made.backend._runners.values()))  # type: ignore[attr-defined]
            runner._busy = 1  # the model is at something else
            late = {"request-timeout": "0.05"}
            assert (await ask(made, "POST", "/desk/bell", headers=late)).status == 504
            runner._busy = 0

    run(main())
    span = spans.one("Desk.bell")
    assert span.attributes and span.attributes["rpc.response.status_code"] == "deadline_exceeded"
    assert is_child(spans.one("queue"), span)
    assert not spans.named("batch")


def test_what_is_not_sampled_is_not_recorded(
    run: Run, spans: Spans, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    none = Spans(TraceIdRatioBased(0))
    monkeypatch.setattr(opentelemetry.trace, "get_tracer_provider", lambda: none.provider)

    async def main() -> None:
        async with app() as made:
            await ask(made, "POST", "/desk/bell")
            assert not none.all
            await ask(made, "POST", "/desk/bell", headers={"traceparent": PARENT})
            assert none.one("Desk.bell")

    run(main())


def test_the_access_log_names_the_trace(
    run: Run, spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with app(access_log=True) as made:
            await ask(made, "POST", "/desk/bell", headers={"traceparent": PARENT})

    with caplog.at_level(logging.INFO, "mothlight.access"):
        run(main())
    assert f"trace {PARENT[3:35]}" in caplog.text


@given(parent=st.binary(max_size=80), state=st.binary(max_size=80), baggage=st.binary(max_size=80))
def test_no_header_can_fail_a_call(parent: bytes, state: bytes, baggage: bytes) -> None:
    tracer = tracing.Tracer(SILENT.provider, "0")
    method = Desk.__mothlight__.methods["bell"]  # type: ignore[attr-defined]
    for first in (parent, PARENT.encode()):
        headers = {b"traceparent": first, b"tracestate": state, b"baggage": baggage}
        timeline = tracer.begin(method, headers, time.monotonic())
        assert timeline is None or timeline.span


SILENT = Spans(TraceIdRatioBased(0))


# Off, and missing


def child(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    return done.stdout


def test_off_it_imports_nothing_and_watches_no_call() -> None:
    code = (
        "import sys, desk, mothlight\n"
        "app = mothlight.App(desk.Desk, workers=0)\n"
        "assert app.site.rest.observer is None\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    assert child(code) == "[]\n"


@pytest.mark.parametrize("trace", ["otlp", "console", "global"])
def test_a_missing_package_is_named_with_its_mend(
    trace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda name: None)
    with pytest.raises(DefinitionError, match=r'pip install "mothlight\[otel\]"'):
        App(Desk, workers=0, trace=trace)


def test_otlp_over_grpc_needs_its_own_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    monkeypatch.setattr(tracing, "find_spec", lambda name: None if "grpc" in name else name)
    with pytest.raises(DefinitionError, match="opentelemetry-exporter-otlp-proto-grpc"):
        tracing.open_tracer("otlp", "Desk", "0")


# On a live server, with a collector


class Collector(ThreadingHTTPServer):
    """Takes traces as an OpenTelemetry collector does; ``stuck`` never answers."""

    daemon_threads = True

    def __init__(self, *, stuck: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Taker)
        self.taken: list[ExportTraceServiceRequest] = []
        self.paths: set[str] = set()
        self.stuck = threading.Event() if stuck else None
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    def stop(self) -> None:
        if self.stuck:
            self.stuck.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.server_port}",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }

    def spans(self) -> list[Any]:
        resources = [r for request in list(self.taken) for r in request.resource_spans]
        return [span for r in resources for scope in r.scope_spans for span in scope.spans]


class Taker(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.stuck:
            self.server.stuck.wait(60)
        self.server.paths.add(self.path)
        self.server.taken.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.stop()


def attributes(span: Any) -> dict[str, Any]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_a_server_sends_its_traces(serve: Callable[..., Live], collector: Collector) -> None:
    server = serve(NOISY, trace="otlp", environment=collector.environment)
    with server.client() as client:
        headers = {"idempotency-key": KEY, "traceparent": PARENT}
        assert client.post("/noisy/say", json="x", headers=headers).json() == "x"
        assert client.get("/noisy/count?most=3").status_code == 200
    assert server.stop() != -signal.SIGKILL  # what is not sent yet goes now
    (resource, *_) = [r.resource for request in collector.taken for r in request.resource_spans]
    assert collector.paths == {"/v1/traces"}
    about = attributes(resource)
    assert (about["service.name"], about["deployment.environment.name"]) == ("Noisy", "test")
    found = {span.name: span for span in collector.spans()}
    say, queue, batch, compute = (found[n] for n in ("Noisy.say", "queue", "batch", "compute"))
    assert say.trace_id.hex() == PARENT[3:35]
    assert attributes(say)["mothlight.call.id"] == public(KEY)
    assert batch.parent_span_id == say.span_id and compute.parent_span_id == batch.span_id
    assert queue.parent_span_id in (say.span_id, found["Noisy.count"].span_id)
    assert attributes(found["Noisy.count"])["mothlight.stream.items"] == 3
    assert len([span for span in collector.spans() if span.name == "queue"]) == 2


@pytest.mark.slow
def test_a_collector_that_does_not_answer_keeps_no_server_from_its_work_or_its_end(
    serve: Callable[..., Live],
) -> None:
    collector = Collector(stuck=True)
    try:
        server = serve(NOISY, trace="otlp", environment=collector.environment)
        with server.client(timeout=5) as client:
            for _ in range(50):
                assert client.post("/noisy/say", json="x").json() == "x"
        start = time.monotonic()
        assert server.stop() != -signal.SIGKILL
        assert time.monotonic() - start < 8
    finally:
        collector.stop()


def test_traces_on_the_console_are_json_lines(serve: Callable[..., Live]) -> None:
    server = serve(NOISY, trace="console", environment={"OTEL_BSP_SCHEDULE_DELAY": "100"})
    with server.client() as client:
        client.post("/noisy/say", json="x")
    wait_until(lambda: '"name": "compute"' in server.text(), "the spans")
    (line,) = [line for line in server.text().splitlines() if '"name": "Noisy.say"' in line]
    assert line.startswith("{") and line.endswith("}")
