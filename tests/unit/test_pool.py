"""Real worker processes: how they start, work, die and end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from broken import BadExample, DiesAtStart, NoWeights, Slow
from trade import Order, Refused, Second, TooMuch, Trade

from mothlight import App, StartupError
from mothlight.backend import Pool
from mothlight.backend.base import Request
from mothlight.backend.line import Line
from mothlight.backend.wire import WINDOW
from mothlight.errors import (
    DeadlineExceeded,
    DefinitionError,
    Internal,
    Overloaded,
    Unavailable,
)
from mothlight.services import Service
from mothlight.settings import Settings

Run = Callable[[Coroutine[Any, Any, Any]], Any]


async def until(found: Callable[[], Any], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not found():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def app(*services: type, **options: Any) -> AsyncIterator[App]:
    made = App(*(services or (Trade,)), **{"workers": 1, "grace": 5, **options})
    async with made:
        yield made


async def place(made: App, request: Request) -> Any:
    return await made.backend._crews[request.method.service].scheduler.place(request)  # type: ignore[attr-defined]


def workers(made: App, service: type = Trade) -> list[Any]:
    return made.backend._crews[Service.of(service)]._processes  # type: ignore[attr-defined,no-any-return]


def line(made: App, method: Any) -> Line:
    """What waits for a method of Trade."""
    service = Service.of(Trade)
    crew = made.backend._crews[service]  # type: ignore[attr-defined]
    return crew.scheduler.line(service.methods[method.name])  # type: ignore[no-any-return]


# Start


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        (NoWeights, ["NoWeights could not be started", "Traceback", "in __init__",
                     "FileNotFoundError: weights.safetensors is not here"]),
        (BadExample, ["BadExample could not be started", "ZeroDivisionError", "return 1 // x"]),
        (DiesAtStart, ["DiesAtStart could not be started", "exit status 7"]),
    ],
)  # fmt: skip
def test_what_cannot_start_says_why_within_seconds(
    run: Run, service: type, expected: list[str]
) -> None:
    start = time.monotonic()
    with pytest.raises(StartupError) as caught:
        run(App(service, workers=2).start())
    assert time.monotonic() - start < 10
    for text in expected:
        assert text in str(caught.value)


def test_a_module_that_workers_cannot_import(run: Run, tmp_path: Path) -> None:
    module = tmp_path / "only_here.py"
    module.write_text(
        "import os, mothlight\n"
        "if os.environ.get('_MOTHLIGHT_FRONT'): import no_such_package\n"
        "@mothlight.service\n"
        "class Odd:\n"
        "    @mothlight.method\n"
        "    def say(self, x: int) -> int: return x\n"
    )
    sys.path.insert(0, str(tmp_path))
    try:
        import only_here  # type: ignore[import-not-found]

        with pytest.raises(StartupError, match="No module named 'no_such_package'"):
            run(App(only_here.Odd, workers=1).start())
    finally:
        sys.path.remove(str(tmp_path))


def test_a_start_that_takes_too_long_is_ended(run: Run) -> None:
    async def main() -> None:
        pool = Pool([Service.of(Slow)], Settings(start_timeout=0.5))
        with pytest.raises(StartupError, match=r"Slow was not ready after 0.5 s \(start_timeout"):
            await pool.start()

    run(main())


def test_a_start_that_is_cancelled_leaves_no_process(run: Run) -> None:
    async def main() -> None:
        made = App(Slow, workers=1)
        start = asyncio.create_task(made.start())
        await until(lambda: workers(made, Slow) and workers(made, Slow)[0]._popen)
        popen = workers(made, Slow)[0]._popen
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert popen.poll() == -signal.SIGKILL

    run(main())


# Work


def test_calls_streams_and_errors_reach_their_callers(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with app(Trade, Second) as made:
            texts = [f"{'no' if i % 7 == 0 else 'yes'}{i}" for i in range(100)]
            answers = await asyncio.gather(
                *(made.call(Trade.echo, t) for t in texts), return_exceptions=True
            )
            for text, answer in zip(texts, answers, strict=True):
                if text.startswith("no"):
                    assert isinstance(answer, Refused)
                    assert answer.why == text
                else:
                    assert answer == text
            assert await made.call(Trade.beside, 4) == 4
            order = Order(path=str(tmp_path / "a"), count=300)
            for method in (Trade.count, Trade.count_async):
                assert [n async for n in made.stream(method, order)] == list(range(300))
            pids = {await made.call(Trade.pid), await made.call(Second.pid), os.getpid()}
            assert len(pids) == 3, "each service has a process of its own"
            for kind, error in (("declared", Refused), ("secret", Internal)):
                found = []
                with pytest.raises(error):
                    async for item in made.stream(Trade.stumble, kind):
                        found.append(item)
                assert found == ["first"], "the items before an error arrive"

    run(main())


@pytest.mark.parametrize("number", [2**63, -(10**30), 0])  # of 0 its message cannot be made
def test_an_error_that_is_hard_to_tell_costs_no_worker(run: Run, number: int) -> None:
    async def main() -> None:
        async with app() as made:
            before = await made.call(Trade.pid)
            with pytest.raises(TooMuch) as caught:
                await made.call(Trade.buy, number)
            assert caught.value.asked == number
            assert await made.call(Trade.pid) == before

    run(main())


def test_an_idle_worker_takes_what_waits(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with app(workers=2) as made:
            path = str(tmp_path / "held")
            held = asyncio.create_task(made.call(Trade.hold, path))
            await until(Path(f"{path}.began").exists)
            pids = {await made.call(Trade.pid) for _ in range(8)}
            assert len(pids) == 1
            Path(f"{path}.go").touch()
            assert pids.isdisjoint({await held})

    run(main())


def test_a_busy_worker_still_serves_streams_and_asynchronous_calls(
    run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        async with app() as made:
            path = str(tmp_path / "held")
            held = [asyncio.create_task(made.call(Trade.hold, path)) for _ in range(4)]
            await until(Path(f"{path}.began").exists)
            assert await made.call(Trade.beside, 1) == 1
            order = Order(path=str(tmp_path / "s"), count=3)
            assert [n async for n in made.stream(Trade.count, order)] == [0, 1, 2]
            with pytest.raises(DeadlineExceeded):
                await made.call(Trade.pid, timeout=0.05)
            assert made.backend.queued == 3, "none is put behind one of unknown length"
            Path(f"{path}.go").touch()
            await asyncio.gather(*held)

    run(main())


async def held_for(made: App, path: str, seconds: float) -> None:
    """A call that takes so long."""
    call = asyncio.create_task(made.call(Trade.hold, path))
    await until(Path(f"{path}.began").exists)
    await asyncio.sleep(seconds)
    Path(f"{path}.go").touch()
    await call


def test_nothing_is_put_behind_a_call_that_takes_longer_than_predicted(
    run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        async with app() as made:
            await held_for(made, str(tmp_path / "known"), 0.1)
            path = str(tmp_path / "held")
            held = asyncio.create_task(made.call(Trade.hold, path))
            await until(Path(f"{path}.began").exists)
            await asyncio.sleep(0.5)  # and has taken long
            waits = [asyncio.create_task(made.call(Trade.pid)) for _ in range(2)]
            await asyncio.sleep(0)
            assert made.backend.queued == 2
            Path(f"{path}.go").touch()
            await asyncio.gather(held, *waits)

    run(main())


def test_a_batch_that_nobody_waited_for_says_nothing_of_what_one_costs(
    run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        async with app() as made:
            cost = line(made, Trade.hold).cost
            await held_for(made, str(tmp_path / "known"), 0.5)
            before = cost.of(1)
            assert before > 0.4
            for number in range(4):
                first = asyncio.create_task(held_for(made, str(tmp_path / f"{number}"), 0.5))
                await until((tmp_path / f"{number}.began").exists)
                behind = asyncio.create_task(made.call(Trade.hold, str(tmp_path / "never")))
                await asyncio.sleep(0)
                assert made.backend.queued == 0, "the worker has it already"
                behind.cancel()
                await first
            await made.call(Trade.pid)  # which is behind all that was cancelled
            assert cost.of(1) > 0.4
            assert not (tmp_path / "never.began").exists()

    run(main())


def test_the_queue_is_bounded(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with app(max_queue=2) as made:
            path = str(tmp_path / "held")
            held = [asyncio.create_task(made.call(Trade.hold, path)) for _ in range(3)]
            await until(lambda: made.backend.queued == 2)
            with pytest.raises(Overloaded):
                await made.call(Trade.pid)
            Path(f"{path}.go").touch()
            await asyncio.gather(*held)

    run(main())


# Streams that end early


@pytest.mark.parametrize("name", ["count", "count_async"])
def test_leaving_a_stream_closes_its_generator(run: Run, tmp_path: Path, name: str) -> None:
    async def main() -> None:
        async with app() as made:
            path = tmp_path / name
            items = made.stream(getattr(Trade, name), Order(path=str(path)))
            assert await anext(items) == 0
            await items.aclose()  # type: ignore[attr-defined]
            await until(Path(f"{path}.closed").exists)
            await until(lambda: not workers(made)[0].busy)
            assert await made.call(Trade.pid)

    run(main())


@pytest.mark.parametrize("name", ["count", "count_async"])
def test_streams_that_are_left_at_once_leave_nothing(run: Run, tmp_path: Path, name: str) -> None:
    async def main() -> None:
        async with app() as made:
            for number in range(20):
                order = Order(path=str(tmp_path / f"s{number}"))
                request = made._request(getattr(Trade, name), order, None)
                feed = await place(made, request)
                feed.cancel()
            await until(lambda: not workers(made)[0].busy)
            assert not workers(made)[0].busy

    run(main())


@pytest.mark.parametrize("name", ["count", "count_async"])
def test_a_slow_reader_holds_the_stream_back(run: Run, tmp_path: Path, name: str) -> None:
    async def main() -> None:
        async with app() as made:
            path = tmp_path / name
            made_file = Path(f"{path}.made")
            request = made._request(getattr(Trade, name), Order(path=str(path), count=1000), None)
            feed = await place(made, request)
            await until(lambda: len(feed._items) >= WINDOW)
            assert await made.call(Trade.beside, 1) == 1  # a round trip: nothing more is on its way
            assert len(feed._items) == WINDOW
            assert int(made_file.read_text()) <= WINDOW + 1
            found: list[bytes] = []
            while items := await feed.take():
                found += (item.json for item in items)
            assert found == [b"%d" % n for n in range(1000)]

    run(main())


@pytest.mark.parametrize("name", ["bulk", "bulk_async", "bulk_stepped"])
def test_a_slow_reader_holds_little_of_large_items(run: Run, name: str) -> None:
    async def main() -> None:
        async with app() as made:
            feed = await place(made, made._request(getattr(Trade, name), 1 << 20, None))

            async def rest() -> int:
                while True:
                    held = len(feed._items)
                    await asyncio.sleep(0.3)
                    assert await made.call(Trade.beside, 1) == 1
                    if held == len(feed._items) > 0:
                        return held

            most = WINDOW // 16  # MiB
            assert await rest() <= most
            read = 0
            while read < 3 * most:
                read += len(await feed.take())
            assert await rest() <= most
            feed.cancel()

    run(main())


def test_a_stream_past_its_deadline_is_ended(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with app() as made:
            path = tmp_path / "late"
            with pytest.raises(DeadlineExceeded):
                async for _ in made.stream(Trade.count, Order(path=str(path)), timeout=0.1):
                    pass
            await until(Path(f"{path}.closed").exists)

    run(main())


# Death


def test_a_worker_that_dies_is_replaced(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with app() as made:
            before = await made.call(Trade.pid)
            path = str(tmp_path / "held")
            held = asyncio.create_task(made.call(Trade.hold, path))
            items = made.stream(Trade.count, Order(path=str(tmp_path / "s")))
            assert await anext(items) == 0
            await until(Path(f"{path}.began").exists)
            os.kill(before, signal.SIGKILL)
            with pytest.raises(Unavailable, match="the worker died of signal 9"):
                await held
            with pytest.raises(Unavailable, match="the worker died of signal 9"):
                async for _ in items:
                    pass
            waiting = asyncio.create_task(made.call(Trade.pid))
            after = await waiting
            assert after != before
            assert made.backend.is_ready

    run(main())


def test_what_stood_behind_the_batch_that_dies_is_run_by_the_next_worker(
    run: Run, tmp_path: Path
) -> None:
    async def main() -> None:
        async with app() as made:
            await held_for(made, str(tmp_path / "known"), 1.0)
            paths = [str(tmp_path / name) for name in ("first", "behind", "left")]
            first = asyncio.create_task(made.call(Trade.hold, paths[0]))
            await until(Path(f"{paths[0]}.began").exists)
            before = workers(made)[0].pid
            behind = asyncio.create_task(made.call(Trade.hold, paths[1]))
            await asyncio.sleep(0)
            assert made.backend.queued == 0, "the worker has it already"
            os.kill(before, signal.SIGKILL)
            with pytest.raises(Unavailable, match="the worker died of signal 9"):
                await first
            Path(f"{paths[1]}.go").touch()
            assert await behind != before

    run(main())


@pytest.mark.parametrize(
    ("name", "reason"),
    [("leave", "exit status 7"), ("leave_async", "exit status 7"), ("stumble", "exit status 4")],
)
def test_a_model_that_exits_loses_no_call(run: Run, name: str, reason: str) -> None:
    async def main() -> None:
        async with app() as made:
            before = await made.call(Trade.pid)
            with pytest.raises(Unavailable, match=reason):
                if name == "stumble":
                    async for _ in made.stream(Trade.stumble, "exit"):
                        pass
                else:
                    await made.call(getattr(Trade, name), 7)
            assert await made.call(Trade.pid) != before

    run(main())


def test_a_killed_stream_is_unavailable_and_not_an_end(run: Run) -> None:
    async def main() -> None:
        async with app() as made:
            with pytest.raises(Unavailable, match="signal 9"):
                async for _ in made.stream(Trade.stumble, "kill"):
                    pass

    run(main())


# The end


def test_stop_drains_what_was_accepted(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        made = App(Trade, workers=1, drain=15)
        await made.start()
        path = str(tmp_path / "held")
        held = [asyncio.create_task(made.call(Trade.hold, path)) for _ in range(5)]
        items = made.stream(Trade.count, Order(path=str(tmp_path / "s"), count=200))
        assert await anext(items) == 0
        await until(Path(f"{path}.began").exists)
        popen = workers(made)[0]._popen
        stop = asyncio.create_task(made.stop())
        await until(lambda: not made.backend.is_ready)
        with pytest.raises(Unavailable, match="the server is stopping"):
            await made.call(Trade.pid)
        Path(f"{path}.go").touch()
        assert len(set(await asyncio.gather(*held))) == 1
        assert [n async for n in items] == list(range(1, 200))
        await stop
        assert popen.poll() == 0

    run(main())


def test_stop_waits_no_longer_than_its_grace(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        made = App(Trade, workers=1, drain=0.1)
        await made.start()
        path = str(tmp_path / "held")
        held = [asyncio.create_task(made.call(Trade.hold, path)) for _ in range(4)]
        await until(Path(f"{path}.began").exists)
        start = time.monotonic()
        await made.stop()
        assert time.monotonic() - start < 3
        for error in await asyncio.gather(*held, return_exceptions=True):
            assert isinstance(error, Unavailable)
            assert error.reason == "the server is stopping"

    run(main())


def test_an_app_starts_again(run: Run) -> None:
    async def main() -> None:
        made = App(Trade, workers=1)
        pids = set()
        for _ in range(2):
            async with made:
                pids.add(await made.call(Trade.pid))
        assert len(pids) == 2

    run(main())


PARENT = """
import asyncio, os, sys, mothlight
from trade import Trade

async def main():
    async with mothlight.App(Trade, workers=2) as app:
        print(await app.call(Trade.pid), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_workers_do_not_outlive_their_parent() -> None:
    services = str(Path(__file__).parent.parent / "services")
    environment = {**os.environ, "PYTHONPATH": services}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment
    ) as parent:
        assert parent.stdout
        try:
            assert int(parent.stdout.readline())
        finally:
            parent.kill()
        # The workers have inherited the pipe: it ends when the last of them has.
        assert parent.stdout.read() == b""


def test_cancelling_a_call_frees_its_place(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        async with app() as made:
            path = str(tmp_path / "held")
            held = [asyncio.create_task(made.call(Trade.hold, path)) for _ in range(6)]
            await until(lambda: made.backend.queued == 5)
            for task in held:
                task.cancel()
            await asyncio.wait(held)
            assert made.backend.queued == 0
            Path(f"{path}.go").touch()
            assert await made.call(Trade.pid)

    run(main())


def test_windows_is_told_to_do_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    made = App(Trade, workers=1)
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(DefinitionError, match="workers=0"):
        made.launch()
