"""LocalCalls: the calls of this process, in its memory.

A call is listed from its beginning until ``keep`` seconds after its end. One that is kept may be
left for ``grace`` seconds; any other is cancelled when its reader leaves, and gone when it ends.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from copy import copy

from .. import metrics
from ..backend.base import Backend, Reply, Request, by_deadline
from ..backend.inbox import Inbox
from ..errors import (
    CallNotFound,
    Cancelled,
    ItemsGone,
    KeyReused,
    MalformedRequest,
    Overloaded,
    Superseded,
    Unavailable,
)
from ..schema import Payload
from ..settings import Settings
from .base import Status, Terms
from .log import Room
from .record import Record, digest

_TICK = 0.02


class LocalCalls:
    """Calls of one process. ``ended`` is told of each call that ends, ``forgotten`` of each kept
    one whose time is over, and with True of one that is kept on for a reader."""

    def __init__(
        self,
        backend: Backend,
        settings: Settings,
        *,
        ended: Callable[[Record], None] | None = None,
        forgotten: Callable[[Record, bool], None] | None = None,
    ) -> None:
        self.backend, self.settings = backend, settings
        self.room = Room(settings.max_calls_bytes, settings.max_log, settings.max_log_items)
        self.records: dict[tuple[str, str], Record] = {}
        self._newest: dict[tuple[str, str], Record] = {}  # by owner and supersede key
        self._left = Later(settings.grace, self._abandon)
        self._done = Later(settings.keep, self._forget)
        self._is_stopping = False
        self._when_ended, self._when_forgotten = ended, forgotten

    async def start(self) -> None:
        self._is_stopping = False
        metrics.watch_calls(lambda: len(self.records), lambda: self.room.bytes)

    async def stop(self, grace: float) -> None:
        """Lets calls in the background end, which may be worth it without their answers, and ends
        the others at once: nobody could ask this process for them any more."""
        self._is_stopping = True
        self._stop_all(lambda record: not record.terms.is_background)
        end = asyncio.get_running_loop().time() + grace
        while self._has_background and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(_TICK)
        self._stop_all(lambda record: True)
        for later in (self._left, self._done):
            later.clear()
        for record in self.records.values():
            self.room.bytes -= record.size
            record.forget()
        self.records.clear()

    def _stop_all(self, which: Callable[[Record], bool]) -> None:
        for record in list(self.records.values()):
            if which(record):
                record.stop(Unavailable(reason="the server is stopping"))

    @property
    def _has_background(self) -> bool:
        return any(
            record.terms.is_background
            and record.finished is None
            and not (record.log is not None and record.log.is_full)  # which waits for a reader
            for record in self.records.values()
        )

    # Calls

    def unary(self, request: Request, terms: Terms | None) -> asyncio.Future[Reply]:
        if terms is None:
            return self.backend.unary(request)
        record = self.open(request, terms)
        answer, deadline = record.join(), record.patience(request)
        if deadline is None:
            return answer
        waits = asyncio.ensure_future(by_deadline(deadline, answer))
        waits.add_done_callback(lambda _: answer.cancel())  # it may not even have begun to wait
        return waits

    async def stream(
        self, request: Request, terms: Terms, after: int = 0
    ) -> AsyncIterator[Sequence[Payload]]:
        record = self.open(request, terms, after)
        deadline = record.patience(request)
        async with aclosing(record.follow(after)) as found:  # type: ignore[type-var]
            while items := await by_deadline(deadline, anext(found, None)):
                yield items

    async def begin(self, request: Request, terms: Terms) -> Status:
        return await self.acknowledge(self.open(request, terms))

    async def acknowledge(self, record: Record) -> Status:
        """Accepts a call for a client who leaves. Raises Error where it is refused."""
        await asyncio.sleep(0)  # in which a refusal is raised where there is one
        if record.never_ran and record.error:
            raise copy(record.error)
        record.is_acknowledged = True
        return record.status()

    async def status(self, owner: str, id: str) -> Status:
        return self.find(owner, id).status()

    def answer(self, owner: str, id: str) -> asyncio.Future[Reply]:
        return self.find(owner, id).join()

    async def items(self, owner: str, id: str, after: int = 0) -> AsyncIterator[Sequence[Payload]]:
        async with aclosing(self.find(owner, id).follow(after)) as found:  # type: ignore[type-var]
            async for items in found:
                yield items

    def inbox(self, owner: str, id: str) -> Inbox | None:
        record = self.records.get((owner, id))
        return record.inbox if record else None

    async def cancel(self, owner: str, id: str) -> None:
        self.find(owner, id).stop(Cancelled())

    # Records

    def find(self, owner: str, id: str) -> Record:
        """Raises CallNotFound."""
        record = self.records.get((owner, id))
        if record is None:
            raise CallNotFound
        return record

    def open(self, request: Request, terms: Terms, after: int = 0) -> Record:
        """The call of this id, which is begun where it is new, or never ran, and nobody has items
        of it: those went with what kept them. Raises Error."""
        place = (terms.owner, terms.id)
        known = self.records.get(place)
        if known is not None and not self.join(known, request, terms).never_ran:
            return known
        if self._is_stopping:
            raise Unavailable(reason="the server is stopping")
        if after:
            raise ItemsGone(after=after, first=0, last=0)
        self._make_room()
        record = Record(request, terms, self.room, ended=self._ended, left=self._leave)
        record.is_acknowledged = known is not None and known.is_acknowledged
        if terms.supersede:
            self.supersede(terms.owner, terms.supersede)
        record.run(self.backend, request)
        self.records[place] = record
        if terms.supersede:
            self._newest[terms.owner, terms.supersede] = record
        return record

    def join(self, known: Record, request: Request, terms: Terms) -> Record:
        """A call that is known, for whoever asks for it again. Raises Error."""
        if not (known.terms.is_kept and terms.is_kept):
            raise MalformedRequest(reason="this id is taken")
        if known.digest != digest(request.method, request.payload):
            raise KeyReused
        if terms.is_background and not known.terms.is_background:
            known.go_on(request.deadline)
        return known

    def supersede(self, owner: str, key: str) -> None:
        """Ends the call whose place a newer one takes."""
        if (older := self._newest.pop((owner, key), None)) is not None:
            older.stop(Superseded())

    def _make_room(self) -> None:
        """Forgets the calls that ended first where there are too many. Raises Overloaded."""
        for _ in range(len(self._done)):
            if len(self.records) < self.settings.max_calls and not self.room.is_full:
                return
            self._done.pop()
        if len(self.records) >= self.settings.max_calls:
            raise Overloaded(retry_after=1.0)

    # What happens to them

    def _leave(self, record: Record) -> None:
        if record.terms.is_background:
            return
        if record.terms.is_kept and self.settings.grace:
            self._left.add(record)
        else:
            record.stop(Cancelled())

    def _abandon(self, record: Record) -> None:
        """The grace of a call is over, unless somebody came back meanwhile."""
        alone = record.alone
        if alone is None or record.terms.is_background:
            return
        if alone + self.settings.grace <= record.loop.time():
            record.stop(Cancelled())

    def _ended(self, record: Record) -> None:
        terms = record.terms
        if terms.is_background:
            code = record.error.code.value if record.error else "ok"
            metrics.background_ended(record.method.qualname, code)
        if self._newest.get((terms.owner, terms.supersede)) is record:
            del self._newest[terms.owner, terms.supersede]
        if not record.is_remembered:
            self.records.pop((terms.owner, terms.id), None)
            record.forget()
        else:
            self.room.bytes += record.size
            self._done.add(record)
        if self._when_ended is not None:
            self._when_ended(record)

    def _forget(self, record: Record) -> None:
        if self.records.get((record.terms.owner, record.terms.id)) is not record:
            return  # it never ran, and was begun anew
        if self._when_forgotten is not None:
            self._when_forgotten(record, record.is_awaited)
        if record.is_awaited:  # by somebody who reads slowly
            self._done.add(record)
            return
        del self.records[record.terms.owner, record.terms.id]
        self.room.bytes -= record.size
        record.forget()


class Later:
    """Does something with each record, so many seconds after it was added: one timer for all, for
    they come due in the order in which they came."""

    def __init__(self, seconds: float, do: Callable[[Record], None]) -> None:
        self.seconds, self._do = seconds, do
        self._waiting: deque[tuple[float, Record]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, record: Record) -> None:
        self._waiting.append((record.loop.time() + self.seconds, record))
        if self._timer is None:
            self._timer = record.loop.call_later(self.seconds, self._ring)

    def pop(self) -> None:
        """Does it at once with the one that was added first."""
        self._do(self._waiting.popleft()[1])

    def clear(self) -> None:
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting and self._waiting[0][0] <= loop.time():
            self._do(self._waiting.popleft()[1])
        if self._waiting:
            self._timer = loop.call_at(self._waiting[0][0], self._ring)
