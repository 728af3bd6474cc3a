"""An event loop whose clock jumps to the next timer instead of waiting for it."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_START, _LONGEST = 1000.0, 1000.0


class _Jump(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("everything waits, and no timer will wake it: a lost wake-up")
        self.loop.now += timeout
        if self.loop.now > _START + _LONGEST:
            raise AssertionError("something waits, and only timers that start anew come up")
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only where something waits for it."""

    def __init__(self) -> None:
        selector = _Jump()
        selector.loop = self
        self.now = _START
        super().__init__(selector)
        self.failures: list[dict[str, Any]] = []
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    def time(self) -> float:
        return self.now


def run(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a virtual clock."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        result = runner.run(work)
    assert not loop.failures, loop.failures
    return result
