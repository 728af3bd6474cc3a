"""Many calls over one socket, without a socket: what one of them does to the others."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import desk
import pytest
from desk import Desk

from mothlight import App
from mothlight.errors import Unavailable
from mothlight.principal import ANONYMOUS
from mothlight.protocols.multiplex import Multiplex
from mothlight.protocols.sockets import Gone, Opening

Run = Callable[[Coroutine[Any, Any, Any]], Any]
pytestmark = pytest.mark.usefixtures("fresh_hold")


class Frames:
    """A socket; None is the client that leaves."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[str | None] = asyncio.Queue()
        self.told: list[dict[str, Any]] = []

    def say(self, **frame: Any) -> None:
        self.asked.put_nowait(json.dumps(frame))

    async def read(self) -> str:
        if (frame := await self.asked.get()) is None:
            raise Gone
        return frame

    async def text(self, data: bytes) -> None:
        self.told.append(json.loads(data))

    async def until(self, **frame: Any) -> dict[str, Any]:
        while True:
            for told in self.told:
                if frame.items() <= told.items():
                    return told
            await asyncio.sleep(0.001)


class Elsewhere:
    """Calls that another replica runs: to stop one takes as long as the test says."""

    def __init__(self, calls: Any) -> None:
        self._calls, self.go = calls, asyncio.Event()
        self.stopped: list[str] = []
        self.error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._calls, name)

    async def cancel(self, owner: str, id: str) -> None:
        await self.go.wait()
        if self.error:
            raise self.error
        self.stopped.append(id)
        await self._calls.cancel(owner, id)


@pytest.mark.parametrize("error", [None, Unavailable(reason="Redis is away")])
def test_a_call_that_is_slow_to_stop_holds_up_no_other(run: Run, error: Any) -> None:
    async def main() -> None:
        async with App(Desk, workers=0, drain=0) as app:
            socket: Any = Frames()
            lanes = Multiplex(app.site.rest, Opening({}, None, ANONYMOUS))
            calls: Any = Elsewhere(lanes.calls)
            calls.error = error
            lanes.calls = calls
            serving = asyncio.create_task(lanes.run(socket))
            socket.say(open=1, path="/desk/slow", message=2)
            await socket.until(opened=1)
            for _ in range(3):
                socket.say(cancel=1)
            socket.say(open=2, path="/desk/bell")
            assert (await socket.until(item=2))["value"] == "ding"
            assert not [told for told in socket.told if "failed" in told]
            calls.go.set()
            desk.hold.go.set()
            assert (await socket.until(failed=1))["error"]["type"] == "Cancelled"
            assert len(calls.stopped) == (0 if error else 1)
            socket.asked.put_nowait(None)
            with pytest.raises(Gone):
                await serving

    run(main())


def test_who_leaves_at_once_has_cancelled_all_the_same(run: Run) -> None:
    async def main() -> None:
        async with App(Desk, workers=0, drain=0) as app:
            socket: Any = Frames()
            lanes = Multiplex(app.site.rest, Opening({}, None, ANONYMOUS))
            calls: Any = Elsewhere(lanes.calls)
            lanes.calls = calls
            serving = asyncio.create_task(lanes.run(socket))
            socket.say(open=1, path="/desk/slow", message=2)
            await socket.until(opened=1)
            socket.say(cancel=1)
            socket.asked.put_nowait(None)
            await asyncio.sleep(0.01)
            assert not serving.done()
            calls.go.set()
            with pytest.raises(Gone):
                await serving
            assert len(calls.stopped) == 1

    run(main())
