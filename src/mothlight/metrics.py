"""What ``/metrics`` shows (Prometheus)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_REQUESTS = Counter(
    "mothlight_requests", "Calls that ended, by method and code.", ("method", "code"),
    registry=REGISTRY,
)  # fmt: skip
_LATENCY = Histogram(
    "mothlight_request_seconds", "From the request's head to the answer's end, by method.",
    ("method",), buckets=_SECONDS, registry=REGISTRY,
)  # fmt: skip
_BATCH = Histogram(
    "mothlight_batch_size", "Calls that ran together, by method.", ("method",),
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256), registry=REGISTRY,
)  # fmt: skip
_WORKERS = Gauge(
    "mothlight_workers", "Workers that take calls, by service.", ("service",), registry=REGISTRY
)
_RESTARTS = Counter(
    "mothlight_worker_restarts", "Workers that died and were replaced, by service.", ("service",),
    registry=REGISTRY,
)  # fmt: skip
_QUEUE = Gauge("mothlight_queue", "Calls that wait for a worker.", ("service",), registry=REGISTRY)


# Looking a labelled child up costs more than counting with it; both sets of labels are ours and so
# bounded (methods and codes), hence the caches.


@cache
def _ended(method: str, code: str) -> Counter:
    return _REQUESTS.labels(method, code)


@cache
def _took(method: str) -> Histogram:
    return _LATENCY.labels(method)


@cache
def _batched(method: str) -> Histogram:
    return _BATCH.labels(method)


def call_ended(method: str, code: str, seconds: float) -> None:
    """Counts a call: ``code`` is ``ok`` or one of the 16 codes."""
    _ended(method, code).inc()
    _took(method).observe(seconds)


def batch_size(method: str, size: int) -> None:
    """Counts a batch."""
    _batched(method).observe(size)


def workers(service: str, count: int) -> None:
    """Notes how many workers of a service take calls."""
    _WORKERS.labels(service).set(count)


def worker_restarted(service: str) -> None:
    """Counts a worker that died."""
    _RESTARTS.labels(service).inc()


def watch_queue(service: str, length: Callable[[], int]) -> None:
    """Reads a queue's length whenever the metrics are asked for."""
    _QUEUE.labels(service).set_function(length)


def render() -> bytes:
    """The text that Prometheus reads."""
    return generate_latest(REGISTRY)
