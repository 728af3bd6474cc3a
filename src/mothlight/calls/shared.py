"""SharedCalls: the calls of all replicas that share a Redis.

A call runs at the replica that it came to first; there it is as in LocalCalls, and a Mirror copies
it. Any other replica reads it from Redis, and tells its replica who reads, how far, and who has
left: grace and back-pressure are as in one process. Calls without a key stay out of Redis.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from secrets import token_hex
from typing import Any, NamedTuple

from ..backend.base import Backend, Reply, Request, by_deadline
from ..backend.inbox import Inbox
from ..errors import CallNotFound, ItemsGone, KeyReused, Unavailable
from ..schema import Payload
from ..services import Method, Service
from ..settings import Settings
from . import scripts
from .base import Status, Terms
from .local import LocalCalls
from .mirror import SLACK, Mirror, life
from .newest import Newest
from .presence import Presence
from .record import Record, digest
from .remote import Remote
from .store import Store, Word, call_key, items_key, latest_key, lost, place

_RENEW = 20
"""Beats between two times that running calls are renewed."""

_CHUNK = 100
"""Calls that are renewed at once."""

_TRIES = 3

_PAUSE = 0.02


class Elsewhere(NamedTuple):
    """A call that runs, or ran, at another replica; ``digest``: what it was asked."""

    by: str
    digest: bytes


class SharedCalls:
    """Calls of one replica among others."""

    def __init__(
        self, backend: Backend, settings: Settings, services: Sequence[Service], url: str
    ) -> None:
        self.backend, self.settings = backend, settings
        self.local = LocalCalls(backend, settings, ended=self._ended, forgotten=self._forgotten)
        self.store = Store(url)
        self.presence = Presence(
            self.store, told=self._told, beaten=self._beaten, others=self._others
        )
        self._methods: dict[str, Method[Any, Any, Any]] = {
            method.qualname: method for service in services for method in service.methods.values()
        }
        self._mirrors: dict[str, Mirror] = {}  # by place
        self._behind: set[Mirror] = set()  # those that a beat is to look at
        self._read: set[Mirror] = set()  # those that have readers elsewhere, or had
        self._opening: dict[str, asyncio.Task[Record | Elsewhere]] = {}
        self._stopped: dict[str, str] = {}  # why calls are to stop that are being opened
        self._newest = Newest(self.presence, settings)
        self._beats = 0
        self._is_stopping = False

    async def start(self) -> None:
        self._is_stopping = False
        await self.local.start()
        await self.presence.start()

    async def stop(self, grace: float) -> None:
        """Lets the kept calls end for ``grace`` seconds: their clients ask other replicas."""
        self._is_stopping = True
        end = time.monotonic() + grace
        await asyncio.gather(*self._opening.values(), return_exceptions=True)
        running = [m.record for m in self._mirrors.values() if m.record.finished is None]
        while running and time.monotonic() < end:
            await asyncio.sleep(_PAUSE)
            running = [record for record in running if record.finished is None]
        for record in list(self.local.records.values()):
            record.stop(Unavailable(reason="the server is stopping"))
        for mirror in list(self._mirrors.values()):
            await mirror.settled()
        await self.presence.settle()
        await self.local.stop(0)
        await self.presence.leave()
        await self.presence.stop()
        self._mirrors.clear()
        await self.store.close()

    # Calls

    def unary(self, request: Request, terms: Terms | None) -> asyncio.Future[Reply]:
        if terms is None:
            return self.backend.unary(request)
        if self._is_here(terms):
            future = self.local.unary(request, terms)
            self._newest.announce(self.local.records.get((terms.owner, terms.id)))
            return future
        return asyncio.get_running_loop().create_task(self._unary(request, terms))

    async def _unary(self, request: Request, terms: Terms) -> Reply:
        for _ in range(_TRIES):
            if isinstance(found := await self._open(request, terms), Record):
                return await by_deadline(found.patience(request), found.join())
            remote = self._remote(terms.owner, terms.id)
            with suppress(CallNotFound):  # it was refused there, and never ran
                return await by_deadline(request.deadline, remote.answer(request.method))
        raise lost()

    async def stream(
        self, request: Request, terms: Terms, after: int = 0
    ) -> AsyncIterator[Sequence[Payload]]:
        record = None
        if self._is_here(terms):
            record = self.local.open(request, terms, after)
            self._newest.announce(record)
        for _ in range(_TRIES):
            found = record or await self._open(request, terms, after)
            deadline = request.deadline
            if isinstance(found, Record):
                items, deadline = found.follow(after), found.patience(request)
            elif request.inbox is not None:
                raise Unavailable(reason="the replica that takes its messages is another one")
            else:
                items = self._remote(terms.owner, terms.id).follow(request.method, after)
            try:
                async with aclosing(items):  # type: ignore[type-var]
                    while payloads := await by_deadline(deadline, anext(items, None)):
                        after += len(payloads)  # who has items does not begin it anew
                        yield payloads
                return
            except CallNotFound:  # as above
                if isinstance(found, Record):
                    raise
        raise lost()

    async def begin(self, request: Request, terms: Terms) -> Status:
        if self._is_here(terms):
            return await self.local.begin(request, terms)
        for _ in range(_TRIES):
            if isinstance(found := await self._open(request, terms), Record):
                return await self.local.acknowledge(found)
            with suppress(CallNotFound):  # as above
                status = await self.status(terms.owner, terms.id)
                self._remote(terms.owner, terms.id).go_on(found.by, request.deadline)
                return status
        raise lost()

    async def status(self, owner: str, id: str) -> Status:
        if self._knows(owner, id):
            return await self.local.status(owner, id)
        remote = self._remote(owner, id)
        found = await remote.look()
        return remote.status(found, self._method(found.method))

    def answer(self, owner: str, id: str) -> asyncio.Future[Reply]:
        if self._knows(owner, id):
            return self.local.answer(owner, id)
        return asyncio.get_running_loop().create_task(self._answer(owner, id))

    async def _answer(self, owner: str, id: str) -> Reply:
        remote = self._remote(owner, id)
        return await remote.answer(self._method((await remote.look()).method))

    async def items(self, owner: str, id: str, after: int = 0) -> AsyncIterator[Sequence[Payload]]:
        if self._knows(owner, id):
            items = self.local.items(owner, id, after)
        else:
            remote = self._remote(owner, id)
            items = remote.follow(self._method((await remote.look()).method), after)
        async with aclosing(items):  # type: ignore[type-var]
            async for payloads in items:
                yield payloads

    def inbox(self, owner: str, id: str) -> Inbox | None:
        return self.local.inbox(owner, id)

    async def cancel(self, owner: str, id: str) -> None:
        if self._knows(owner, id):
            await self.local.cancel(owner, id)
        else:
            await self._remote(owner, id).stop()

    def _remote(self, owner: str, id: str) -> Remote:
        return Remote(self.presence, self.settings, owner, id)

    def _method(self, name: str) -> Method[Any, Any, Any]:
        """Raises CallNotFound: it is a call of another version of the services."""
        if (method := self._methods.get(name)) is None:
            raise CallNotFound
        return method

    def _is_here(self, terms: Terms) -> bool:
        """Whether Redis need not be asked for it."""
        return not terms.is_kept or self._knows(terms.owner, terms.id)

    def _knows(self, owner: str, id: str) -> bool:
        """Whether a call is, or was, here. One that never ran may be anywhere by now."""
        record = self.local.records.get((owner, id))
        return record is not None and not record.never_ran

    # Kept calls that begin

    async def _open(self, request: Request, terms: Terms, after: int = 0) -> Record | Elsewhere:
        """The call of this id, here or elsewhere; it is begun here where it is new. Who leaves
        meanwhile has left a call that goes on. Raises Error."""
        where = place(terms.owner, terms.id)
        opening = self._opening.get(where)
        is_first = opening is None
        if opening is None:
            opening = asyncio.get_running_loop().create_task(self._begin(request, terms, after))
            self._opening[where] = opening
            opening.add_done_callback(lambda _: self._opened(where))
        try:
            found = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_leave)
            raise
        if isinstance(found, Record):
            return found if is_first else self.local.join(found, request, terms)
        if found.digest != digest(request.method, request.payload):
            raise KeyReused
        return found

    async def _begin(self, request: Request, terms: Terms, after: int) -> Record | Elsewhere:
        if not terms.supersede:
            return await self._claim(request, terms, after)
        async with self._newest.turn(latest_key(terms.owner, terms.supersede)):
            return await self._claim(request, terms, after)

    async def _claim(self, request: Request, terms: Terms, after: int) -> Record | Elsewhere:
        if self._is_stopping:
            raise Unavailable(reason="the server is stopping")
        where, asked = place(terms.owner, terms.id), digest(request.method, request.payload)
        keys = [call_key(where)]
        if terms.supersede:
            keys.append(latest_key(terms.owner, terms.supersede))
        me, token = self.presence.id, token_hex(8)
        for _ in range(_TRIES):
            words: list[Word] = [me, token, request.method.qualname, asked, repr(time.time())]
            words += [life(self.settings), where, int(not after)]
            found = await self.store.run(scripts.CLAIM, keys, words)
            if found is None:
                raise ItemsGone(after=after, first=0, last=0)
            if not found:
                return self._run(request, terms, token)
            by, theirs, _ = found
            if by.decode() != me:
                return Elsewhere(by.decode(), theirs)
            # What we claimed and were not told of.
            await self.store.run(scripts.FORGET, [keys[0], items_key(where)], [me, "", where])
        raise lost()

    def _run(self, request: Request, terms: Terms, token: str) -> Record:
        where = place(terms.owner, terms.id)
        try:
            record = self.local.open(request, terms)
        except BaseException:
            self._release(terms, token)
            raise
        mirror = Mirror(
            record, token, self.presence.id, self.store, self.settings, self.presence.spawn
        )
        self._mirrors[where] = mirror
        self._behind.add(mirror)
        if (why := self._stopped.pop(where, None)) is not None:
            mirror.stop(why)
        return record

    def _opened(self, where: str) -> None:
        del self._opening[where]
        self._stopped.pop(where, None)

    def _release(self, terms: Terms, token: str) -> None:
        """Lets go of a call in Redis: it never ran, or its time is over."""
        where = place(terms.owner, terms.id)
        keys = [call_key(where), items_key(where)]
        if terms.supersede:
            keys.append(latest_key(terms.owner, terms.supersede))
        words = [self.presence.id, token, where]
        self.presence.do(lambda: self.store.run(scripts.FORGET, keys, words))

    # What happens here

    def _ended(self, record: Record) -> None:
        terms = record.terms
        if not terms.is_kept:
            self._newest.ended(record)
        elif (mirror := self._mirrors.get(where := place(terms.owner, terms.id))) is not None:
            if record.is_remembered:
                mirror.changed()
                self._behind.add(mirror)
            else:
                del self._mirrors[where]
                mirror.is_lost = True
                self._release(terms, mirror.token)

    def _forgotten(self, record: Record, stays: bool) -> None:
        where = place(record.terms.owner, record.terms.id)
        if (mirror := self._mirrors.get(where)) is None:
            return
        if stays:
            left = round(1000 * (self.settings.keep + SLACK))
            self.presence.do(lambda: self.store.run(scripts.KEEP, mirror.keys[:2], [left]))
        else:
            del self._mirrors[where]
            self._behind.discard(mirror)
            self._release(record.terms, mirror.token)

    # What other replicas say, and what the beat finds

    def _told(self, words: list[str]) -> None:
        what, where, *rest = words
        mirror = self._mirrors.get(where)
        if mirror is None:
            self._told_of_another(what, where, rest)
        elif what == "stop":
            mirror.stop(rest[0])
        elif what == "background":
            mirror.go_on(float(rest[0]))
        elif what == "at":
            mirror.read_by(rest[0], rest[1], int(rest[2]))
            self._read.add(mirror)
        elif what == "left":
            mirror.left_by(rest[0], rest[1])

    def _told_of_another(self, what: str, where: str, rest: list[str]) -> None:
        if where in self._opening:
            if what == "stop":
                self._stopped[where] = rest[0]
        elif what == "stop" and self._newest.stop(where):
            pass
        elif what in ("stop", "at"):  # we claimed it, and were not told so
            self.presence.do(lambda: self._disown(where))

    async def _disown(self, where: str) -> None:
        if where not in self._mirrors and where not in self._opening:
            keys = [call_key(where), items_key(where)]
            await self.store.run(scripts.FORGET, keys, [self.presence.id, "", where])

    def _others(self) -> list[str]:
        """The replicas that read calls of this one."""
        self._read = {mirror for mirror in self._read if mirror.readers}
        return list({replica for mirror in self._read for replica, _ in mirror.readers})

    def _beaten(self, was_known: bool, dead: list[str]) -> None:
        self._beats += 1
        for mirror in self._read if dead else ():
            for replica, reader in list(mirror.readers):
                if replica in dead:
                    mirror.left_by(replica, reader)
        if not was_known and self._beats > 1:  # Redis was started anew, or away for long
            self.presence.do(self._rewrite)
        for mirror in list(self._behind):
            mirror.changed()
            record = mirror.record
            if (
                mirror.is_lost
                or mirror.has_ended
                or (record.finished is None and mirror.is_running)
            ):
                self._behind.discard(mirror)
        if self._beats % _RENEW == 0:
            self.presence.do(self._renew)

    async def _rewrite(self) -> None:
        for mirror in list(self._mirrors.values()):
            mirror.rewrite()
            await mirror.settled()

    async def _renew(self) -> None:
        running = [m for m in self._mirrors.values() if m.record.finished is None]
        for start in range(0, len(running), _CHUNK):
            chunk = running[start : start + _CHUNK]
            keys = [key for m in chunk for key in (*m.keys, m.keys[0])[:3]]
            stops = await self.store.run(scripts.RENEW, keys, [life(self.settings)])
            for mirror, why in zip(chunk, stops, strict=True):
                if why:
                    mirror.stop(why.decode())


def _leave(opening: asyncio.Task[Record | Elsewhere]) -> None:
    """Nobody waits for a call that has just begun, unless somebody else does."""
    if opening.cancelled() or opening.exception() is not None:
        return
    record = opening.result()
    if isinstance(record, Record) and record.finished is None and not record.is_awaited:
        record.leave(record.join() if record.log is None else record.log.open(record.log.count))
