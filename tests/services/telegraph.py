"""The service of the wire vectors (conformance/): one of everything that a wire has to carry.

mothlight contract tests/services/telegraph.py:Telegraph > conformance/contract.json
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import os
import threading
from collections.abc import AsyncIterator, Iterator
from enum import Enum
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from mothlight import Code, Error, File, FileLimits, current_call, method, service


class Mood(Enum):
    "Whether a text praises or complains."

    GOOD = "good"
    BAD = "bad"


class Review(BaseModel):
    text: str = Field(max_length=20)
    language: str = "en"


class Verdict(BaseModel):
    mood: Mood
    score: float
    words: list[str] = []
    note: str | None = None


class TextTooLong(Error):
    "text has {length} characters, {limit} are allowed"

    code = Code.INVALID_ARGUMENT
    length: int
    limit: int


class Packet(BaseModel):
    "One of every scalar."

    name: str = ""
    number: int = 0
    ratio: Annotated[float, Field(allow_inf_nan=True)] = 0.0
    is_open: bool = Field(False, alias="open")
    data: bytes = b""
    at: datetime.datetime | None = None
    day: datetime.date | None = None
    span: datetime.timedelta | None = None
    parts: dict[str, list[int]] = {}
    inner: Packet | None = None


class Parcel(BaseModel):
    file: File
    title: str
    tags: list[str] = []
    weight: float | None = None
    sender: Review | None = None


class Label(BaseModel):
    name: str | None
    size: int
    sha256: str
    title: str
    tags: list[str]
    weight: float | None
    sender: Review | None


class Word(BaseModel):
    kind: Literal["word"] = "word"
    text: str


class Pause(BaseModel):
    kind: Literal["pause"] = "pause"
    seconds: float


Event = Annotated[Word | Pause, Field(discriminator="kind", title="Event")]


class Speech(BaseModel):
    text: str = Field(max_length=1000)
    fail_after: int | None = None


class Flood(BaseModel):
    size: int = Field(le=1_000_000)
    count: int = Field(le=100_000)


Crate = Annotated[File, FileLimits(max_bytes=16 * 1024 * 1024)]


def note(what: str) -> None:
    """Writes down, in the file that LEDGER names, what ran for which call."""
    if path := os.environ.get("LEDGER"):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{what} {current_call().id}\n".encode())  # so few bytes: all at once
        os.close(file)


@service
class Telegraph:
    "What the wire vectors call."

    def __init__(self) -> None:
        self.runs = 0
        self.lock = threading.Lock()

    @method(raises=[TextTooLong])
    def judge(self, review: Review) -> Verdict:
        "Judges a text: 1 is praise."
        note("judge")
        if len(review.text) > 12:
            raise TextTooLong(length=len(review.text), limit=12)
        words = review.text.split()
        good = "good" in words
        return Verdict(mood=Mood.GOOD if good else Mood.BAD, score=float(good), words=words)

    @method
    def square(self, number: int = 3) -> int:
        "A bare number to a bare number."
        return number * number

    @method
    def relay(self, packet: Packet) -> Packet:
        "Gives the packet back as it was understood."
        return packet

    @method
    def label(self, parcel: Parcel) -> Label:
        "A form with a file and fields."
        note("label")
        return Label(
            name=parcel.file.name,
            size=len(parcel.file.data),
            sha256=hashlib.sha256(parcel.file.data).hexdigest(),
            **parcel.model_dump(exclude={"file"}),
        )

    @method
    def turn(self, crate: Crate) -> File:
        "A file to a file: its bytes, from the last to the first."
        return File(crate.data[::-1])

    @method
    def tick(self) -> int:
        "How often it was called."
        with self.lock:
            self.runs += 1
            return self.runs

    @method
    def clear(self) -> None:
        "Takes and gives nothing."

    @method
    async def sleep(self, seconds: float) -> float:
        "Answers after a while."
        await asyncio.sleep(seconds)
        return seconds

    @method(http="GET /telegraph/count")
    def count(self, to: int = 3) -> Iterator[int]:
        "Counts from 1; a query."
        yield from range(1, to + 1)

    @method(raises=[TextTooLong])
    def say(self, speech: Speech) -> Iterator[Event]:
        "Words, and a pause for each comma."
        note("say")
        for number, word in enumerate(speech.text.split()):
            if number == speech.fail_after:
                raise TextTooLong(length=len(speech.text), limit=number)
            yield Word(text=word.rstrip(","))
            if word.endswith(","):
                yield Pause(seconds=1)

    @method
    async def drip(self, seconds: float) -> AsyncIterator[int]:
        "Counts for ever, a number each so many seconds."
        note("drip")
        number = 0
        while True:
            number += 1
            yield number
            await asyncio.sleep(seconds)

    @method
    def flood(self, flood: Flood) -> Iterator[str]:
        "Strings, as fast as they are taken."
        for number in range(flood.count):
            note("flood")
            yield f"{number}:".ljust(flood.size, "x")

    @method
    async def double(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        "Each number twice as large."
        note("double")
        async for number in numbers:
            yield 2 * number

    @method
    async def total(self, numbers: AsyncIterator[int]) -> int:
        "The sum of a stream."
        return sum([number async for number in numbers])
