"""Real workers under random calls, cancels, deadlines, slow readers, renewals and deaths.

Whatever happens: each call ends exactly once, with its own answer or a typed error, and not long
after its deadline; and when all is over, nothing is left: no call, no task, no file, no process.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import pytest

SERVICES = Path(__file__).parent.parent / "services"
sys.path[:0] = [path for path in (str(SERVICES),) if path not in sys.path]

from mill import Item, Job, Mill, Refused  # noqa: E402

from mothlight import App  # noqa: E402
from mothlight.backend.base import Request  # noqa: E402
from mothlight.errors import (  # noqa: E402
    Cancelled,
    DeadlineExceeded,
    Error,
    Internal,
    Overloaded,
    Unavailable,
)
from mothlight.services import Service  # noqa: E402

T = TypeVar("T")

SECONDS = float(os.environ.get("SOAK_SECONDS", "20"))
CLIENTS = 48
LATE = 3.0
"""Seconds after its deadline at which a call must have ended, whatever else the machine does."""

UNARY = [Mill.together, Mill.patient, Mill.once, Mill.alone, Mill.aside]
STREAMS = [Mill.count, Mill.count_async, Mill.step]


class Soak:
    def __init__(self, app: App, seed: int) -> None:
        self.app, self.random = app, random.Random(seed)
        self.ends: Counter[str] = Counter()
        self.numbers: set[int] = set()
        self.ended: set[int] = set()
        self.latest = 0.0
        self.loop = asyncio.get_running_loop()

    @property
    def crew(self) -> Any:
        return self.app.backend._crews[Service.of(Mill)]  # type: ignore[attr-defined]

    # Calls

    async def client(self, until: float) -> None:
        while self.loop.time() < until:
            await self.call()
            if self.random.random() < 0.3:
                await asyncio.sleep(self.random.uniform(0, 0.05))

    async def call(self) -> None:
        rnd = self.random
        streams = rnd.random() < 0.3
        method: Any = rnd.choice(STREAMS if streams else UNARY)
        n = rnd.randrange(1 << 50)
        job = Job(
            n=n,
            count=rnd.choice([0, 1, 5, 200]),
            kind=rnd.choices(["", "refuse", "fail"], [0.9, 0.06, 0.04])[0],
            seconds=rnd.choice([0, 0, 0, 0.001, 0.02]) / (10 if streams else 1),
            padding="x" * rnd.choice([0, 0, 10, 100_000]),
        )
        deadline = self.loop.time() + rnd.choice([0.001, 0.02, 0.2]) if rnd.random() < 0.3 else None
        request = Request(
            method,
            method.input.encode(job),
            f"call-{n}",
            deadline,
            urgency=rnd.choice([0, 3, 3, 3, 7]),
            principal=rnd.choice("aaabc"),
        )
        self.numbers.add(n)
        work = self.read(request, job) if streams else self.ask(request, job)
        task = asyncio.ensure_future(work)
        if rnd.random() < 0.2:
            self.loop.call_later(rnd.choice([0, 0.001, 0.01, 0.1]), task.cancel)
        await asyncio.wait([task], timeout=60)
        assert task.done(), f"{method.name} never ended: {job}"
        end = "cancelled" if task.cancelled() else task.result()
        if deadline is not None:
            self.latest = max(self.latest, self.loop.time() - deadline)
        assert n not in self.ended
        self.ended.add(n)
        self.ends[end] += 1

    async def ask(self, request: Request, job: Job) -> str:
        try:
            reply = await self.app.backend.unary(request)
        except Error as error:
            return self.judge(error, request, job)
        assert request.method.output.decode(reply.payload) == Item(n=job.n), "another's answer"
        assert job.kind == ""
        return "ok"

    async def read(self, request: Request, job: Job) -> str:
        items = self.app.backend.stream(request)
        expected = 0
        slow = self.random.random() < 0.2
        leave = self.random.randrange(job.count + 1) if self.random.random() < 0.1 else None
        try:
            async for payloads in items:
                for payload in payloads:
                    found = request.method.output.decode(payload)
                    assert found == Item(n=job.n, at=expected), "another's item, or out of order"
                    expected += 1
                if leave is not None and expected >= leave:
                    return "left"
                if slow:
                    await asyncio.sleep(0.01)
        except Error as error:
            return self.judge(error, request, job)
        finally:
            await items.aclose()  # type: ignore[attr-defined]
        assert expected == job.count, "a stream that was cut short looks whole"
        assert job.kind == "" or (job.kind == "fail" and request.method is Mill.step)
        return "ok"

    def judge(self, error: Error, request: Request, job: Job) -> str:
        """Whether a call may end with this error; its name."""
        match error:
            case Refused(n=n):
                assert n == job.n and job.kind == "refuse", "another's error"
            case DeadlineExceeded():
                early = (request.deadline or math.inf) - time.monotonic()
                assert early < 0.002, "uvloop's clock ticks in milliseconds, but no slower"
            case Overloaded(retry_after=seconds):
                assert seconds > 0
            case Unavailable(reason=reason):
                assert reason.startswith("the worker died"), reason
            case Cancelled():  # raised by the method itself, an instant before we give up
                assert request.method is Mill.alone and request.deadline is not None
                assert request.deadline - time.monotonic() < 0.002
            case Internal():
                # With a batch that is not run again in parts, one that fails takes all along.
                assert job.kind == "fail" or request.method is Mill.once
            case _:
                raise AssertionError(f"{request.method.name} ended with {error!r}")
        return type(error).__name__

    # Faults

    async def faults(self, until: float) -> None:
        while self.loop.time() + 3 < until:
            await asyncio.sleep(self.random.uniform(2, 3.5))
            serving = [p for p in self.crew._processes if p.ready]
            if serving:
                what = self.random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGSTOP])
                os.kill(self.random.choice(serving).pid, what)
                self.ends[f"({what.name})"] += 1

    # The end

    async def settle(self) -> None:
        """Waits until nothing is under way; fails where something stays."""
        crew = self.crew
        end = time.monotonic() + 20
        while any(p.busy or not p.ready for p in crew._processes) or crew.ready < 2:
            left = [(p.pid, p.ready, p._batches, p._running._streams) for p in crew._processes]
            assert time.monotonic() < end, f"still there: {left}"
            await asyncio.sleep(0.02)
        scheduler = crew.scheduler
        assert scheduler.waiting == 0 and scheduler.bytes == 0
        assert not scheduler.live
        assert not any(len(line.queue) for line in scheduler.lines.values())
        for process in crew._processes:
            assert process.left(time.monotonic()) == 0.0
            assert not any(process._running._places.values())
        assert {await self.app.call(Mill.states) for _ in range(20)} == {0}, "states stay open"


def children() -> set[int]:
    task = Path(f"/proc/self/task/{os.getpid()}/children")
    return {int(pid) for pid in task.read_text().split()}


@pytest.mark.slow
def test_soak(capsys: pytest.CaptureFixture[str]) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    errors: list[dict[str, Any]] = []

    async def main() -> Soak:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: errors.append(context))
        app = App(Mill, workers=2, drain=5, max_queue=64, worker_calls=4000)
        async with app:
            soak = Soak(app, seed)
            until = loop.time() + SECONDS
            async with asyncio.timeout(SECONDS + 60), asyncio.TaskGroup() as group:
                group.create_task(soak.faults(until))
                for _ in range(CLIENTS):
                    group.create_task(soak.client(until))
            await soak.settle()
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return soak

    run(asyncio.sleep(0))  # libuv opens a pipe once, and keeps it
    files, processes = open_files(), children()
    soak = run(main())
    gc.collect()
    with capsys.disabled():
        calls = len(soak.numbers)
        print(f"\nsoak {seed}: {calls} calls, {dict(soak.ends)}, at most {soak.latest:.3f} s late")
    assert not errors, errors
    assert soak.ended == soak.numbers
    assert soak.latest < LATE
    assert {"ok", "cancelled", "Refused", "Internal", "DeadlineExceeded", "Unavailable"} <= set(
        soak.ends
    ), "a kind of end that did not come up"
    assert open_files() <= files, "files stay open"
    assert children() == processes, "processes stay"


def open_files() -> Counter[str]:
    """What files are open, by kind."""
    found: Counter[str] = Counter()
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the folder's own has gone
            found[os.readlink(f"/proc/self/fd/{name}").partition(":")[0]] += 1
    return found


def run(work: Coroutine[Any, Any, T]) -> T:
    with contextlib.suppress(ImportError):  # the server's event loop, where there is one
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(work)
    return asyncio.run(work)
