"""Calls that are kept, and that nobody comes back for: nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from mothlight import App
from mothlight.calls.local import LocalCalls
from mothlight.calls.record import Record
from services import loom
from unit.asgi import Exchange

ANSWERS, STREAMS = 10_000, 200  # of these, half are left while they run
GRACE, KEEP = 30.0, 300.0
DEADLINE = 60.0


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead


def call(app: App, verb: str, path: str, message: object = None, query: str = "") -> Exchange:
    """A request with a key of its own."""
    headers = {"idempotency-key": uuid4().hex, "content-type": "application/json"}
    body = b"" if message is None else json.dumps(message).encode()
    return Exchange(app, verb, path, body, headers=headers, query=query)


def timers(loop: Loop) -> int:
    return sum(not timer.cancelled() for timer in loop._scheduled)  # type: ignore[attr-defined]


def records() -> int:
    """Those that are in memory, whoever refers to them."""
    return sum(type(found) is Record for found in gc.get_objects())


@contextmanager
def uncollected() -> Iterator[None]:
    """What is only freed by the collector of cycles stays."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def until(is_so: object, what: str) -> None:
    """Goes on when ``is_so()`` is; the events that it waits for come from this loop."""
    for _ in range(10_000):
        if is_so():  # type: ignore[operator]
            return
        await asyncio.sleep(0.001)
    raise AssertionError(what)


async def make(app: App, name: str) -> list[asyncio.Task[object]]:
    """The calls; those that are left run."""
    for _ in range(ANSWERS):
        answer = await call(app, "GET", "/loom/find", query=f"name={name}")()
        assert answer.status == 200
    loom.gate(name)
    left = []
    for number in range(STREAMS):
        order = {"name": name, "count": 20, "hold_at": 10 if number % 2 else -1}
        stream = call(app, "POST", "/loom/weave", order)
        if number % 2:
            left.append((stream, asyncio.create_task(stream())))
        else:
            assert (await stream()).status == 200
    for stream, _ in left:
        await stream.sent.wait()
    for stream, _ in left:
        stream.leave()
    return [task for _, task in left]


def test_ten_thousand_calls_that_nobody_asks_for_again_leave_nothing() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Loop)
        app = App(loom.Loom, workers=0, grace=GRACE, keep=KEEP, drain=0)
        name = uuid4().hex
        async with app:
            calls = app.calls
            assert isinstance(calls, LocalCalls)
            await call(app, "GET", "/loom/find", query="name=warm")()
            loop.ahead += KEEP + 1
            await until(lambda: not calls.records, "the first is forgotten")
            gc.collect()
            tasks, waits, known = len(asyncio.all_tasks()), timers(loop), records()
            with uncollected():
                await asyncio.wait_for(asyncio.gather(*await make(app, name)), DEADLINE)
                assert len(calls.records) == ANSWERS + STREAMS == records() - known
                assert calls.room.bytes > 0
                own = STREAMS // 2  # the model's, of those that run
                assert timers(loop) <= waits + own + 5, "one timer for all"

                loop.ahead += GRACE + 1
                await until(lambda: loom.LEFT[name] == STREAMS, "those that were left are stopped")
                assert len(calls.records) == ANSWERS + STREAMS

                loop.ahead += KEEP + 1
                await until(lambda: not calls.records, "all are forgotten")
                await until(lambda: timers(loop) == waits, "no timer is left")
                assert calls.room.bytes == 0
                assert not len(calls._left) and not len(calls._done) and not calls._newest
                assert len(asyncio.all_tasks()) == tasks
                assert records() == known, "none is kept alive, not even by a cycle"

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())
