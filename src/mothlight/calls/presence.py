"""Presence: this replica among the others: that it lives, which of them do, what they tell it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from secrets import token_hex
from typing import Any

from ..errors import Unavailable
from . import scripts
from .store import Store, Word, replica_key

BEAT = 1.0
"""Seconds between two signs of life."""

LIFE = 4.0
"""Seconds without one after which a replica is dead."""

_PENDING = 10_000
"""What may wait to be told or done, most."""

Work = Callable[[], Coroutine[Any, Any, object]]


class Presence:
    """``told`` is called with each message; ``beaten`` after each beat, with whether this replica
    was known to live and with those of ``others()`` that do not."""

    def __init__(
        self,
        store: Store,
        *,
        told: Callable[[list[str]], None],
        beaten: Callable[[bool, list[str]], None],
        others: Callable[[], list[str]],
    ) -> None:
        self.store = store
        self.id = token_hex(8)
        self._told, self._beaten, self._others = told, beaten, others
        self._wakes: dict[str, set[asyncio.Event]] = {}
        self._numbers = count(1)
        self._since: float | None = None  # when Redis came back
        self._tasks: set[asyncio.Task[object]] = set()
        self._work: deque[Work] = deque()
        self._unsent: deque[tuple[str, tuple[Word, ...]]] = deque()
        self._worker: asyncio.Task[object] | None = None

    async def start(self) -> None:
        """Returns when it was tried to reach Redis once."""
        await self._beat()
        self.spawn(self._live())
        self.spawn(self._listen())

    async def leave(self) -> None:
        """Says that this replica lives no more."""
        with contextlib.suppress(Unavailable):
            await self.store.run(scripts.DEL, [replica_key(self.id)])

    async def stop(self) -> None:
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            # One that ended to wait at this instant may not hear of it the first time.
            await asyncio.wait(self._tasks, timeout=0.1)
        self._work.clear()
        self._unsent.clear()

    def spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[object]:
        """Does something now; it ends when this does."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # That it lives

    @property
    def judges(self) -> bool:
        """Whether it may say of another that it is dead. Who has just found Redis again may not:
        the others may still look for it."""
        now = asyncio.get_running_loop().time()
        return self._since is not None and self._since + LIFE < now

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(BEAT)
            await self._beat()

    async def _beat(self) -> None:
        others = self._others()
        try:
            keys = [replica_key(self.id), *map(replica_key, others)]
            had, *alive = await self.store.beat(scripts.BEAT, keys, [round(LIFE * 1000)])
        except Unavailable:
            self._since = None
            return
        if self._since is None or not had:
            self._since = asyncio.get_running_loop().time()
        dead = [id for id, lives in zip(others, alive, strict=True) if not lives]
        self._beaten(bool(had), dead if self.judges else [])
        for _ in range(len(self._unsent)):
            replica, words = self._unsent.popleft()
            with contextlib.suppress(Unavailable):
                await self.store.tell(replica, *words)

    # What it is told, and tells

    async def _listen(self) -> None:
        while True:
            async for words in self.store.listen(self.id):
                if not words:
                    continue
                if words[0] == "wake":
                    for event in self._wakes.get(words[1], ()):
                        event.set()
                else:
                    self._told(words)
            await asyncio.sleep(BEAT / 2)

    @contextlib.contextmanager
    def watching(self, place: str) -> Iterator[tuple[int, asyncio.Event]]:
        """A number for a reader of a call, and an event that is set whenever something happens to
        the call."""
        event = asyncio.Event()
        self._wakes.setdefault(place, set()).add(event)
        try:
            yield next(self._numbers), event
        finally:
            events = self._wakes[place]
            events.discard(event)
            if not events:
                del self._wakes[place]

    def tell(self, replica: str, *words: Word) -> None:
        """Tells a replica something soon; once more when Redis is back, if it cannot be reached."""

        async def tell() -> None:
            try:
                if await self.store.tell(replica, *words):
                    return
            except Unavailable:
                pass
            if len(self._unsent) < _PENDING:
                self._unsent.append((replica, words))

        self.do(tell)

    def do(self, work: Work) -> None:
        """Does something soon, in the order in which it was asked for; what Redis is needed for is
        left undone where that is away."""
        if len(self._work) < _PENDING:
            self._work.append(work)
            if self._worker is None or self._worker.done():
                self._worker = self.spawn(self._drain())

    async def settle(self) -> None:
        """Waits until that is done."""
        if self._worker is not None:
            await asyncio.wait([self._worker])

    async def _drain(self) -> None:
        while self._work:
            with contextlib.suppress(Unavailable):
                await self._work.popleft()()
