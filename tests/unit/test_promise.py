"""A promise: its listener hears of its end in the same turn of the event loop, whatever the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mothlight.backend.promise import Promise, listen

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def promise() -> Promise[int]:
    return Promise(asyncio.get_running_loop())


ENDS: dict[str, Callable[[Promise[int]], object]] = {
    "result": lambda future: future.set_result(1),
    "error": lambda future: future.set_exception(KeyError("x")),
    "cancel": lambda future: future.cancel(),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_listener_hears_at_once_and_once(run: Run, end: Callable[[Promise[int]], object]) -> None:
    async def main() -> None:
        future, heard = promise(), list[Any]()
        listen(future, lambda ended: heard.append(ended.cancelled() or ended.exception()))
        end(future)
        assert len(heard) == 1
        future.cancel()
        await asyncio.sleep(0)
        assert len(heard) == 1

    run(main())


def test_second_listener_and_plain_future_hear_in_the_next_turn(run: Run) -> None:
    async def main() -> None:
        future, heard = promise(), list[str]()
        plain = asyncio.get_running_loop().create_future()
        listen(future, lambda _: heard.append("first"))
        listen(future, lambda _: heard.append("second"))
        listen(plain, lambda _: heard.append("plain"))
        future.set_result(1)
        plain.set_result(1)
        assert heard == ["first"]
        await asyncio.sleep(0)
        assert heard == ["first", "second", "plain"]

    run(main())


def test_who_comes_late_hears_in_the_next_turn(run: Run) -> None:
    async def main() -> None:
        future, heard = promise(), list[int]()
        future.set_result(7)
        listen(future, lambda ended: heard.append(ended.result()))
        assert heard == []  # not inside the call of whoever listens
        await asyncio.sleep(0)
        assert heard == [7]

    run(main())


def test_listener_that_raises_hurts_nobody(run: Run) -> None:
    async def main() -> None:
        loop, told = asyncio.get_running_loop(), list[dict[str, Any]]()
        loop.set_exception_handler(lambda _, context: told.append(context))
        future = promise()

        def fail(_: asyncio.Future[int]) -> None:
            raise RuntimeError("of the listener")

        listen(future, fail)
        future.set_result(1)
        assert await future == 1
        assert str(told[0]["exception"]) == "of the listener"

    run(main())


def test_it_can_be_awaited_beside_its_listener(run: Run) -> None:
    async def main() -> None:
        future, heard = promise(), list[int]()
        listen(future, lambda ended: heard.append(ended.result()))
        asyncio.get_running_loop().call_later(0.01, future.set_result, 3)
        assert await future == 3
        assert heard == [3]

    run(main())
