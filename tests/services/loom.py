"""A service whose calls a test counts, holds and lets go; for servers in the test's own process."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator

from pydantic import BaseModel, Field

from mothlight import Code, Error, File, batched, method, service

RAN: Counter[str] = Counter()
"""How often a call of this name began."""

ENDED: Counter[str] = Counter()
"""How often one was computed to its end."""

LEFT: Counter[str] = Counter()
"""How often one was left, by its end or before it."""

MADE: Counter[str] = Counter()
"""Items that a stream has made."""

GATES: dict[str, threading.Event] = {}
"""What the calls of a name wait for, where there is one."""


def gate(name: str) -> threading.Event:
    """Holds the calls of this name from now on, until it is set."""
    return GATES.setdefault(name, threading.Event())


class Order(BaseModel):
    """``hold_at``: the item before which it waits for the gate of its name."""

    name: str = "order"
    count: int = Field(20, ge=0, le=1_000_000)
    width: int = Field(0, ge=0, le=100_000)
    hold_at: int = -1
    fail_at: int = -1


class Torn(Error):
    "the thread of {name} is torn"

    code = Code.FAILED_PRECONDITION
    name: str


class Parcel(BaseModel):
    file: File
    name: str = "parcel"


async def _wait(name: str) -> None:
    if held := GATES.get(name):
        while not held.is_set():
            await asyncio.sleep(0.002)


@service
class Loom:
    @method
    async def hold(self, name: str) -> str:
        RAN[name] += 1
        try:
            await _wait(name)
            ENDED[name] += 1
        finally:
            LEFT[name] += 1
        return f"{name} is done"

    @method
    def block(self, name: str) -> str:
        RAN[name] += 1
        if held := GATES.get(name):
            assert held.wait(20)
        return name

    @batched(max_size=8)
    def together(self, names: list[str]) -> list[str]:
        RAN.update(names)
        return [name.upper() for name in names]

    @method(http="GET /loom/find")
    def find(self, name: str) -> dict[str, str]:
        RAN[name] += 1
        return {"name": name}

    @method
    def nothing(self, name: str) -> None:
        RAN[name] += 1

    @method
    def cloth(self, name: str) -> File:
        RAN[name] += 1
        return File(hashlib.sha512(name.encode()).digest() * 100, media_type="text/x-cloth")

    @method(raises=[Torn])
    def tear(self, name: str) -> str:
        RAN[name] += 1
        raise Torn(name=name)

    @method
    def weigh(self, parcel: Parcel) -> str:
        RAN[parcel.name] += 1
        return hashlib.sha256(parcel.file.data).hexdigest()

    @method(raises=[Torn])
    async def weave(self, order: Order) -> AsyncIterator[str]:
        RAN[order.name] += 1
        try:
            for number in range(1, order.count + 1):
                if number == order.hold_at:
                    await _wait(order.name)
                if number == order.fail_at:
                    raise Torn(name=order.name)
                MADE[order.name] += 1
                yield f"{number}:ünï\n" + "x" * order.width
            ENDED[order.name] += 1
        finally:
            LEFT[order.name] += 1

    @method(http="GET /loom/threads")
    def threads(self, order: Order) -> Iterator[int]:
        RAN[order.name] += 1
        for number in range(1, order.count + 1):
            MADE[order.name] += 1
            yield number
