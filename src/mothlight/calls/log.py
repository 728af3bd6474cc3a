"""Log: the items of one stream, for readers that leave and come back.

first        sent           count
  │  for who   │  the reader  │
  │ comes back │  is to get   │
──┴────────────┴──────────────┴──>  half of the room each: then the producer waits
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass

from ..errors import Error, ItemsGone
from ..schema import Payload

CHUNK = 256
"""Items, and 256 bytes for each, that a reader is given at once."""

_FLOOR = 64 * 1024
"""Bytes that a log may hold even where all of them together are at their bound."""

_OVERHEAD = 120
"""Bytes of a Payload beside its contents."""

_PAUSE = 0.02


@dataclass(slots=True)
class Room:
    """What all logs and answers share: the bytes they may hold, and those that they do. One log may
    hold ``log_bytes`` and ``log_items``."""

    max_bytes: int
    log_bytes: int
    log_items: int
    bytes: int = 0

    @property
    def is_full(self) -> bool:
        return self.bytes >= self.max_bytes


def size(payload: Payload) -> int:
    """Bytes that a payload holds."""
    return payload.size + _OVERHEAD


class Log:
    """``first``: how many items are no longer held; ``count``: how many there were. An item is
    numbered from 1. ``changed`` is called when items come: somebody copies them, who has got as far
    as ``copied``."""

    __slots__ = ("_bytes", "_items", "_producer", "_readers", "_sent", "_unsent", "changed",
                 "copied", "count", "ended", "error", "first", "room")  # fmt: skip

    def __init__(self, room: Room) -> None:
        self.room = room
        self.first = self.count = 0
        self.ended = False
        self.error: Error | None = None
        self.changed: Callable[[], None] | None = None
        self.copied: int | None = None
        self._items: list[Payload] = []
        self._bytes = 0
        self._sent = 0  # by the reader that came last
        self._unsent = 0  # bytes after those
        self._readers: list[Reader] = []
        self._producer: asyncio.Future[None] | None = None

    # The producer

    def append(self, payloads: Sequence[Payload]) -> None:
        """Takes items; who has many waits for ``space`` between."""
        added = sum(map(size, payloads))
        self._items += payloads
        self.count += len(payloads)
        self._unsent += added
        self._hold(added)
        self._trim()
        for reader in self._readers:
            reader.wake()
        if self.changed is not None:
            self.changed()

    def copy(self, to: int | None) -> None:
        """Notes how far they are copied: what is not, is held. None: that does not matter now."""
        self.copied = to
        self._trim()
        self._look()

    def end(self, error: Error | None) -> None:
        """There are no more items: the stream has ended, or failed."""
        if not self.ended:
            self.ended, self.error = True, error
            for reader in self._readers:
                reader.wake()

    @property
    def is_full(self) -> bool:
        """Whether its reader is so far behind that no more items should be made."""
        room = self.room
        return (
            2 * self._unsent >= room.log_bytes
            or 2 * (self.count - self._sent) >= room.log_items
            or (room.is_full and self._unsent >= _FLOOR)
            or (self.copied is not None and self._bytes >= 2 * room.log_bytes)
            or (self.copied is not None and self.count - self.copied >= room.log_items)
        )

    async def space(self) -> None:
        """Waits until it is not full."""
        while self.is_full:
            if self.room.is_full:  # others hold it, and nobody would tell us
                await asyncio.sleep(_PAUSE)
            else:
                self._producer = asyncio.get_running_loop().create_future()
                await self._producer

    # The readers

    def open(self, after: int) -> Reader:
        """A reader of the items after number ``after``; it is the one that the producer waits for.
        Raises ItemsGone."""
        if not self.first <= after <= self.count:
            raise ItemsGone(after=after, first=self.first, last=self.count)
        reader = Reader(self, after)
        self._readers.append(reader)
        self._follow(after)
        return reader

    def close(self, reader: Reader) -> None:
        """A reader leaves."""
        if reader in self._readers:
            self._readers.remove(reader)
            if self._readers:
                self._follow(self._readers[-1].sent)

    def _follow(self, sent: int) -> None:
        self._sent = max(sent, self.first)  # a slow reader may have lost items that it waits for
        self._unsent = sum(map(size, self._items[self._sent - self.first :]))
        self._trim()
        self._look()

    def advance(self, reader: Reader) -> None:
        """Notes that what a reader was given is sent."""
        if reader is self._readers[-1] and reader.at > self._sent:
            start, stop = self._sent - self.first, reader.at - self.first
            self._unsent -= sum(map(size, self._items[max(0, start) : stop]))
            self._sent = reader.at
            self._trim()
            self._look()

    def _look(self) -> None:
        if self._producer is not None and not self.is_full:
            producer, self._producer = self._producer, None
            if not producer.done():
                producer.set_result(None)

    def take(self, at: int) -> list[Payload]:
        """Some of the items after number ``at``. Raises ItemsGone."""
        if at < self.first:
            raise ItemsGone(after=at, first=self.first, last=self.count)
        start = at - self.first
        items = self._items[start : start + CHUNK]
        held = 0
        for index, payload in enumerate(items):
            held += size(payload)
            if held > CHUNK * 256:
                return items[: index + 1]
        return items

    # What it holds

    def _trim(self) -> None:
        """Lets go of items that were sent, the oldest first: to three quarters of the bound, for
        that is to be done seldom."""
        room, old = self.room, 0
        most = self._sent - self.first
        if self.copied is not None:
            most = max(0, min(most, self.copied - self.first))
        if len(self._items) > room.log_items or self._bytes > room.log_bytes or room.is_full:
            bound = 3 * room.log_bytes // 4
            if room.is_full:
                bound = min(bound, _FLOOR)
            items, held = len(self._items), self._bytes
            while old < most and (items > 3 * room.log_items // 4 or held > bound):
                held -= size(self._items[old])
                items -= 1
                old += 1
        if old:
            freed = sum(map(size, self._items[:old]))
            del self._items[:old]
            self.first += old
            self._hold(-freed)

    def drop(self) -> None:
        """Lets go of everything: the call is forgotten."""
        self._items, self.first = [], self.count  # who reads on is told so
        self._hold(-self._bytes)

    def _hold(self, more: int) -> None:
        self._bytes += more
        self.room.bytes += more

    @property
    def has_readers(self) -> bool:
        return bool(self._readers)


class Reader:
    """One reader; ``at`` is the number of the last item that it was given, ``sent`` of the last
    that it has sent on."""

    __slots__ = ("_waits", "at", "log", "sent")

    def __init__(self, log: Log, at: int) -> None:
        self.log, self.at, self.sent = log, at, at
        self._waits: asyncio.Future[None] | None = None

    async def read(self) -> Sequence[Payload]:
        """The next items, once there are some; [] at the end. To ask again says that they are
        sent. Raises Error where the stream has failed, ItemsGone where others were faster."""
        log = self.log
        self.sent = self.at
        log.advance(self)
        while self.at >= log.count:
            if log.ended:
                if log.error:
                    raise copy(log.error)  # it is kept, and each raise adds frames to it
                return ()
            self._waits = asyncio.get_running_loop().create_future()
            await self._waits
        items = log.take(self.at)
        self.at += len(items)
        return items

    def wake(self) -> None:
        if self._waits is not None:
            waits, self._waits = self._waits, None
            if not waits.done():
                waits.set_result(None)
