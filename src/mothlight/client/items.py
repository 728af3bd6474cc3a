"""Items: those of a stream, out of the bytes of one connection after the other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Generic, TypeVar

import httpx2

from ..schema import Payload
from . import sse
from .answer import Answer, problem
from .exchange import Exchange

O = TypeVar("O")  # noqa: E741

_LIVED = 10.0
"""Seconds after which a connection that was lost is not one more failure in a row."""


class Items(Generic[O]):
    """A stream's items. ``ended``: its end has come. None is lost or given twice: each has a
    number, and the one that comes must be the next."""

    def __init__(self, exchange: Exchange[O]) -> None:
        self.exchange = exchange
        self.ended = False
        self._decoder = sse.Decoder(exchange.options.max_answer)
        self._answer = Answer(0, {})
        self._since = 0.0

    def open(self, response: httpx2.Response) -> None:
        """Another connection begins, where the last one stopped. Raises UnexpectedAnswer."""
        self._answer = Answer(response.status_code, response.headers)
        if self._answer.kind != "text/event-stream":
            raise self.exchange.unexpected("the answer is not a stream of events", self._answer)
        self._decoder = sse.Decoder(self.exchange.options.max_answer)
        self._since = time.monotonic()
        self.exchange.is_open = True

    def feed(self, chunk: bytes) -> Iterator[O]:
        """The items that are whole now. Raises the error that the stream ended with."""
        self.exchange.check()
        try:
            for event in self._decoder.feed(chunk):
                if self.ended:
                    return
                match event.type:
                    case "" | "message":
                        yield self._item(event)
                    case "end":
                        self.ended = True
                        self.exchange.over()
                    case "error":
                        self._fail(event)
        except sse.TooLong as error:
            raise self.exchange.cut(str(error)) from None

    def _item(self, event: sse.Event) -> O:
        exchange = self.exchange
        answer = self._answer._replace(content=event.data)
        expected = exchange.received + 1
        if event.id and event.id != str(expected):
            reason = f"item {event.id[:20]!r} came where number {expected} was due"
            raise exchange.unexpected(reason, answer)
        item = exchange.decode(Payload(event.data), answer)
        exchange.received = expected
        exchange.patience.progress()
        return item

    def _fail(self, event: sse.Event) -> None:
        self.exchange.over()
        if (found := problem(event.data)) is None:
            answer = self._answer._replace(content=event.data)
            raise self.exchange.unexpected("the error is no problem", answer)
        raise self.exchange.error(found, self._answer)

    def lost(self, error: Exception | None = None) -> float:
        """The connection failed, or ended: seconds until the next, 0 after the stream's end.
        Raises StreamCut, ConnectionFailed or DeadlineExceeded where there is none."""
        if self.ended:
            return 0.0
        if self._since and time.monotonic() - self._since > _LIVED:
            self.exchange.patience.progress()
        self._since = 0.0
        return self.exchange.lost(error)
