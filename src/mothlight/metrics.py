"""What ``/metrics`` shows.

What happens to calls is counted in plain numbers, on the event loop and without locks, for
Prometheus's own counters would cost as much as validating a small message; they become its
families when somebody asks (``protocols/exposition``). What only has a value, as a queue's length,
is read then.

Labels are the names of methods and services, codes, and words of ours: all bounded.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from typing import Protocol

ALL: list[Counts | Histograms | Readings] = []
"""Everything that is counted or read here."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_SHORT = (0.0001, 0.00025, 0.0005, *_SECONDS)  # a batch of a small model, a wait in the queue
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Counts:
    """Numbers that grow, by labels."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name, self.about, self.labels = name, about, labels
        self.by = defaultdict[tuple[str, ...], int](int)
        ALL.append(self)


class Distribution:
    """Observed values, counted by the bounds that they are under."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds, self.sum = bounds, 0.0
        self.counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Counts a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """(upper bound, values up to it), as Prometheus has them."""
        names = [str(float(bound)) for bound in self.bounds] + ["+Inf"]
        return list(zip(names, accumulate(self.counts), strict=True))


class Histograms:
    """The distributions of a value, by method."""

    def __init__(self, name: str, about: str, bounds: Sequence[float]) -> None:
        self.name, self.about = name, about
        self.of = defaultdict[str, Distribution](lambda: Distribution(bounds))
        ALL.append(self)


class Readings:
    """Values that are read when they are asked for: ``read`` gives them by a last label, or as the
    only one by ""."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name, self.about, self.labels = name, about, labels
        self.read: dict[str, Callable[[], Mapping[str, float]]] = {}
        ALL.append(self)


_requests = Counts("mothlight_requests", "Calls that ended, by method and code.", "method", "code")
_background = Counts(
    "mothlight_background",
    "Calls in the background that ended, by method and code; that they began is a request.",
    "method", "code",
)  # fmt: skip
_latency = Histograms(
    "mothlight_request_seconds",
    "From the request's head to the answer's end, by method.",
    _SECONDS,
)
_refused = Counts(
    "mothlight_refused",
    "Calls that were not let in: they could not end by their deadline (deadline), would have "
    "waited too long (delay), found the queue full (full), or were over their caller's own limit "
    "(rate, concurrency).",
    "method", "reason",
)  # fmt: skip
_dropped = Counts(
    "mothlight_dropped",
    "Calls that nobody waited for any more (cancelled, deadline), in the queue (queued) or with a "
    "worker (running).",
    "method", "reason", "state",
)  # fmt: skip
_waits = Histograms("mothlight_queue_seconds", "From a call's admission to its batch.", _SHORT)
_computes = Histograms("mothlight_compute_seconds", "How long the model had a batch.", _SHORT)
_batches = Histograms("mothlight_batch_size", "Calls that ran together, by method.", _SIZES)

_streams = Readings("mothlight_streams", "Streams that are open, by method.", "method")
_open: dict[str, int] = {}
_items = Counts("mothlight_items", "Items of streams that were sent, by method.", "method")
_first = Histograms(
    "mothlight_first_item_seconds", "From a stream's admission to its first item.", _SECONDS
)

_known = Readings("mothlight_calls_known", "Calls that can be asked for by their ids.")
_known_bytes = Readings(
    "mothlight_calls_bytes", "Bytes of answers and items that are held for their readers."
)

_queue = Readings("mothlight_queue", "Calls that wait for a worker.", "service")
_queue_bytes = Readings("mothlight_queue_bytes", "Bytes of calls that wait.", "service")
_predicted = Readings(
    "mothlight_predicted_seconds",
    "What a batch of so many calls is predicted to take.",
    "method", "size",
)  # fmt: skip
_predicted_wait = Readings(
    "mothlight_predicted_wait_seconds", "What a call that came now would wait.", "method"
)

_workers = Readings("mothlight_workers", "Workers that take calls, by service.", "service")
_memory = Readings(
    "mothlight_worker_memory_bytes", "Memory that a worker holds.", "service", "worker"
)
_restarts = Counts(
    "mothlight_worker_restarts",
    "Workers that died and were replaced, by cause: exit, signal, memory, hang, silent, stopped; "
    "start: one that should have taken a dead one's place did not start.",
    "service", "cause",
)  # fmt: skip
_renewals = Counts(
    "mothlight_worker_renewals",
    "Workers that were replaced while they served, by cause: memory, calls, hang, reload.",
    "service", "cause",
)  # fmt: skip


# Calls


def call_ended(method: str, code: str, seconds: float) -> None:
    """Counts a call: ``code`` is ``ok`` or one of the 16 codes."""
    _requests.by[method, code] += 1
    _latency.of[method].observe(seconds)


def background_ended(method: str, code: str) -> None:
    """A call that its client did not wait for has ended."""
    _background.by[method, code] += 1


def call_refused(method: str, reason: str) -> None:
    """Counts a call that was not let in: ``deadline``, ``delay``, ``full``, ``rate`` or
    ``concurrency``."""
    _refused.by[method, reason] += 1


def call_dropped(method: str, reason: str, *, running: bool) -> None:
    """Counts a call that nobody waits for any more: ``cancelled`` or ``deadline``."""
    _dropped.by[method, reason, "running" if running else "queued"] += 1


class Waited(Protocol):
    """A call that has left the queue after so many seconds."""

    @property
    def queued(self) -> float: ...


def batch_taken(method: str, calls: Sequence[Waited]) -> None:
    """Counts a batch that leaves the queue."""
    _batches.of[method].observe(len(calls))
    waits = _waits.of[method]
    for call in calls:
        waits.observe(call.queued)


def batch_computed(method: str, seconds: float) -> None:
    """Counts a batch that was answered."""
    _computes.of[method].observe(seconds)


# Streams


def stream_taken(method: str, queued: float) -> None:
    """Counts a stream that leaves the queue."""
    _waits.of[method].observe(queued)


def stream_opened(method: str) -> None:
    """Notes that a stream is being sent."""
    _open[method] = _open.get(method, 0) + 1
    _streams.read[method] = lambda: {"": _open[method]}


def stream_closed(method: str) -> None:
    """Notes that it no longer is."""
    _open[method] -= 1


def first_item(method: str, seconds: float) -> None:
    """Counts a stream that has begun."""
    _first.of[method].observe(seconds)


def items_sent(method: str, count: int) -> None:
    """Counts items of a stream."""
    _items.by[method,] += count


# Calls that are kept


def watch_calls(count: Callable[[], int], size: Callable[[], int]) -> None:
    """Reads how many calls are known, and the bytes that are held for them."""
    _known.read[""] = lambda: {"": count()}
    _known_bytes.read[""] = lambda: {"": size()}


# Queues and workers


def watch_queue(
    service: str, length: Callable[[], int], size: Callable[[], int] | None = None
) -> None:
    """Reads a queue's length, and its size in bytes, whenever the metrics are asked for."""
    _queue.read[service] = lambda: {"": length()}
    if size:
        _queue_bytes.read[service] = lambda: {"": size()}


def watch_cost(
    method: str, sizes: Sequence[int], cost: Callable[[int], float], wait: Callable[[], float]
) -> None:
    """Reads what batches of these sizes are predicted to cost, and what a call would wait."""
    _predicted.read[method] = lambda: {str(size): cost(size) for size in sizes}
    _predicted_wait.read[method] = lambda: {"": wait()}


def watch_workers(
    service: str, ready: Callable[[], int], memory: Callable[[], Mapping[str, float]]
) -> None:
    """Reads how many workers take calls, and the bytes that each holds, by its number."""
    _workers.read[service] = lambda: {"": ready()}
    _memory.read[service] = memory


def worker_restarted(service: str, cause: str = "exit") -> None:
    """Counts a worker that died."""
    _restarts.by[service, cause] += 1


def worker_renewed(service: str, cause: str) -> None:
    """Counts a worker that is replaced while it serves."""
    _renewals.by[service, cause] += 1
