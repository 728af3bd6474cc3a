"""Mothlight, as its users write it: ``python -m bench.served text PORT [WORKERS] [grace=0.2 …]``:
settings follow by their names."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

from pydantic import BaseModel

from bench import ledger, models
from mothlight import App, Image, batched, current_call, method, serve, service


class Review(BaseModel):
    text: str


class Verdict(BaseModel):
    score: float


class Class(BaseModel):
    predicted_class: int
    probability: float


class Token(BaseModel):
    index: int
    text: str


@service
class Noop:
    @batched(max_size=32, http="POST /score")
    def score(self, reviews: list[Review]) -> list[Verdict]:
        return [Verdict(score=s) for s in models.noop([r.text for r in reviews])]

    @method(http="POST /score_one")
    def score_one(self, review: Review) -> Verdict:
        return Verdict(score=models.noop([review.text])[0])


@service
class Text:
    def __init__(self) -> None:
        self.model = models.Mlp()

    @batched(max_size=32, http="POST /score")
    def score(self, reviews: list[Review]) -> list[Verdict]:
        return [Verdict(score=s) for s in self.model.predict([r.text for r in reviews])]


@service
class Vision:
    def __init__(self) -> None:
        self.model = models.vision()

    @method(http="POST /classify")
    def classify(self, file: Image) -> Class:
        [(category, probability)] = models.classify(self.model, [file])
        return Class(predicted_class=category, probability=probability)


@service
class Stream:
    @method(http="GET /tokens")
    def tokens(self, count: int = models.ITEMS) -> Iterator[Token]:
        for index, text in models.tokens(count):
            yield Token(index=index, text=text)


@service
class Slow:
    """Streams that think, endless ones, and a trivial call beside them."""

    @batched(max_size=32, http="POST /score")
    def score(self, reviews: list[Review]) -> list[Verdict]:
        return [Verdict(score=s) for s in models.noop([r.text for r in reviews])]

    @method(http="GET /slow")
    def slow(self, count: int = models.ITEMS) -> Iterator[Token]:
        try:
            for index, text in models.slow_tokens(count):
                yield Token(index=index, text=text)
        finally:
            ledger.note("closed")

    @method(http="GET /fast")
    def fast(self, count: int = models.ITEMS) -> Iterator[Token]:
        try:
            for index, text in models.tokens(count):
                yield Token(index=index, text=text)
        finally:
            ledger.note("closed")


@service
class Cancel:
    """Calls whose clients leave; ``note`` says who began and who was stopped."""

    @method(http="POST /compute")
    def compute(self, note: str) -> str:
        ledger.note(note)
        time.sleep(models.CALL)
        ledger.note("computed")
        return note

    @batched(max_size=8, http="POST /together")
    def together(self, notes: list[str]) -> list[str]:
        for note in notes:
            ledger.note(note)
        time.sleep(models.CALL)
        ledger.note("computed")
        return notes

    @method(http="POST /wait")
    async def wait(self, note: str) -> str:
        ledger.note(note)
        try:
            await asyncio.sleep(10)
        finally:
            ledger.note("stopped")
        return note


@service
class Overload:
    """A model on a device: the processor waits for it. Eight calls cost as much as one."""

    @batched(max_size=models.BATCH, http="POST /score")
    def score(self, reviews: list[Review]) -> list[Verdict]:
        time.sleep(models.BATCH_TIME)
        return [Verdict(score=s) for s in models.noop([r.text for r in reviews])]


@service
class Outlive(Slow, Cancel):
    """Calls that are stopped, superseded, left and kept."""

    @method(http="POST /mark")
    def mark(self, note: str) -> str:
        ledger.note(note)
        return note

    @method(http="POST /poll")
    def poll(self, note: str) -> str:
        ledger.note(note)
        while not current_call().cancelled:
            time.sleep(0.001)
        ledger.note("stopped")
        return note

    @method(http="POST /think")
    async def think(self, note: str) -> str:
        ledger.note("begun")
        await asyncio.sleep(models.CALL)
        ledger.note("whole")
        return note

    @method(http="POST /drip")
    def drip(self, note: str) -> Iterator[str]:
        ledger.note("begun")
        for _ in range(round(models.CALL / models.PAUSE)):
            time.sleep(models.PAUSE)
            yield note
        ledger.note("whole")

    @method(http="POST /grind")
    def grind(self, note: str) -> str:
        ledger.note("begun")
        time.sleep(models.CALL)
        ledger.note("whole")
        return note

    @method(http="GET /idle")
    async def idle(self) -> AsyncIterator[Token]:
        yield Token(index=0, text="token")
        await asyncio.sleep(3600)


SERVICES = {
    "noop": Noop,
    "text": Text,
    "image": Vision,
    "stream": Stream,
    "slow": Slow,
    "cancel": Cancel,
    "overload": Overload,
    "outlive": Outlive,
}

if __name__ == "__main__":
    case, port, *more = sys.argv[1:]
    options: dict[str, Any] = {"workers": more.pop(0) if more else 1, "port": port}
    for option in more:
        name, _, options[name] = option.partition("=")
    serve(App(SERVICES[case], **options))
