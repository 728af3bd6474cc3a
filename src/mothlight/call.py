"""What a method may know of the call that it answers, and what it gives back step by step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Generic, TypeVar

O_co = TypeVar("O_co", covariant=True)


class Call:
    """The call that a method answers; ``current_call()`` gives it.

    ``id`` stands in the log and in the caller's ``Call-Id``. ``deadline`` is when the caller stops
    waiting, by ``time.monotonic()``; None: it did not say. ``principal`` is who calls; "": unknown.
    """

    __slots__ = ("_cancelled", "deadline", "id", "principal")

    def __init__(self, id: str, deadline: float | None = None, principal: str = "") -> None:
        self.id, self.deadline, self.principal = id, deadline, principal
        self._cancelled = False

    def __repr__(self) -> str:
        return f"Call({self.id!r})"

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits any more: cancelled, client gone, or past its deadline."""
        return self._cancelled or self.remaining == 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds until the deadline, 0 once it has passed; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def cancel(self) -> None:
        """Notes that nobody waits any more; any thread may."""
        self._cancelled = True


_current: ContextVar[Sequence[Call]] = ContextVar("mothlight_calls", default=())


def current_call() -> Call:
    """The call that this method answers. A long synchronous method asks it whether to go on::

        for tile in tiles:
            if current_call().cancelled:  # nobody waits any more
                raise Cancelled
            ...

    Generators and ``async def`` need it less: they are closed and cancelled. Of several calls that
    are answered together it is one that somebody still waits for, if there is one: ``cancelled``
    says here too that the work is in vain. Outside a server (in a unit test), and in a thread that
    the method started itself, it is a call that nobody cancels.
    """
    calls = current_calls()
    return next((call for call in calls if not call.cancelled), calls[0])


def current_calls() -> Sequence[Call]:
    """The calls that a ``@batched`` or ``@stepped`` method answers together, in the order of its
    messages or states; one call, in all other methods."""
    return _current.get() or (Call("direct"),)


def answered_calls() -> Sequence[Call]:
    """The calls that are answered here; none outside a server."""
    return _current.get()


class answering:  # a context manager, and every batch passes it: no generator
    """Makes ``calls`` the current ones of this thread or task."""

    __slots__ = ("_calls", "_token")

    def __init__(self, calls: Sequence[Call]) -> None:
        self._calls = calls

    def __enter__(self) -> None:
        self._token = _current.set(self._calls)

    def __exit__(self, *exception: object) -> None:
        _current.reset(self._token)


class Step(Generic[O_co]):
    """What one step of a ``@stepped`` method gives one of its streams: its next items (none, one or
    several), and whether they were its last: ``Step(token)``, ``Step()``, ``Step(done=True)``."""

    __slots__ = ("done", "items")

    def __init__(self, *items: O_co, done: bool = False) -> None:
        self.items, self.done = items, done

    def __repr__(self) -> str:
        shown = [*map(repr, self.items), *(["done=True"] if self.done else [])]
        return f"Step({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Step) and (self.items, self.done) == (other.items, other.done)

    __hash__ = None  # type: ignore[assignment]
