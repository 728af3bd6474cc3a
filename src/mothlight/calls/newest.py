"""Newest: "the latest wins" among replicas."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

from ..errors import Superseded
from ..settings import Settings
from . import scripts
from .mirror import life
from .presence import Presence
from .record import Record
from .store import Word, latest_key, place


class Newest:
    """Which call is the newest with its supersede key, where Redis has a say in it: kept calls ask
    it before they run. Calls without a key do not wait for it: it is told of them, and tells."""

    def __init__(self, presence: Presence, settings: Settings) -> None:
        self.presence, self.store, self.settings = presence, presence.store, settings
        self._unkept: dict[str, Record] = {}  # by place
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def turn(self, key: str) -> asyncio.Lock:
        """One after the other: else Redis and we might differ in which one is the newest."""
        return self._turns.setdefault(key, asyncio.Lock())

    def announce(self, record: Record | None) -> None:
        """Tells the others of a call that is not kept."""
        if record is None or record.terms.is_kept or not record.terms.supersede:
            return
        where = place(record.terms.owner, record.terms.id)
        self._unkept[where] = record
        key = latest_key(record.terms.owner, record.terms.supersede)

        async def announce() -> None:
            if record.finished is None:
                words: list[Word] = [self.presence.id, life(self.settings), where]
                await self.store.run(scripts.LATEST, [key], words)

        self.presence.do(announce)

    def ended(self, record: Record) -> None:
        """Such a call has ended."""
        terms = record.terms
        if terms.supersede and self._unkept.pop(place(terms.owner, terms.id), None) is not None:
            if isinstance(record.error, Superseded):
                return  # another one is the newest
            key = latest_key(terms.owner, terms.supersede)
            mine = f"{place(terms.owner, terms.id)} {self.presence.id}"
            self.presence.do(lambda: self.store.run(scripts.UNLATEST, [key], [mine]))

    def stop(self, where: str) -> bool:
        """Another replica has a newer one; whether it is such a call."""
        if (record := self._unkept.get(where)) is None:
            return False
        record.stop(Superseded())
        return True
