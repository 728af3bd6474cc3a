"""Mirror: a call that runs here as other replicas see it: its items and its end in Redis, and the
readers who follow it from there."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
from pydantic_core import to_json

from ..backend.base import Reply
from ..errors import Cancelled, Superseded, Unavailable
from ..schema import Payload
from ..settings import Settings
from . import scripts
from .base import State
from .log import Reader
from .record import Record, Waiter
from .store import Store, Word, call_key, items_key, latest_key, place

MARGIN = 60.0
"""Seconds beyond all others that Redis knows a call that nobody renews: its replica is dead."""

SLACK = 5.0
"""Seconds that it knows one whose time is over, where its replica did not take it back."""

_GONE = 256

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Payload).decode
_unpack_reply = msgspec.msgpack.Decoder(Reply).decode


def payload(data: bytes) -> Payload:
    """An item as it was in Redis."""
    return _unpack(data)


def reply(data: bytes) -> Reply:
    """The answer of a unary call as it was in Redis."""
    return _unpack_reply(data)


def life(settings: Settings) -> int:
    """Milliseconds that Redis knows a running call that is not renewed."""
    return round(1000 * (settings.keep + settings.grace + MARGIN))


class Mirror:
    """Copies a record, as far as it can: where Redis is away it goes on when ``changed`` is called
    after that. ``run`` starts its work."""

    __slots__ = ("_gone", "_run", "_task", "at", "has_ended", "id", "is_lost", "is_running",
                 "keys", "place", "readers", "record", "settings", "store", "token")  # fmt: skip

    def __init__(
        self,
        record: Record,
        token: str,
        id: str,
        store: Store,
        settings: Settings,
        run: Callable[[Coroutine[Any, Any, object]], asyncio.Task[object]],
    ) -> None:
        self.record, self.token, self.id = record, token, id
        self.store, self.settings, self._run = store, settings, run
        terms = record.terms
        self.place = place(terms.owner, terms.id)
        self.keys = [call_key(self.place), items_key(self.place)]
        if terms.supersede:
            self.keys.append(latest_key(terms.owner, terms.supersede))
        self.readers: dict[tuple[str, str], Reader | Waiter] = {}
        self._gone: set[tuple[str, str]] = set()  # readers who have left
        self.at = 0  # the number of the last item that was copied
        self.is_running = self.has_ended = self.is_lost = False  # as Redis knows it
        self._task: asyncio.Task[object] | None = None
        if record.log is not None:
            record.log.changed = self.changed
            record.log.copy(0)

    # What Redis is told

    @property
    def is_behind(self) -> bool:
        """Whether something is to be copied."""
        record = self.record
        if self.is_lost or self.has_ended:
            return False
        if record.finished is not None:
            return True
        if record.log is not None and self.at < record.log.count:
            return True
        return not self.is_running and record.state is State.RUNNING

    def changed(self) -> None:
        """Copies what is new, soon."""
        if self._task is None and self.is_behind and self.store.is_up:
            self._task = self._run(self._copy())

    def rewrite(self) -> None:
        """Tells Redis all of it anew: it may have lost it."""
        self.has_ended = self.is_running = False
        if self._task is None and not self.is_lost:
            self._task = self._run(self._copy(claims=True))

    async def settled(self) -> None:
        """Waits until it is copied, or cannot be."""
        while self._task is not None and not self._task.done():  # cancelled before it began, say
            await asyncio.wait([self._task])

    async def _copy(self, *, claims: bool = False) -> None:
        try:
            if claims:
                await self._claim()
            while self.is_behind:
                await self._step()
        except Unavailable:
            if self.record.log is not None:
                self.record.log.copy(None)  # who reads it here need not wait for Redis
        finally:
            self._task = None

    async def _step(self) -> None:
        log = self.record.log
        if log is not None and max(self.at, log.first) < log.count:
            start = max(self.at, log.first)
            items = log.take(start)
            found = await self._append(start, list(map(_pack, items)))
            if isinstance(found, int):
                self.at = max(found, log.first)
                return
            if isinstance(found, list):
                self.at = max(self.at, start + len(items))
                log.copy(self.at)
        elif self.record.finished is not None:
            found = await self._end()
            self.has_ended = isinstance(found, list)
        else:
            found = await self._append(self.at, [])
        if found == b"gone":
            await self._claim()
        elif found == b"lost":
            self._lose()
        else:
            self.is_running = True
            if found and found[0]:
                self.stop(found[0].decode())

    async def _append(self, start: int, items: list[bytes]) -> Any:
        first = self.record.log.first if self.record.log is not None else 0
        told: list[Word] = [self.id, self.token, self.place, first, start]
        told += [life(self.settings), len(items)]
        told += [*items, *self._watchers()]
        return await self.store.run(scripts.APPEND, self.keys[:2], told)

    async def _end(self) -> Any:
        record = self.record
        problem = to_json(record.error.problem()) if record.error else b""
        answer = _pack(record.reply) if record.reply is not None else b""
        told: list[Word] = [self.id, self.token, self.place]
        told += [record.state.value, repr(record.finished)]
        told += [self.left(), problem, answer, int(record.never_ran), *self._watchers()]
        return await self.store.run(scripts.END, self.keys, told)

    def left(self) -> int:
        """Milliseconds that a call that has ended is known."""
        since = time.time() - (self.record.finished or 0.0)
        return max(1, round(1000 * (self.settings.keep + SLACK - since)))

    async def _claim(self) -> None:
        """Takes the call's place in Redis again, which has lost it."""
        record = self.record
        words: list[Word] = [self.id, self.token, record.method.qualname, record.digest]
        words += [repr(record.created), life(self.settings), self.place, 1]
        found = await self.store.run(scripts.CLAIM, self.keys[:1], words)
        if found:  # somebody else has it by now
            self._lose()

    def _lose(self) -> None:
        self.is_lost = True
        if self.record.log is not None:
            self.record.log.changed = None
            self.record.log.copy(None)
        for key in list(self.readers):
            self.left_by(*key)

    def _watchers(self) -> set[str]:
        return {replica for replica, _ in self.readers}

    # What others tell it

    def stop(self, why: str) -> None:
        """Somebody has stopped it."""
        self.record.stop(Superseded() if why == "superseded" else Cancelled())

    def go_on(self, seconds: float) -> None:
        """Somebody elsewhere was told that it goes on in the background, for so long at most."""
        self.record.is_acknowledged = True
        if not self.record.terms.is_background:
            now = self.record.loop.time()
            self.record.go_on(None if seconds == math.inf else now + seconds)

    def read_by(self, replica: str, reader: str, at: int) -> None:
        """A reader elsewhere has been sent the items up to number ``at``."""
        log, known = self.record.log, self.readers.get((replica, reader))
        if self.is_lost or (replica, reader) in self._gone:  # what he said last may come last
            return
        if log is None:
            if known is None and self.record.finished is None:
                self.readers[replica, reader] = waiter = self.record.join()
                waiter.add_done_callback(_retrieve)
            return
        at = max(log.first, min(at, log.count))
        if known is None:
            self.readers[replica, reader] = log.open(at)
            self.record.alone = None
        elif isinstance(known, Reader) and at > known.at:
            known.at = known.sent = at
            log.advance(known)

    def left_by(self, replica: str, reader: str) -> None:
        """A reader elsewhere has left."""
        known = self.readers.pop((replica, reader), None)
        if len(self._gone) < _GONE:
            self._gone.add((replica, reader))
        if isinstance(known, Reader):
            self.record.leave(known)
        elif known is not None:
            known.cancel()


def _retrieve(waiter: asyncio.Future[Reply]) -> None:
    if not waiter.cancelled():
        waiter.exception()
