"""Real workers that hang, cannot be renewed, die while they are, or die again and again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from frail import FOLDER, Frail

from mothlight import App, StartupError
from mothlight.backend import crew as crew_module
from mothlight.backend.health import Limits
from mothlight.errors import DeadlineExceeded, Unavailable
from mothlight.services import Service

Run = Callable[[Coroutine[Any, Any, Any]], Any]


class Folder:
    """Decides over the starts of workers, and knows them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def say(self, what: str) -> None:
        (self.path / what).touch()

    def unsay(self, what: str) -> None:
        (self.path / what).unlink()

    @property
    def starts(self) -> list[int]:
        return [int(line) for line in (self.path / "starts").read_text().split()]

    @property
    def living(self) -> list[int]:
        return [pid for pid in self.starts if Path(f"/proc/{pid}").exists()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    made = Folder(tmp_path)
    yield made
    assert made.living == []


@asynccontextmanager
async def serving(limits: Limits | None = None, **options: Any) -> AsyncIterator[tuple[App, Any]]:
    app = App(Frail, **{"workers": 1, "grace": 5, **options})
    crew = app.backend._crews[Service.of(Frail)]  # type: ignore[attr-defined]
    if limits:
        crew.terms = replace(crew.terms, limits=limits)
    async with app:
        yield app, crew


async def until(found: Callable[[], Any], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not found():
            await asyncio.sleep(0.005)


def test_a_stream_that_does_not_end_costs_no_other_its_items(run: Run, folder: Folder) -> None:
    async def main() -> None:
        async with serving(Limits(hang=0.5)) as (app, _):
            before = await app.call(Frail.pid)
            hung, fine = app.stream(Frail.tick, 3600.0), app.stream(Frail.tick, 0.05)
            assert await anext(hung) == 0
            assert [await anext(fine) for _ in range(3)] == [0, 1, 2]
            await hung.aclose()  # type: ignore[attr-defined]
            await until(lambda: len(folder.starts) == 2)
            # The new one serves; the old one goes on with what somebody reads.
            while await app.call(Frail.pid) == before:
                await asyncio.sleep(0.02)
            assert [await anext(fine) for _ in range(5)] == [3, 4, 5, 6, 7]
            assert len(folder.living) == 2
            await fine.aclose()  # type: ignore[attr-defined]
            begin = time.monotonic()
            await until(lambda: before not in folder.living)
            assert time.monotonic() - begin < 3, "nobody waits for what is left"

    run(main())


def test_a_model_that_holds_the_interpreter_and_is_awaited(run: Run, folder: Folder) -> None:
    async def main() -> None:
        async with serving(Limits(silence=1.5)) as (app, _):
            begin = time.monotonic()
            with pytest.raises(Unavailable, match=r"it gave no sign of life for \d s"):
                await app.call(Frail.hold_the_interpreter, 60)
            assert 1.4 < time.monotonic() - begin < 5
            assert await app.call(Frail.pid) == folder.starts[-1]

    run(main())


def test_a_front_that_stood_still_does_not_blame_its_workers(run: Run, folder: Folder) -> None:
    async def main() -> None:
        async with serving(Limits(silence=1.0)) as (app, crew):
            before = await app.call(Frail.pid)
            (worker,) = crew._processes
            time.sleep(1.5)  # on the event loop
            worker.heard -= 5  # as if its signs of life had not been read yet
            await asyncio.sleep(crew_module._ROUND * 1.5)
            assert await app.call(Frail.pid) == before

    run(main())


def test_a_renewal_that_fails_keeps_the_old_worker(
    run: Run, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving(worker_calls=3) as (app, crew):
            folder.say("fail")
            (old,) = folder.starts
            for _ in range(3):
                assert await app.call(Frail.pid) == old
            await until(lambda: len(folder.starts) == 3, 20)
            assert await app.call(Frail.pid) == old, "it serves on"
            assert "no weights today" in caplog.text and "the old worker serves on" in caplog.text
            with pytest.raises(StartupError, match="no weights today") as caught:
                while crew._processes[0].renewing:
                    await asyncio.sleep(0.005)
                await app.backend.reload()  # type: ignore[attr-defined]
            assert "the old worker serves on" in str(caught.value)
            folder.unsay("fail")
            await until(lambda: old not in folder.living, 20)
            assert await app.call(Frail.pid) == folder.starts[-1]

    run(main())


def test_a_worker_that_dies_while_it_is_renewed_has_one_successor(run: Run, folder: Folder) -> None:
    async def main() -> None:
        async with serving() as (app, crew):
            (old,) = folder.starts
            folder.say("wait")
            reload = asyncio.create_task(app.backend.reload())  # type: ignore[attr-defined]
            await until(lambda: len(folder.starts) == 2)
            os.kill(old, signal.SIGKILL)
            await until(lambda: old not in folder.living)
            folder.unsay("wait")
            await reload
            assert await app.call(Frail.pid) == folder.starts[1]
            await asyncio.sleep(0.3)  # longer than the pause before another would be started
            assert len(folder.starts) == 2 and len(crew._processes) == 1

    run(main())


def test_a_worker_that_dies_while_its_renewal_fails_is_replaced(run: Run, folder: Folder) -> None:
    async def main() -> None:
        async with serving() as (app, _):
            (old,) = folder.starts
            folder.say("wait")
            folder.say("fail")
            reload = asyncio.create_task(app.backend.reload())  # type: ignore[attr-defined]
            await until(lambda: len(folder.starts) == 2)
            os.kill(old, signal.SIGKILL)
            await until(lambda: old not in folder.living)
            folder.unsay("wait")
            with pytest.raises(StartupError):
                await reload
            folder.unsay("fail")
            assert await app.call(Frail.pid) == folder.starts[-1]

    run(main())


def test_a_hung_worker_that_cannot_be_renewed_is_killed(run: Run, folder: Folder) -> None:
    async def main() -> None:
        async with serving() as (app, _):
            await app.call(Frail.sleep, 0.001)
            (old,) = folder.starts
            folder.say("fail")
            with pytest.raises(DeadlineExceeded):
                await app.call(Frail.sleep, 3600.0, timeout=0.1)
            await until(lambda: old not in folder.living)
            folder.unsay("fail")
            assert await app.call(Frail.pid) != old

    run(main())


def test_a_stream_beside_a_call_that_hangs_goes_on(run: Run, folder: Folder) -> None:
    async def main() -> None:
        async with serving() as (app, _):
            await app.call(Frail.sleep, 0.001)
            (old,) = folder.starts
            items = app.stream(Frail.tick, 0.02)
            assert await anext(items) == 0
            with pytest.raises(DeadlineExceeded):
                await app.call(Frail.sleep, 3600.0, timeout=0.1)
            assert await app.call(Frail.pid, timeout=30) != old
            assert [await anext(items) for _ in range(200)] == list(range(1, 201))
            await items.aclose()  # type: ignore[attr-defined]
            await until(lambda: old not in folder.living)

    run(main())


def test_a_call_that_hangs_and_holds_the_interpreter_holds_up_no_stream(
    run: Run, folder: Folder
) -> None:
    async def main() -> None:
        async with serving() as (app, _):
            await app.call(Frail.hold_the_interpreter, 1)
            items = app.stream(Frail.tick, 0.02)
            assert await anext(items) == 0
            with pytest.raises(DeadlineExceeded):
                await app.call(Frail.hold_the_interpreter, 60, timeout=0.1)
            async with asyncio.timeout(20):
                with pytest.raises(Unavailable, match="it hangs"):
                    async for _ in items:
                        pass

    run(main())


def test_a_call_that_is_left_may_take_as_long_as_others_did(run: Run, folder: Folder) -> None:
    async def main() -> None:
        async with serving() as (app, _):
            for seconds in (0.001, 0.001, 1.5):
                await app.call(Frail.sleep, seconds)
            with pytest.raises(DeadlineExceeded):
                await app.call(Frail.sleep, 2.4, timeout=0.1)
            await app.call(Frail.pid)
            assert len(folder.starts) == 1

    run(main())


def test_whatever_a_renewal_meets_the_old_worker_stays_healthy(
    run: Run, folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving(worker_calls=1) as (app, crew):
            hire, (old,) = crew._hire, folder.starts

            async def odd(process: Any) -> None:
                monkeypatch.setattr(crew, "_hire", hire)
                raise ValueError("what nobody thought of")

            monkeypatch.setattr(crew, "_hire", odd)
            assert await app.call(Frail.pid) == old
            await until(lambda: "what nobody thought of" in caplog.text)
            await until(lambda: len(folder.starts) == 2)
            await until(lambda: old not in folder.living)

    run(main())


def test_a_start_that_was_given_up_does_not_succeed_later(run: Run, folder: Folder) -> None:
    async def main() -> None:
        async with serving() as (_, crew):
            process = crew._process(crew.terms.placements[0])
            process.started = asyncio.get_running_loop().create_future()
            process._fail_start("it took too long")
            process._begin({}, crew.service.fingerprint)
            assert not process.ready
            with pytest.raises(StartupError, match="it took too long"):
                await process.started

    run(main())


def test_workers_that_die_young_are_started_less_and_less_often(
    run: Run, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with serving() as (app, crew):
            folder.say("die")
            os.kill(folder.starts[0], signal.SIGKILL)
            await until(lambda: len(folder.starts) == 5, 20)
            assert crew._pause >= 0.8
            folder.unsay("die")
            pid = 0
            while not pid:
                with contextlib.suppress(Unavailable):  # the last one that dies
                    pid = await app.call(Frail.pid)
            assert pid == folder.starts[-1]
            assert "3 deaths in a row" in caplog.text

    caplog.set_level(logging.INFO)
    run(main())


def test_a_stop_waits_for_nobody_who_has_left(run: Run, folder: Folder) -> None:
    async def main() -> float:
        async with serving(drain=20) as (app, _):
            with pytest.raises(DeadlineExceeded):
                await app.call(Frail.sleep, 3600.0, timeout=0.1)
            begin = time.monotonic()
        return time.monotonic() - begin

    assert run(main()) < 5


def test_a_renewal_gives_streams_time_however_short_a_stop_is(run: Run, folder: Folder) -> None:
    async def main() -> None:
        async with serving(drain=0) as (app, _):
            (old,) = folder.starts
            stream = app.stream(Frail.tick, 0.005)
            assert await anext(stream) == 0
            reload = asyncio.create_task(app.backend.reload())  # type: ignore[attr-defined]
            await until(lambda: len(folder.starts) == 2)
            while await app.call(Frail.pid) == old:
                await asyncio.sleep(0.02)
            # More than are on their way
            assert [await anext(stream) for _ in range(200)] == list(range(1, 201))
            assert old in folder.living and not reload.done()
            await stream.aclose()  # type: ignore[attr-defined]
            await reload
            assert old not in folder.living

    run(main())


def test_what_outlasts_a_renewal_is_told_of_it(
    run: Run, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with serving(drain=0) as (app, _):
            stream = app.stream(Frail.tick, 0.05)
            assert await anext(stream) == 0
            await app.backend.reload()  # type: ignore[attr-defined]
            with pytest.raises(Unavailable, match=r"its worker was renewed, .* within 0\.3 s"):
                async for _ in stream:
                    pass

    monkeypatch.setattr(crew_module, "_RELIEF", 0.3)
    run(main())
