"""The one seam: what a protocol asks of whatever runs the models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

from ..errors import DeadlineExceeded
from ..principal import Principal
from ..schema import Payload
from ..services import Method
from ..timeline import Timeline
from .inbox import Inbox

T = TypeVar("T")


class StartupError(RuntimeError):
    """A service could not be started; the message holds the worker's own traceback."""


@dataclass(slots=True, eq=False)
class Request:
    """One call as it is handed to a backend. ``deadline`` is a time of the event loop's clock (the
    system's monotonic one) in seconds, or None; ``urgency`` goes from 0 (first) to 7 (RFC 9218);
    ``principal`` is whose call it is: principals take turns; ``quota`` says how many it may have.
    ``timeline`` is told what happens to the call, where somebody wants to know. ``inbox`` holds the
    messages of a method that takes a stream of them (its ``payload`` then is null). ``place`` is
    what a stream has in its caller's quota; cancelled, it is free before the stream is closed."""

    method: Method[Any, Any, Any]
    payload: Payload
    id: str
    deadline: float | None = None
    urgency: int = 3
    principal: str = ""
    timeline: Timeline | None = None
    quota: Principal | None = None
    inbox: Inbox | None = None
    place: asyncio.Future[None] | None = None

    @property
    def caller(self) -> str:
        """The name of its principal, for the method; "": nobody was asked who it is."""
        return self.quota.name if self.quota else ""


class Reply(NamedTuple):
    """The answer of a unary call: the encoded message, seconds waited and computed, and how many
    calls ran together."""

    payload: Payload
    queued: float
    computed: float
    batch: int


class Backend(Protocol):
    """Runs the methods of services."""

    async def start(self) -> None:
        """Constructs every service and tries its examples. Raises StartupError."""

    async def stop(self, grace: float) -> None:
        """Takes no new calls, lets the accepted ones end for ``grace`` seconds, then ends."""

    async def reload(self) -> None:
        """Constructs every service anew, from the code as it is now. Calls that run have at least
        30 s to end (``drain``, where that is longer); a stream that lasts longer fails. Raises
        StartupError where that does not work: what ran before then serves on."""

    def unary(self, request: Request) -> asyncio.Future[Reply]:
        """The answer of one call. Raises Unavailable where it is refused at once; the future raises
        Error, and cancelling it cancels the call."""
        ...

    def stream(self, request: Request) -> AsyncIterator[Sequence[Payload]]:
        """The items of a stream, each time as many as have come: of a method that streams out, in,
        or both ways (one that only takes a stream gives one item). Raises Error; closing the
        iterator cancels the call."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether every service has a runner that takes calls."""
        ...

    @property
    def states(self) -> Mapping[str, str]:
        """The services by name: "ready", or why they take no calls."""
        ...

    @property
    def queued(self) -> int:
        """How many calls wait."""
        ...


async def by_deadline(deadline: float | None, work: Awaitable[T]) -> T:
    """What ``work`` gives; DeadlineExceeded when the event loop's clock passes ``deadline``."""
    if deadline is None:
        return await work
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except TimeoutError:
        raise DeadlineExceeded from None
