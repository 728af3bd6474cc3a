"""Intake: the messages that a client streams in, at the method that takes them.

client ─> Inbox ─ Pump, as many as are wanted ─> Intake ─ next(chunks) ─> method
The method's thread or task decodes them and opens their files, one at a time; what it has taken
makes room for more. In a worker there is a socket between Pump and Intake, in this process none.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ..call import Call
from ..errors import Cancelled, DeadlineExceeded, Error
from ..schema import Payload
from ..services import Method
from .answers import decode
from .inbox import MAX_BYTES, MAX_ITEMS


class Intake:
    """An ``Iterator`` and ``AsyncIterator`` of messages. ``want`` is told, in the method's thread,
    how many have been taken; ``aside`` is entered there while none has come."""

    def __init__(
        self,
        method: Method[Any, Any, Any],
        call: Call,
        want: Callable[[int], None],
        aside: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self.method, self.call = method, call
        self.taken = 0
        """How many messages the method has had."""
        self._want, self._aside = want, aside
        self._changed = threading.Condition()
        self._messages: deque[Payload] = deque()
        self._is_closed = False
        self._error: Error | None = None  # after the last message
        self._failure: Error | None = None  # at once
        self._unsaid = self._unsaid_bytes = 0  # taken since ``want`` was told
        self._wakers: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    # Whoever brings messages: any thread

    def put(self, payloads: Sequence[Payload]) -> None:
        """More messages have come."""
        with self._changed:
            if not self._is_closed:
                self._messages += payloads
                self._notify()

    def close(self, problem: dict[str, Any] | None) -> None:
        """There are no more; with a problem document, the client's input has failed."""
        error = None if problem is None else Error.from_problem(problem, self.method.raises)
        with self._changed:
            if not self._is_closed:
                self._is_closed, self._error = True, error
                self._notify()

    def cancel(self) -> None:
        """Nobody waits for the method any more: it is told so where it asks for a message."""
        self.fail(Cancelled())

    def fail(self, error: Error) -> None:
        """Drops what waits; whoever asks for a message gets ``error``."""
        with self._changed:
            self._is_closed, self._failure = True, self._failure or error
            self._messages.clear()
            self._notify()

    def _notify(self) -> None:
        self._changed.notify_all()
        for loop, event in self._wakers:
            loop.call_soon_threadsafe(event.set)
        self._wakers.clear()

    # The method: its thread or task

    def __iter__(self) -> Intake:
        return self

    def __next__(self) -> Any:
        while (payload := self._take(StopIteration)) is None:
            with self._aside(), self._changed:
                self._changed.wait_for(self._is_ready, self.call.remaining)
        message = self._decode(payload)
        self._note(payload)
        return message

    def __aiter__(self) -> Intake:
        return self

    async def __anext__(self) -> Any:
        while (payload := self._take(StopAsyncIteration)) is None:
            await self._wait()
        try:
            if payload.media:
                message = await asyncio.to_thread(self._decode, payload)
            else:
                message = self._decode(payload)
        except asyncio.CancelledError:  # wait_for(anext(chunks), ...): it is for the next one
            with self._changed:
                self._messages.appendleft(payload)
            raise
        self._note(payload)
        return message

    def _is_ready(self) -> bool:
        return bool(self._messages) or self._is_closed

    def _take(self, end: type[Exception]) -> Payload | None:
        """The next message; None while none has come. Raises Error, or ``end``."""
        with self._changed:
            if self._failure:
                raise self._failure.with_traceback(None)
            if self.call.remaining == 0.0:
                raise DeadlineExceeded
            if self._messages:
                return self._messages.popleft()
            if not self._is_closed:
                return None
            if self._error:
                raise self._error.with_traceback(None)
        raise end

    def _decode(self, payload: Payload) -> Any:
        try:
            return decode(self.method, payload)
        except Error as error:  # a method that goes on all the same shall not miss a message
            self.fail(error)
            raise

    def _note(self, payload: Payload) -> None:
        self.taken += 1
        self._unsaid += 1
        self._unsaid_bytes += payload.size
        # Not for each: it is a frame. Half of either bound is enough for nobody to wait in vain.
        if self._unsaid >= MAX_ITEMS // 2 or self._unsaid_bytes >= MAX_BYTES // 2:
            count, self._unsaid, self._unsaid_bytes = self._unsaid, 0, 0
            self._want(count)

    async def _wait(self) -> None:
        waker = (asyncio.get_running_loop(), asyncio.Event())
        with self._changed:
            if self._is_ready():
                return
            self._wakers.append(waker)
        try:
            await waker[1].wait()
        finally:
            with self._changed:
                if waker in self._wakers:
                    self._wakers.remove(waker)
