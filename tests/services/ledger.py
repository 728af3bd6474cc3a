"""A service that writes down, in the file that ``LEDGER`` names, each call that it runs."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator

from pydantic import BaseModel, Field

from mothlight import Call, File, batched, current_call, current_calls, method, service


class Order(BaseModel):
    number: int
    count: int = Field(200, ge=0, le=10_000)


class Entry(BaseModel):
    number: int
    text: str


class Parcel(BaseModel):
    file: File
    number: int


def entry(number: int) -> Entry:
    return Entry(number=number, text=hashlib.sha256(b"%d" % number).hexdigest()[: number % 40])


def note(call: Call) -> None:
    """A line of its own for each run: writes of so few bytes are atomic."""
    file = os.open(os.environ["LEDGER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{call.id}\n".encode())
    os.close(file)


@service
class Ledger:
    @batched(max_size=8)
    def enter(self, orders: list[Order]) -> list[Entry]:
        for call in current_calls():
            note(call)
        return [entry(order.number) for order in orders]

    @method
    def post(self, parcel: Parcel) -> str:
        note(current_call())
        return f"{parcel.number} {hashlib.sha256(parcel.file.data).hexdigest()}"

    @method
    def stamp(self, file: File) -> File:
        note(current_call())
        return File(hashlib.sha512(file.data).digest() * 50, media_type="text/x-stamp")

    @method
    def read(self, order: Order) -> Iterator[Entry]:
        note(current_call())
        for number in range(order.count):
            yield entry(order.number + number)

    @method
    async def dictate(self, order: Order) -> AsyncIterator[Entry]:
        note(current_call())
        for number in range(order.count):
            yield entry(order.number + number)
            await asyncio.sleep(0.001)
