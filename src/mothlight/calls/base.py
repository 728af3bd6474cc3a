"""What protocols ask of the calls: a call is a resource with an id, and outlives its connection.

queued ─> running ─┬─> done         Its reader may leave and come back within ``grace``; the answer,
    └──────────────┼─> failed       or the items of a stream, are kept for it, and for whoever sends
                   └─> cancelled    the same key again: the model runs once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from ..backend.base import Reply, Request
from ..backend.inbox import Inbox
from ..schema import Payload
from ..services import Method


class State(StrEnum):
    """Where a call is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(slots=True)  # frozen would take twice as long to make
class Terms:
    """How a call is kept. ``id`` names it among the calls of ``owner``, a principal's name; where
    that is "" (nobody is asked who he is) the id is a secret. ``is_kept``: its client named it, so
    it outlives its connection. ``is_background``: nobody need wait for it at all. ``supersede``: a
    newer call of its owner with this key takes its place; "": none does."""

    owner: str
    id: str
    is_kept: bool = False
    is_background: bool = False
    supersede: str = ""


@dataclass(slots=True, frozen=True)
class Status:
    """What is known of a call. ``created`` and ``ended`` are seconds since 1970; ``items``: how
    many a stream has made; ``problem``: the problem document that it has failed with."""

    owner: str
    id: str
    method: Method[Any, Any, Any]
    state: State
    created: float
    ended: float | None = None
    items: int = 0
    problem: dict[str, Any] | None = None


class Calls(Protocol):
    """The calls that are known here. Where they run is a Backend's matter."""

    async def start(self) -> None: ...

    async def stop(self, grace: float) -> None:
        """Lets the calls that somebody can still ask for end for ``grace`` seconds, and forgets
        them."""

    def unary(self, request: Request, terms: Terms | None) -> asyncio.Future[Reply]:
        """The answer of a call: a new one, or the one that has this id already, for which the
        request's deadline is how long it waits. Cancelling the future is leaving; it cancels a call
        that is not kept. None: it has no id. Raises Error."""
        ...

    def stream(
        self, request: Request, terms: Terms, after: int = 0
    ) -> AsyncIterator[Sequence[Payload]]:
        """The items after number ``after`` of a stream, likewise; closing the iterator is
        leaving."""
        ...

    async def begin(self, request: Request, terms: Terms) -> Status:
        """Begins a call that nobody waits for, or finds it. Raises Error."""
        ...

    async def status(self, owner: str, id: str) -> Status:
        """Raises CallNotFound."""
        ...

    def answer(self, owner: str, id: str) -> asyncio.Future[Reply]:
        """The answer of a unary call that is known; as ``unary``."""
        ...

    def items(self, owner: str, id: str, after: int = 0) -> AsyncIterator[Sequence[Payload]]:
        """The items of a stream that is known; as ``stream``."""
        ...

    def inbox(self, owner: str, id: str) -> Inbox | None:
        """Where the messages of a call go that runs in this process; None for any other."""
        ...

    async def cancel(self, owner: str, id: str) -> None:
        """Stops a call; one that has ended stays as it is. Raises CallNotFound."""
