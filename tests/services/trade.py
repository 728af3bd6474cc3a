"""A service whose calls a test holds in its hand: they begin, wait and die when told to."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from pydantic import BaseModel

from mothlight import Error, Step, batched, method, service, stepped


class Order(BaseModel):
    """``path``: beside it stand the marks of what the call has done."""

    path: str
    count: int = 1_000_000


class Refused(Error):
    "{why}"

    why: str


class TooMuch(Error):
    "{asked} is too much"

    asked: int

    @property
    def detail(self) -> str:
        return f"{100 // self.asked} would do"


def mark(path: str, what: str) -> None:
    Path(f"{path}.{what}").touch()


def wait_for(path: str, what: str) -> None:
    end = time.monotonic() + 20
    while not Path(f"{path}.{what}").exists():
        assert time.monotonic() < end, f"no {what}"
        time.sleep(0.002)


@service
class Trade:
    @method
    def pid(self) -> int:
        return os.getpid()

    @method
    def hold(self, path: str) -> int:
        "Begins, and ends when the file .go stands there."
        mark(path, "began")
        wait_for(path, "go")
        return os.getpid()

    @method
    def die(self, signal: int) -> None:
        os.kill(os.getpid(), signal)
        time.sleep(20)

    @method
    def leave(self, status: int) -> None:
        sys.exit(status)

    @method
    async def leave_async(self, status: int) -> None:
        sys.exit(status)

    @method
    async def beside(self, x: int) -> int:
        return x

    @method(raises=[TooMuch])
    def buy(self, number: int) -> int:
        raise TooMuch(asked=number)

    @batched(max_size=8)
    def echo(self, texts: list[str]) -> list[str | Refused]:
        return [Refused(why=t) if t.startswith("no") else t for t in texts]

    @method
    def count(self, order: Order) -> Iterator[int]:
        try:
            for number in range(order.count):
                Path(f"{order.path}.made").write_text(str(number + 1))
                yield number
        finally:
            mark(order.path, "closed")

    @method
    def bulk(self, size: int) -> Iterator[str]:
        while True:
            yield "x" * size

    @method
    async def bulk_async(self, size: int) -> AsyncIterator[str]:
        while True:
            yield "x" * size

    def begin(self, size: int) -> int:
        return size

    @stepped(begin, max_size=4)
    def bulk_stepped(self, sizes: list[int]) -> list[Step[str]]:
        return [Step("x" * size) for size in sizes]

    @method
    async def count_async(self, order: Order) -> AsyncIterator[int]:
        try:
            for number in range(order.count):
                Path(f"{order.path}.made").write_text(str(number + 1))
                yield number
        finally:
            mark(order.path, "closed")

    @method(raises=[Refused])
    def stumble(self, kind: str) -> Iterator[str]:
        yield "first"
        if kind == "declared":
            raise Refused(why="as agreed")
        if kind == "exit":
            sys.exit(4)
        if kind == "kill":
            os.kill(os.getpid(), 9)
        raise ValueError("a secret")


@service
class Second:
    @method
    def pid(self) -> int:
        return os.getpid()
