"""Record: one call in this process, who waits for it, and what became of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from copy import copy
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from ..backend.base import Backend, Reply, Request, by_deadline
from ..backend.promise import Promise, listen
from ..errors import (
    CallNotFound,
    Cancelled,
    DeadlineExceeded,
    Error,
    Internal,
    ItemsGone,
    Overloaded,
    QuotaExceeded,
    Superseded,
    Unavailable,
)
from ..schema import Payload
from ..services import Method
from ..timeline import Timeline
from .base import State, Status, Terms
from .identity import public
from .log import Log, Reader, Room, size
from .passage import Passage

log = logging.getLogger("mothlight")

Changed = Callable[["Record"], None]


def digest(method: Method[Any, Any, Any], payload: Payload) -> bytes:
    """What a request asks, in 16 bytes (BLAKE2b, RFC 7693)."""
    name, json = method.qualname.encode(), payload.json
    found = blake2b(b"%b:%d:%b" % (name, len(json), json), digest_size=16)
    for data, *told in payload.media:
        for part in (data, ascii(told).encode()):
            found.update(b"%d:" % len(part))
            found.update(part)
    return found.digest()


class Waiter(Promise[Reply]):
    """Somebody who waits for the answer of a unary call; to cancel it is to leave."""

    __slots__ = ("record",)

    def __init__(self, record: Record) -> None:
        super().__init__(asyncio.get_running_loop())
        self.record: Record | None = record

    def cancel(self, msg: Any | None = None) -> bool:
        if not super().cancel(msg):
            return False
        if (record := self.record) is not None:
            record.leave(self)
        return True


class Record:
    """``ended`` is told once when it ends, ``left`` whenever its last reader leaves it running.
    ``is_acknowledged``: a client was told that it is accepted, and will ask what became of it."""

    __slots__ = ("_ended", "_is_forgotten", "_left", "_limit", "_passage", "_ran", "_request",
                 "_task", "_waiters", "_work", "alone", "created", "digest", "error", "finished",
                 "inbox", "is_acknowledged", "log", "loop", "method", "reply", "size", "terms",
                 "timeline")  # fmt: skip

    def __init__(
        self, request: Request, terms: Terms, room: Room, *, ended: Changed, left: Changed
    ) -> None:
        self.terms, self.method = terms, request.method
        self.loop = asyncio.get_running_loop()
        self.digest = digest(request.method, request.payload) if terms.is_kept else b""
        self.created = time.time()
        self.finished: float | None = None
        self.alone: float | None = None  # since when nobody has been waiting for it
        self.reply: Reply | None = None
        self.error: Error | None = None
        self.size = 0
        request.timeline = request.timeline or Timeline()
        self.timeline: Timeline | None = request.timeline  # until it ends
        self._ran = False
        self.inbox = request.inbox
        self.is_acknowledged = False
        streams = self.method.cardinality.streams
        self.log = Log(room) if streams and terms.is_kept else None
        self._passage: Passage | None = None  # of a stream that is not kept
        self._ended, self._left = ended, left
        self._waiters: Sequence[Waiter] = ()
        self._request: Request | None = request  # until it ends
        self._work: asyncio.Future[Reply] | None = None
        self._task: asyncio.Task[None] | None = None
        self._limit: asyncio.TimerHandle | None = None
        self._is_forgotten = False

    # Its work

    def run(self, backend: Backend, request: Request) -> None:
        """Hands it to the backend. Raises Error where that refuses it."""
        if self.log is not None:
            self._task = asyncio.get_running_loop().create_task(self._pump(backend, request))
        elif self.method.cardinality.streams:
            self._passage = Passage(backend.stream(request))
        else:
            self._work = backend.unary(request)
            listen(self._work, self._answered)

    def _answered(self, work: asyncio.Future[Reply]) -> None:
        self._work = None
        if work.cancelled():
            self._end(Unavailable(reason="the server is stopping"))
        elif (error := work.exception()) is not None:
            self._end(self._typed(error))
        elif self.finished is None:
            self.reply = work.result()
            self.size = size(self.reply.payload)
            self._end(None)

    async def _pump(self, backend: Backend, request: Request) -> None:
        assert self.log is not None
        error: Error | None = None
        try:
            async with aclosing(backend.stream(request)) as items:  # type: ignore[type-var]
                async for payloads in items:
                    self.log.append(payloads)
                    if not self.method.cardinality.streams_out:
                        self.reply = Reply(payloads[-1], 0.0, 0.0, 1)
                    if self.log.is_full:
                        await by_deadline(request.deadline, self.log.space())
        except asyncio.CancelledError:
            error = Unavailable(reason="the server is stopping")
        except Exception as raised:
            error = self._typed(raised)
        self._end(error)

    def _typed(self, error: BaseException) -> Error:
        if isinstance(error, Error):
            return copy(error)  # it is kept, and the frames that raised it would be with it
        name, id = self.method.qualname, self.name
        told = {"calls": [id], "method": name}
        log.error("%s failed outside its worker (call %s)", name, id, exc_info=error, extra=told)
        return Internal()

    @property
    def name(self) -> str:
        """What the log calls it."""
        return public(self.terms.id)

    def go_on(self, deadline: float | None) -> None:
        """Goes on in the background, until ``deadline`` at most."""
        self.terms = replace(self.terms, is_background=True)
        if self.finished is None and deadline is not None:
            self._limit = self.loop.call_at(deadline, self.stop, DeadlineExceeded())

    def stop(self, error: Error) -> None:
        """Ends it with ``error``, and its work."""
        if self.finished is None:
            self._end(error)
            if self._work is not None:
                self._work.cancel()
            if self._task is not None:
                self._task.cancel()
            if self._passage is not None:
                self._passage.stop(error)

    def _end(self, error: Error | None) -> None:
        if self.finished is not None:
            return
        self.finished, self.error = time.time(), error
        if self._request is not None and self._request.place is not None:
            self._request.place.cancel()  # the newer call that ends it may need it at once
        # Nobody needs them any more, and the garbage collector looks at all that is kept.
        self._ran, self.timeline, self._request = self.has_begun, None, None
        if self._limit is not None:
            self._limit.cancel()
        if self.inbox is not None:
            self.inbox.drop()
        if self.log is not None:
            self.log.end(error)
        waiters, self._waiters = self._waiters, ()
        for waiter in waiters:
            self._settle(waiter)
        self._ended(self)

    def _settle(self, waiter: Waiter) -> None:
        waiter.record = None
        if waiter.done():
            return
        if self.error is not None:
            waiter.set_exception(copy(self.error))  # to raise it would add frames
        elif self.reply is not None:
            waiter.set_result(self.reply)
        else:  # it went to its reader
            waiter.set_exception(CallNotFound())

    # Who waits for it

    def patience(self, request: Request) -> float | None:
        """Until when a request waits for it. The deadline of the one that began it is its own."""
        return None if self.timeline is request.timeline else request.deadline

    def join(self) -> Waiter:
        """A future of its answer."""
        waiter = Waiter(self)
        if self.finished is not None:
            self._settle(waiter)
        else:
            self._waiters = [*self._waiters, waiter]
            self.alone = None
        return waiter

    def follow(self, after: int) -> AsyncIterator[Sequence[Payload]]:
        """Its items after number ``after``. Raises Error."""
        if self.log is not None:
            return self._read(self.log, after)
        assert self._passage is not None
        return self._pass(self._passage, after)

    async def _pass(self, passage: Passage, after: int) -> AsyncIterator[Sequence[Payload]]:
        if after or passage.is_taken:
            raise ItemsGone(after=after, first=passage.count, last=passage.count)
        passage.is_taken = True
        error: Error | None = Cancelled()  # unless it ends before its reader leaves
        try:
            while items := await passage.next():
                yield items
            error = None
        except Exception as raised:
            error = self._typed(raised)
            raise copy(error) from None
        finally:
            await passage.close()
            self._end(error)

    async def _read(self, log: Log, after: int) -> AsyncIterator[Sequence[Payload]]:
        reader = log.open(after)
        self.alone = None
        try:
            while items := await reader.read():
                yield items
        finally:
            self.leave(reader)

    def leave(self, who: Waiter | Reader) -> None:
        """Somebody does not wait any more."""
        if isinstance(who, Reader):
            assert self.log is not None
            self.log.close(who)
        else:
            self._waiters = [waiter for waiter in self._waiters if waiter is not who]
        if self.is_awaited:
            return
        if self.finished is None:
            self.alone = self.loop.time()
            self._left(self)
        elif self._is_forgotten:
            self.forget()

    @property
    def is_awaited(self) -> bool:
        if self._passage is not None:
            return self._passage.is_taken and self.finished is None
        return bool(self._waiters) or (self.log is not None and self.log.has_readers)

    # What is known of it

    @property
    def state(self) -> State:
        if self.finished is None:
            return State.RUNNING if self.has_begun else State.QUEUED
        if self.error is None:
            return State.DONE
        stopped = isinstance(self.error, Cancelled | Superseded)
        return State.CANCELLED if stopped else State.FAILED

    @property
    def never_ran(self) -> bool:
        """Whether it was refused before the model had it, so that it may be asked for again."""
        return isinstance(self.error, Overloaded | QuotaExceeded) and not self.has_begun

    @property
    def has_begun(self) -> bool:
        """Whether the model has it, or had it."""
        return self._ran or (self.timeline is not None and self.timeline.batch is not None)

    @property
    def is_remembered(self) -> bool:
        """Whether its end is kept for who asks later."""
        return self.terms.is_kept and (self.is_acknowledged or not self.never_ran)

    @property
    def _made(self) -> int:
        source = self.log or self._passage
        return source.count if source is not None else 0

    def status(self) -> Status:
        return Status(
            self.terms.owner,
            self.terms.id,
            self.method,
            self.state,
            self.created,
            self.finished,
            self._made,
            self.error.problem() if self.error else None,
        )

    def forget(self) -> None:
        """Lets go of what it holds, once nobody reads it any more."""
        self._is_forgotten = True
        if self.log is not None and not self.log.has_readers:
            self.log.drop()
