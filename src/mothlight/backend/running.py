"""The streams in one worker process, as its front sees them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Error
from ..schema import Payload
from ..services import Method
from . import wire
from .base import Request
from .feed import Feed
from .pump import Pump
from .ticket import CONCURRENCY

DIALOGUES = 256
"""Streams of one method that takes a stream: most of the time they wait for their clients."""

_CROWDED = 2
"""So many times the streams of one step may be in the worker: the readers of some may be slow, and
their places are not to stay empty."""


@dataclass(slots=True)
class Stream:
    """A stream in the worker. ``pump`` brings it what its client streams in; ``left``: when its
    reader went; its place is free when the worker's End says so."""

    feed: Feed
    call: str
    pump: Pump | None = None
    left: float | None = None

    def leave(self) -> None:
        """Brings no more messages."""
        if self.pump:
            self.pump.cancel()


class Running:
    """``send`` sends a frame to the worker."""

    def __init__(self, send: Callable[[wire.ToWorker], None]) -> None:
        self._send = send
        self._streams: dict[int, Stream] = {}
        self._places: dict[str, int] = {}  # taken, by method

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def is_awaited(self) -> bool:
        """Whether any of them still has a reader."""
        return any(stream.left is None for stream in self._streams.values())

    def calls(self) -> Iterator[tuple[Method[Any, Any, Any], str]]:
        """Their methods and ids, the oldest first."""
        for stream in self._streams.values():
            yield stream.feed.method, stream.call

    def abandoned(self) -> Iterator[tuple[Method[Any, Any, Any], float]]:
        """Those that nobody reads any more and that have not ended, and since when."""
        for stream in self._streams.values():
            if stream.left is not None:
                yield stream.feed.method, stream.left

    def room(self, method: Method[Any, Any, Any]) -> int:
        """How many more of a method there is a place for."""
        if method.batching:
            most = _CROWDED * method.batching.max_size
        else:
            most = DIALOGUES if method.cardinality.streams_in else CONCURRENCY
        return max(0, most - self._places.get(method.name, 0))

    def open(self, id: int, request: Request) -> Feed:
        """Starts a stream in the worker; gives its items."""
        method = request.method
        feed = Feed(
            method, grant=lambda n: self._send(wire.Grant(id, n)), cancel=lambda: self._cancel(id)
        )
        stream = self._streams[id] = Stream(feed, request.id)
        self._places[method.name] = self._places.get(method.name, 0) + 1
        self._send(
            wire.Open(
                id, method.name, request.payload, request.id, request.deadline, request.caller
            )
        )
        if method.cardinality.streams_in:
            assert request.inbox
            stream.pump = Pump(
                request.inbox,
                put=lambda payloads: self._send(wire.Messages(id, payloads)),
                close=lambda problem: self._send(wire.Close(id, problem)),
            )
        return feed

    def _cancel(self, id: int) -> None:
        if (stream := self._streams.get(id)) and stream.left is None:
            stream.left = time.monotonic()
            stream.leave()
            self._send(wire.Cancel(id))

    def put(self, id: int, payloads: Sequence[Payload]) -> None:
        """A stream's items have come."""
        if stream := self._streams.get(id):
            stream.feed.put(payloads)

    def want(self, id: int, count: int) -> None:
        """A stream's method has taken so many messages."""
        if (stream := self._streams.get(id)) and stream.pump:
            stream.pump.want(count)

    def end(self, id: int, problem: dict[str, Any] | None) -> bool:
        """A stream has ended in the worker; whether it was here."""
        if (stream := self._streams.pop(id, None)) is None:
            return False
        self._places[stream.feed.method.name] -= 1
        stream.leave()
        stream.feed.end(problem)
        return True

    def fail(self, error: Error) -> None:
        """Ends them all."""
        for stream in self._streams.values():
            stream.leave()
            stream.feed.fail(error)
        self._streams.clear()
        self._places.clear()
