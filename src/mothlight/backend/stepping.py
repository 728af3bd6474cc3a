"""Continuous batching: the streams of a ``@stepped`` method take their steps together.

open ─decode─> waits ─start─> steps with the others, as long as its reader keeps up ─> ends
Members join and leave between two steps: at most one starts before each, so that a crowd of
newcomers does not hold up those that run.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ..call import Call, Step, answering
from ..errors import DeadlineExceeded, Error
from ..schema import Payload
from ..services import Method
from . import wire
from .answers import begin, close, declared, decode, encode, failure, step
from .execution import Instance
from .placement import forget
from .threads import start_thread

_STANDING_BY = 2
"""So many times the states of one step may be alive: some members' readers may be slow, and their
places are not to stay empty."""

Problem = dict[str, Any] | None


class Member:
    """One stream of a stepped method."""

    def __init__(self, id: int, call: Call, changed: threading.Condition) -> None:
        self.id, self.call = id, call
        self.message: Any = None
        self.state: Any = None
        self.credit = wire.WINDOW
        """Places that its reader has for items; below 0 when a step gave more."""
        self._changed = changed

    def grant(self, count: int) -> None:
        with self._changed:
            self.credit += count
            self._changed.notify_all()

    def cancel(self) -> None:
        self.call.cancel()
        with self._changed:
            self._changed.notify_all()


class Stepper:
    """The streams of one method. ``ended`` is told a stream's number and problem, if it has one,
    and posts its End."""

    def __init__(
        self,
        instance: Instance,
        method: Method[Any, Any, Any],
        channel: wire.Channel,
        ended: Callable[[int, Problem], None],
    ) -> None:
        assert method.batching
        self.instance, self.method, self.channel, self.ended = instance, method, channel, ended
        self.size = method.batching.max_size
        self._changed = threading.Condition()
        self._waiting: deque[Member] = deque()
        self._members: list[Member] = []  # that have a state; only our own thread touches it

    def member(self, id: int, call: Call) -> Member:
        """A stream that is yet to be opened."""
        return Member(id, call, self._changed)

    def open(self, member: Member, payload: Payload) -> None:
        """Lets a stream join as soon as there is a place. A message with files is decoded in a
        thread of its own: it takes long, and the caller has frames to read."""
        if self.method.input.has_media:
            start_thread(self._open, member, payload)
        else:
            self._open(member, payload)

    def _open(self, member: Member, payload: Payload) -> None:
        try:
            member.message = decode(self.method, payload)
        except Error as error:
            self.ended(member.id, error.problem())
            self.channel.flush()
        except Exception:
            self.ended(member.id, failure(self.method, [member.call.id]))
            self.channel.flush()
        else:
            with self._changed:
                self._waiting.append(member)
                self._changed.notify_all()

    def run(self) -> None:
        """Steps as long as there are streams, and waits while there are none; never returns."""
        while True:
            gone, newcomer, ready = self._next()
            for member in gone:
                expired = member.call.remaining == 0.0
                self._end(member, DeadlineExceeded().problem() if expired else None)
            if newcomer and self._start(newcomer):
                ready.append(newcomer)
            if ready:
                self._step(ready)
            self.channel.flush()

    def _next(self) -> tuple[list[Member], Member | None, list[Member]]:
        """Waits until there is something to do: (whom nobody waits for, who starts, who steps)."""
        with self._changed:
            while True:
                gone = [m for m in (*self._members, *self._waiting) if m.call.cancelled]
                for member in gone:
                    group = self._waiting if member in self._waiting else self._members
                    group.remove(member)
                ready = [m for m in self._members if m.credit > 0]
                has_place = len(ready) < self.size and len(self._members) < _STANDING_BY * self.size
                newcomer = self._waiting.popleft() if self._waiting and has_place else None
                if gone or newcomer or ready:
                    return gone, newcomer, ready[: self.size]
                self._changed.wait(self._pause())

    def _pause(self) -> float | None:
        """Seconds until the first deadline."""
        left = [m.call.remaining for m in (*self._members, *self._waiting)]
        return min((seconds for seconds in left if seconds is not None), default=None)

    def _start(self, member: Member) -> bool:
        problem: Problem
        try:
            with self.instance.model, answering((member.call,)):
                member.state = begin(self.method, self.instance.object, member.message)
        except Error as error:
            problem = declared(self.method, error)
        except Exception:
            problem = failure(self.method, [member.call.id])
        else:
            self._members.append(member)
            return True
        finally:
            member.message = None
        self._end(member, problem)
        return False

    def _step(self, members: Sequence[Member]) -> None:
        given: Sequence[Step[Any] | Error]
        calls = [m.call for m in members]
        try:
            with self.instance.model, answering(calls):
                given = step(self.method, self.instance.object, [m.state for m in members])
        except Error as error:
            declared(self.method, error)
            given = [error] * len(members)
        except Exception as error:
            # The states may have changed half-way: they cannot be stepped again.
            problem = failure(self.method, [call.id for call in calls])
            forget(error)
            for member in members:
                self._end(member, problem)
            return
        ends = [self._deliver(*pair) for pair in zip(members, given, strict=True)]
        for member, end in zip(members, ends, strict=True):
            if end is not None:
                self._end(member, end or None)
        if len(self._members) > self.size:  # who has stepped goes behind those that wait
            self._members.sort(key=members.__contains__)

    def _deliver(self, member: Member, given: Step[Any] | Error) -> Problem:
        """Posts what a step gave to one stream. Gives the problem that ends it, {} where it ends
        well, None where it goes on."""
        if isinstance(given, Error):
            return given.problem()
        payloads: list[Payload] = []
        end: Problem = {} if given.done else None
        for item in given.items:
            result = encode(self.method, item, member.call.id)
            if not isinstance(result, Payload):
                end = result
                break
            payloads.append(result)
        if payloads:
            with self._changed:
                member.credit -= sum(map(wire.places, payloads))
            self.channel.post(wire.Items(member.id, payloads))
        return end

    def _end(self, member: Member, problem: Problem) -> None:
        """Closes a stream's state, and says that it has ended."""
        if member in self._members:
            self._members.remove(member)
        state, member.state = member.state, None
        if hasattr(state, "close"):
            try:
                with self.instance.model:
                    close(state)
            except Exception:
                failure(self.method, [member.call.id])
        self.ended(member.id, problem)
