"""The metrics: what is counted in passing is what Prometheus reads."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from asgi import Exchange, ask
from prometheus_client.parser import text_string_to_metric_families
from trade import Second, Trade

from mothlight import App, metrics
from mothlight.backend import Pool
from mothlight.errors import DeadlineExceeded, Overloaded, Unavailable
from mothlight.protocols import exposition

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def lines(*parts: str) -> dict[str, float]:
    """The lines of the page that hold all of these."""
    found = {}
    for line in exposition.render().decode().splitlines():
        name, _, value = line.rpartition(" ")
        if all(part in name for part in parts) and not line.startswith("#"):
            found[name] = float(value)
    return found


def test_calls_are_counted_by_method_and_code() -> None:
    for code in ("ok", "ok", "unavailable"):
        metrics.call_ended("Counted.calls", code, 0.1)
    assert lines("Counted.calls", "mothlight_requests_total") == {
        'mothlight_requests_total{code="ok",method="Counted.calls"}': 2,
        'mothlight_requests_total{code="unavailable",method="Counted.calls"}': 1,
    }


def test_latencies_are_a_histogram() -> None:
    for seconds in (0.0005, 0.001, 0.0011, 3.0, 1000.0):
        metrics.call_ended("Counted.latency", "ok", seconds)

    def bucket(bound: str) -> float:
        (value,) = lines("mothlight_request_seconds_bucket", "latency", f'"{bound}"').values()
        return value

    assert [bucket(bound) for bound in ("0.001", "0.0025", "2.5", "5.0", "60.0", "+Inf")] == [
        2, 3, 3, 4, 4, 5,
    ]  # fmt: skip
    assert list(lines("mothlight_request_seconds_count", "latency").values()) == [5]
    (total,) = lines("mothlight_request_seconds_sum", "latency").values()
    assert total == pytest.approx(1003.0026)


def test_batches_waits_and_computations_are_histograms() -> None:
    for size in (1, 8, 32):
        metrics.batch_taken("Counted.batches", [Taken(0.0002)] * size)
    metrics.batch_computed("Counted.batches", 0.003)
    page = lines("Counted.batches")
    label = 'method="Counted.batches"'
    assert page[f'mothlight_batch_size_bucket{{le="8.0",{label}}}'] == 2
    assert page[f"mothlight_batch_size_sum{{{label}}}"] == 41
    assert page[f'mothlight_queue_seconds_bucket{{le="0.0001",{label}}}'] == 0
    assert page[f'mothlight_queue_seconds_bucket{{le="0.00025",{label}}}'] == 41
    assert page[f"mothlight_compute_seconds_count{{{label}}}"] == 1


class Taken(NamedTuple):
    queued: float


def test_queues_costs_and_workers_are_read_when_somebody_asks() -> None:
    state = {"waiting": 7, "ready": 2}
    metrics.watch_queue("Counted", lambda: state["waiting"], lambda: 1000)
    metrics.watch_cost("Counted.cost", (1, 8), lambda size: size / 100, lambda: 0.25)
    metrics.watch_workers("Counted", lambda: state["ready"], lambda: {"0": 5e8, "1": 6e8})
    assert lines('"Counted"') == {
        'mothlight_queue{service="Counted"}': 7,
        'mothlight_queue_bytes{service="Counted"}': 1000,
        'mothlight_workers{service="Counted"}': 2,
        'mothlight_worker_memory_bytes{service="Counted",worker="0"}': 5e8,
        'mothlight_worker_memory_bytes{service="Counted",worker="1"}': 6e8,
    }
    assert lines("Counted.cost") == {
        'mothlight_predicted_seconds{method="Counted.cost",size="1"}': 0.01,
        'mothlight_predicted_seconds{method="Counted.cost",size="8"}': 0.08,
        'mothlight_predicted_wait_seconds{method="Counted.cost"}': 0.25,
    }
    metrics.watch_calls(lambda: state["waiting"], lambda: 500)
    assert lines("mothlight_calls_") == {"mothlight_calls_known": 7, "mothlight_calls_bytes": 500}
    state["waiting"], state["ready"] = 8, 0
    assert lines('"Counted"')['mothlight_queue{service="Counted"}'] == 8
    assert lines('"Counted"')['mothlight_workers{service="Counted"}'] == 0


def test_the_page_is_what_prometheus_reads() -> None:
    families = list(text_string_to_metric_families(exposition.render().decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    for family in families:
        assert family.documentation
        assert family.name.startswith(("mothlight_", "process_"))
        for sample in family.samples:
            assert set(sample.labels) <= {
                "method", "code", "reason", "state", "service", "worker", "cause", "size", "le",
            }  # fmt: skip


# What the engine counts


class Growth:
    """How counters have grown since it was made."""

    def __init__(self, *parts: str) -> None:
        self.parts, self.before = parts, lines(*parts)

    @property
    def now(self) -> dict[str, float]:
        """By what stands between the braces; what has not grown is left out."""
        found = {
            name: value - self.before.get(name, 0) for name, value in lines(*self.parts).items()
        }
        return {name.partition("{")[2][:-1]: grown for name, grown in found.items() if grown}


@asynccontextmanager
async def app(**options: Any) -> AsyncIterator[App]:
    async with App(Trade, **{"workers": 1, "grace": 5, **options}) as made:
        yield made


async def until(found: Callable[[], Any], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not found():
            await asyncio.sleep(0.005)


def test_what_becomes_of_calls_that_nobody_waits_for(run: Run, tmp_path: Path) -> None:
    dropped, refused = Growth("mothlight_dropped_total"), Growth("mothlight_refused_total")
    hold = 'method="Trade.hold",reason='

    async def main() -> None:
        async with app(max_queue=2) as made:
            paths = [str(tmp_path / f"p{n}") for n in range(6)]
            running = asyncio.create_task(made.call(Trade.hold, paths[0]))
            await until(Path(f"{paths[0]}.began").exists)
            queued = asyncio.create_task(made.call(Trade.hold, paths[2]))
            late = asyncio.create_task(made.call(Trade.hold, paths[3], timeout=0.1))
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await made.call(Trade.hold, paths[4])
            with pytest.raises(DeadlineExceeded):
                await late
            queued.cancel()
            running.cancel()
            await asyncio.wait((queued, running))
            Path(f"{paths[0]}.go").touch()
            await made.call(Trade.pid)

    run(main())
    assert dropped.now == {
        f'{hold}"cancelled",state="queued"': 1,
        f'{hold}"cancelled",state="running"': 1,
        f'{hold}"deadline",state="queued"': 1,
    }
    assert refused.now == {f'{hold}"full"': 1}


def test_streams(run: Run, tmp_path: Path) -> None:
    dropped = Growth("mothlight_dropped_total", "Trade.count")
    items = Growth("mothlight_items_total", "Trade.count")
    begun = Growth("mothlight_first_item_seconds_count", "Trade.count")

    def is_open() -> float:
        return sum(lines("mothlight_streams", '"Trade.count"').values())

    async def main() -> None:
        async with app() as made:
            order = {"path": str(tmp_path / "s"), "count": 3}
            await ask(made, "POST", "/trade/count", order)
            assert (is_open(), sum(items.now.values())) == (0, 3)
            order["count"] = 10**9
            exchange = Exchange(made, "POST", "/trade/count", json.dumps(order).encode(),
                                headers={"content-type": "application/json"})  # fmt: skip
            served = asyncio.create_task(exchange())
            await until(lambda: sum(items.now.values()) > 3)
            assert is_open() == 1
            exchange.leave()
            await served
            assert is_open() == 0
            late = {"request-timeout": "0.1", "accept": "text/event-stream"}
            await ask(made, "POST", "/trade/count", order, headers=late)

    run(main())
    assert dropped.now == {
        'method="Trade.count",reason="cancelled",state="running"': 1,
        'method="Trade.count",reason="deadline",state="running"': 1,
    }
    assert sum(begun.now.values()) == 3


def test_why_workers_were_replaced(run: Run) -> None:
    restarts = Growth("mothlight_worker_restarts_total", "Trade")
    renewals = Growth("mothlight_worker_renewals_total", "Trade")

    def memory() -> dict[str, float]:
        return lines("mothlight_worker_memory_bytes", '"Trade"')

    async def main() -> None:
        async with app() as made:
            with pytest.raises(Unavailable):
                await made.call(Trade.die, 9)
            with pytest.raises(Unavailable):
                await made.call(Trade.leave, 3)
            await until(lambda: made.backend.is_ready)
            assert isinstance(made.backend, Pool)
            await made.backend.reload()
            await until(lambda: 10e6 < sum(memory().values()) < 1e9)
            assert len(memory()) == 1
            assert list(lines("mothlight_workers", '"Trade"').values()) == [1]

    run(main())
    assert restarts.now == {
        'cause="signal",service="Trade"': 1,
        'cause="exit",service="Trade"': 1,
    }
    assert renewals.now == {'cause="reload",service="Trade"': 1}


# Health


def test_ready_is_false_while_no_worker_is(run: Run) -> None:
    async def main() -> None:
        async with App(Trade, Second, workers=1, drain=5) as made:
            answer = await ask(made, "GET", "/health/ready")
            assert (answer.status, answer.headers["cache-control"]) == (200, "no-store")
            assert answer.json == {
                "status": "ready",
                "services": {"Trade": "ready", "Second": "ready"},
                "queued": 0,
            }
            os.kill(await made.call(Trade.pid), signal.SIGKILL)
            await until(lambda: not made.backend.is_ready)
            await until(lambda: "died" in made.backend.states["Trade"])
            answer = await ask(made, "GET", "/health/ready")
            assert answer.status == 503
            assert answer.json == {
                "status": "unready",
                "services": {
                    "Trade": "its worker died of signal 9 (SIGKILL); another is being started",
                    "Second": "ready",
                },
                "queued": 0,
            }
            assert (await ask(made, "GET", "/health/live")).status == 200
            await until(lambda: made.backend.is_ready)
            assert (await ask(made, "GET", "/health/ready")).status == 200
        answer = await ask(made, "GET", "/health/ready")
        assert answer.status == 503
        assert answer.json["services"] == {"Trade": "stopping", "Second": "stopping"}

    run(main())


@pytest.mark.parametrize("workers", [0, 1])
def test_ready_is_false_before_the_start(run: Run, workers: int) -> None:
    made = App(Trade, workers=workers)
    answer = run(ask(made, "GET", "/health/ready"))
    assert answer.status == 503
    assert answer.json["services"] == {"Trade": "starting"}
    assert run(ask(made, "GET", "/health/live")).status == 200
