"""Talk: a conversation that blocks. It is the one on asyncio, on a loop in a thread of its own.

The blocking connection of websockets has one lock for what is sent and what has come: while a
message waits for room on the network, no item comes in, and a method that gives more than it takes
would wait for its caller, and its caller for it.

caller <── items ── _Relay <── talk on asyncio <── frames ── _Reader <── messages
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import aclosing, suppress
from typing import Any, Generic, TypeVar

from . import talk_aio
from .conversation import Conversation
from .options import MEBI
from .outbox import Frame

O = TypeVar("O")  # noqa: E741

AHEAD, AHEAD_BYTES = 64, MEBI
"""What waits between two threads at most: items, and messages and their bytes."""


def talk(conversation: Conversation[O], messages: Iterable[Any]) -> Generator[O, None, None]:
    """The items of a call that takes these messages. What taking them raises is raised here."""
    relay = _Relay(conversation, messages)
    try:
        while items := relay.take():
            yield from items
    finally:
        relay.stop()


class _Relay(Generic[O]):
    """Hands over what comes on the loop to the thread that waits for it."""

    def __init__(self, conversation: Conversation[O], messages: Iterable[Any]) -> None:
        self._items: list[O] = []
        self._error: BaseException | None = None
        self._is_over = False
        self._changed = threading.Condition()
        self._running = threading.Event()
        work = self._run(conversation, messages)
        self._thread = threading.Thread(
            target=asyncio.run, args=(work,), name="mothlight-talk", daemon=True
        )
        self._thread.start()
        self._running.wait()

    def take(self) -> list[O]:
        """The items that have come, at least one; none after the last. Raises the call's error."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._is_over)
            items, self._items = self._items, []
        if len(items) >= AHEAD:
            self._tell(self._room.set)
        if not items and self._error is not None:
            raise self._error
        return items

    def stop(self) -> None:
        """Ends the conversation, wherever it stands."""
        self._tell(self._task.cancel)
        if threading.current_thread() is not self._thread:  # the collector works in any
            self._thread.join()

    def _tell(self, what: Any) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(what)

    async def _run(self, conversation: Conversation[O], messages: Iterable[Any]) -> None:
        self._loop, self._room = asyncio.get_running_loop(), asyncio.Event()
        self._task: Any = asyncio.current_task()
        self._running.set()
        try:
            frames = _Reader(conversation, messages).frames()
            async with aclosing(talk_aio.talk(conversation, frames)) as items:
                async for item in items:
                    if not self._give(item):
                        await self._room.wait()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify()

    def _give(self, item: O) -> bool:
        """Whether there is room for more."""
        with self._changed:
            self._items.append(item)
            self._changed.notify()
            if len(self._items) < AHEAD:
                return True
            self._room.clear()
            return False


class _Reader:
    """Takes messages in a thread, for the next one may take its time. A thread that waits for one
    cannot be ended: it ends when that comes."""

    def __init__(self, conversation: Conversation[Any], messages: Iterable[Any]) -> None:
        self._encode, self._messages = conversation.encode, messages
        self._frames: list[Frame] = []
        self._bytes = 0
        self._error: BaseException | None = None
        self._is_over = self._is_left = False
        self._changed = threading.Condition()

    async def frames(self) -> AsyncGenerator[Frame]:
        """The messages' frames. Raises what taking them raises."""
        self._loop, self._ready = asyncio.get_running_loop(), asyncio.Event()
        threading.Thread(target=self._read, name="mothlight-messages", daemon=True).start()
        try:
            while frames := await self._next():
                for frame in frames:
                    yield frame
        finally:
            with self._changed:
                self._is_left = True
                self._changed.notify()

    async def _next(self) -> list[Frame]:
        await self._ready.wait()
        with self._changed:
            frames, self._frames, self._bytes = self._frames, [], 0
            if not self._is_over:
                self._ready.clear()
            self._changed.notify()
        if not frames and self._error is not None:
            raise self._error
        return frames

    def _read(self) -> None:
        try:
            for message in self._messages:
                if not self._put(self._encode(message)):
                    if close := getattr(self._messages, "close", None):
                        close()
                    break
        except BaseException as error:
            self._error = error
        with self._changed:
            self._is_over = True
            self._tell()

    def _put(self, frame: Frame) -> bool:
        """Waits until there is room. False where nobody wants it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_left or not self._is_full)
            if self._is_left:
                return False
            self._frames.append(frame)
            self._bytes += len(frame)
            if len(self._frames) == 1:
                self._tell()
            return True

    @property
    def _is_full(self) -> bool:
        return len(self._frames) >= AHEAD or self._bytes >= AHEAD_BYTES

    def _tell(self) -> None:
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._ready.set)
