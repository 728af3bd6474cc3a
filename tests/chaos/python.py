"""Calls of the ledger with our own client, none like another, whose results are known before."""

from __future__ import annotations

import hashlib

from chaos.driver import file_of
from mothlight import AsyncClient, File
from services.ledger import Entry, Ledger, Order, Parcel, entry

ITEMS = 200


async def ask(client: AsyncClient, kind: str, number: int) -> None:
    """A call that no other is like; fails where its result is not its own."""
    match kind:
        case "json":
            assert await client.call(Ledger.enter, Order(number=number)) == entry(number)
        case "multipart":
            data = file_of(number)
            text = await client.call(Ledger.post, Parcel(file=File(data), number=number))
            assert text == f"{number} {hashlib.sha256(data).hexdigest()}"
        case "raw file":
            data = file_of(number)
            stamped = await client.call(Ledger.stamp, File(data))
            assert stamped.data == hashlib.sha512(data).digest() * 50
        case _:
            method = Ledger.read if kind == "stream" else Ledger.dictate
            order = Order(number=number, count=ITEMS)
            items: list[Entry] = [item async for item in client.stream(method, order)]
            assert items == [entry(number + at) for at in range(ITEMS)]


KINDS = ["json", "multipart", "raw file", "stream", "slow stream"]
