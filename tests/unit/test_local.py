"""LocalBackend: the pool's behaviour in this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from broken import BadExample, NoWeights
from trade import Order, Refused, Second, Trade

from mothlight import App, StartupError, method, service
from mothlight.backend import LocalBackend
from mothlight.errors import DeadlineExceeded, DefinitionError, Internal, Overloaded, Unavailable
from mothlight.services import Service

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@service
class Gate:
    """Its calls wait at a gate that the test opens."""

    def __init__(self) -> None:
        self.began, self.open, self.closed = threading.Event(), threading.Event(), threading.Event()
        gates.append(self)

    @method
    def pass_(self, x: int) -> int:
        self.began.set()
        assert self.open.wait(20)
        return x

    @method
    async def glance(self, x: int) -> int:
        return x

    @method
    def leave(self, status: int) -> int:
        raise SystemExit(status)

    @method
    def steps(self, x: int) -> Iterator[int]:
        try:
            for number in range(x):
                self.began.set()
                assert self.open.wait(20)
                yield number
        finally:
            self.closed.set()

    @method
    async def steps_async(self, x: int) -> AsyncIterator[int]:
        try:
            for number in range(x):
                self.began.set()
                yield number
                await asyncio.Event().wait()
        finally:
            self.closed.set()


gates: list[Gate] = []


async def wait(event: threading.Event) -> None:
    async with asyncio.timeout(10):
        while not event.is_set():
            await asyncio.sleep(0.002)


def make(*services: type, **options: Any) -> App:
    return App(*services, **{"workers": 0, "grace": 5, **options})


def test_workers_0_is_local() -> None:
    assert isinstance(make(Trade).backend, LocalBackend)


def test_it_answers_as_the_pool_does(run: Run, tmp_path: Any) -> None:
    async def main() -> None:
        async with make(Trade, Second) as app:
            texts = ["a", "no", "b"]
            answers = await asyncio.gather(
                *(app.call(Trade.echo, t) for t in texts), return_exceptions=True
            )
            assert answers[0] == "a"
            assert answers[2] == "b"
            assert isinstance(answers[1], Refused)
            assert await app.call(Trade.beside, 2) == 2
            order = Order(path=str(tmp_path / "a"), count=5)
            for name in (Trade.count, Trade.count_async):
                assert [n async for n in app.stream(name, order)] == [0, 1, 2, 3, 4]
            for kind, error in (("declared", Refused), ("secret", Internal)):
                with pytest.raises(error):
                    _ = [n async for n in app.stream(Trade.stumble, kind)]

    run(main())


@pytest.mark.parametrize("broken", [NoWeights, BadExample])
def test_a_start_that_fails_says_why(run: Run, broken: type) -> None:
    with pytest.raises(StartupError, match=r"could not be started: .+"):
        run(make(broken).start())


def test_calls_of_one_model_run_one_at_a_time_and_the_queue_is_bounded(run: Run) -> None:
    async def main() -> None:
        async with make(Gate, max_queue=2) as app:
            calls = [asyncio.create_task(app.call(Gate.pass_, n)) for n in range(3)]
            await wait(gates[-1].began)
            assert app.backend.queued == 2
            with pytest.raises(Overloaded):
                await app.call(Gate.pass_, 9)
            calls[1].cancel()
            await asyncio.wait(calls[1:2])
            with pytest.raises(DeadlineExceeded):
                await app.call(Gate.pass_, 8, timeout=0.01)
            gates[-1].open.set()
            done = await asyncio.gather(*calls, return_exceptions=True)
            assert [done[0], done[2]] == [0, 2]

    run(main())


def test_a_model_that_exits_fails_its_own_call_only(run: Run) -> None:
    async def main() -> None:
        async with make(Gate) as app:
            gates[-1].open.set()
            with pytest.raises(Internal):
                await app.call(Gate.leave, 3)
            assert await app.call(Gate.pass_, 1) == 1

    run(main())


def test_stop_drains_the_queue_too(run: Run) -> None:
    async def main() -> None:
        app = make(Gate)
        await app.start()
        calls = [asyncio.create_task(app.call(Gate.pass_, n)) for n in range(4)]
        await wait(gates[-1].began)
        stop = asyncio.create_task(app.stop())
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="stopping"):
            await app.call(Gate.pass_, 9)
        assert not app.backend.is_ready
        gates[-1].open.set()
        assert await asyncio.gather(*calls) == [0, 1, 2, 3]
        await stop

    run(main())


def test_leaving_a_stream_in_the_middle_of_a_step_closes_it(run: Run) -> None:
    async def main() -> None:
        async with make(Gate) as app:
            gate = gates[-1]
            with pytest.raises(DeadlineExceeded):
                _ = [n async for n in app.stream(Gate.steps, 3, timeout=0.05)]
            assert not gate.closed.is_set(), "its step still runs"
            gate.open.set()
            await wait(gate.closed)

    run(main())


def test_leaving_a_stream_between_steps_closes_it(run: Run) -> None:
    async def main() -> None:
        async with make(Gate) as app:
            for name in (Gate.steps, Gate.steps_async):
                gate = gates[-1]
                gate.open.set()
                gate.closed.clear()
                items = app.stream(name, 3)
                assert await anext(items) == 0
                await items.aclose()  # type: ignore[attr-defined]
                await wait(gate.closed)

    run(main())


def test_streams_are_bounded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mothlight.backend.local.CONCURRENCY", 2)

    async def main() -> None:
        async with make(Gate) as app:
            items = [app.stream(Gate.steps_async, 1) for _ in range(2)]
            assert [await anext(i) for i in items] == [0, 0]
            with pytest.raises(Overloaded):
                await anext(app.stream(Gate.steps_async, 1))
            for i in items:
                await i.aclose()  # type: ignore[attr-defined]
            over = app.stream(Gate.steps_async, 1)
            assert await anext(over) == 0
            await over.aclose()  # type: ignore[attr-defined]

    run(main())


def test_a_method_of_another_app_is_refused(run: Run) -> None:
    async def main() -> None:
        async with make(Gate) as app:
            with pytest.raises(DefinitionError, match=r"Trade\.pid is not served by this App") as e:
                await app.call(Trade.pid)
            assert e.value.mend == "write   App(Gate, Trade)"

    run(main())


def test_asynchronous_calls_do_not_change_what_is_left_of_a_synchronous_one(run: Run) -> None:
    async def main() -> None:
        async with make(Gate) as app:
            runner = app.backend._runners[Service.of(Gate)]  # type: ignore[union-attr]
            slow = asyncio.create_task(app.call(Gate.pass_, 1))
            await wait(gates[-1].began)
            runner._free_at = time.monotonic() + 60
            assert await app.call(Gate.glance, 2) == 2
            assert runner.left(time.monotonic()) > 50
            gates[-1].open.set()
            assert await slow == 1
            assert runner.left(time.monotonic()) == 0

    run(main())
