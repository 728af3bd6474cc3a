"""Remote: a call that runs, or ran, at another replica, as Redis knows it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from ..backend.base import Reply
from ..errors import CallNotFound, Error, ItemsGone, Unavailable
from ..schema import Payload
from ..services import Method
from ..settings import Settings
from . import mirror, scripts
from .base import State, Status
from .presence import Presence
from .store import call_key, items_key, place

POLL = 0.5
"""Seconds after which a reader looks again, whatever it was told."""

_MOST = 64
"""Items that are read at once."""

_LAG = 2.0
"""Seconds that Redis may be behind what a reader of the call's own replica was sent."""

_STOPS = 3.0
"""Seconds that somebody waits for the end of a call that he stopped."""

_DIED = to_json(Unavailable(reason="the replica that ran it died").problem())


@dataclass(slots=True, frozen=True)
class Seen:
    """What Redis knows of a call; ``reply`` and ``held``: its answer, and the items after some
    number, where those were asked for."""

    by: str
    state: State
    method: str
    created: float
    ended: float | None
    items: int
    first: int
    problem: dict[str, Any] | None
    reply: bytes
    held: list[Payload]


def seen(found: Sequence[Any]) -> Seen:
    by, state, method, _, created, ended, items, first, problem, *more = found
    reply, held = more or (None, ())
    return Seen(
        by.decode(),
        State(state.decode()),
        method.decode(),
        float(created),
        float(ended) if ended else None,
        int(items),
        int(first),
        from_json(problem) if problem else None,
        reply or b"",
        [mirror.payload(fields[1]) for _, fields in held],
    )


class Remote:
    """One call, for somebody who asks this replica for it."""

    def __init__(self, presence: Presence, settings: Settings, owner: str, id: str) -> None:
        self.presence, self.store, self.settings = presence, presence.store, settings
        self.owner, self.id = owner, id
        self.place = place(owner, id)
        self._keys = [call_key(self.place), items_key(self.place)]
        self._by = ""

    async def look(self) -> Seen:
        """What is known of it. Raises CallNotFound, Unavailable."""
        return self._seen(await self.store.run(scripts.LOOK, self._keys, self._judgement()))

    async def _read(self, reader: int, after: int) -> Seen:
        words = [*self._judgement(), self.presence.id, self.place, reader, after, _MOST]
        return self._seen(await self.store.run(scripts.READ, self._keys, words))

    def _judgement(self) -> list[str | int | bytes]:
        keep = round(1000 * self.settings.keep)
        return [repr(time.time()), keep, int(self.presence.judges), _DIED]

    def _seen(self, found: Sequence[Any] | None) -> Seen:
        if found is None:
            raise CallNotFound
        known = seen(found)
        self._by = known.by
        return known

    def status(self, found: Seen, method: Method[Any, Any, Any]) -> Status:
        return Status(
            self.owner,
            self.id,
            method,
            found.state,
            found.created,
            found.ended,
            found.items,
            found.problem,
        )

    # Its answer, its items

    async def answer(self, method: Method[Any, Any, Any]) -> Reply:
        """The answer of a unary call. Raises Error."""
        with self._reading() as (reader, event):
            while True:
                event.clear()
                found = await self._read(reader, 0)
                if found.state.is_final:
                    if found.problem is not None:
                        raise Error.from_problem(found.problem, method.raises)
                    return mirror.reply(found.reply)
                await _first(event, POLL)

    async def follow(
        self, method: Method[Any, Any, Any], after: int
    ) -> AsyncIterator[Sequence[Payload]]:
        """The items of a stream after number ``after``. Raises Error."""
        patience = time.monotonic() + _LAG
        with self._reading() as (reader, event):
            while True:
                event.clear()
                found = await self._read(reader, after)
                failed = found.state.is_final and found.problem is not None
                is_ahead = after > found.items
                if after < found.first or (
                    is_ahead
                    and not failed
                    and (found.state.is_final or time.monotonic() > patience)
                ):
                    raise ItemsGone(after=after, first=found.first, last=found.items)
                if found.held:
                    after += len(found.held)
                    yield found.held
                elif found.state.is_final:
                    if found.problem is not None:
                        raise Error.from_problem(found.problem, method.raises)
                    return
                else:
                    await _first(event, POLL)

    @contextmanager
    def _reading(self) -> Iterator[tuple[int, asyncio.Event]]:
        """Its replica is told of a reader by each look, and when he leaves."""
        with self.presence.watching(self.place) as (reader, event):
            try:
                yield reader, event
            finally:
                self._leave(reader)

    def _leave(self, reader: int) -> None:
        if self._by:
            self.presence.tell(self._by, "left", self.place, self.presence.id, reader)

    def go_on(self, by: str, deadline: float | None) -> None:
        """Tells the replica that runs it to go on in the background, until ``deadline``."""
        now = asyncio.get_running_loop().time()
        left = math.inf if deadline is None else deadline - now
        self.presence.tell(by, "background", self.place, left)

    # Its end

    async def stop(self) -> None:
        """Stops it, and returns when it has ended. Raises CallNotFound."""
        with self.presence.watching(self.place) as (_, event):
            end = time.monotonic() + _STOPS
            while True:
                event.clear()
                if (await self.look()).state.is_final or time.monotonic() > end:
                    return
                await self.store.run(scripts.STOP, self._keys[:1], [self.place, "cancelled"])
                await _first(event, POLL / 4)


async def _first(event: asyncio.Event, seconds: float) -> None:
    """Waits for an event, so long at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
