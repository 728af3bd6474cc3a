"""The service that the tests of REST and of streams talk to."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from pydantic import BaseModel, Field

from mothlight import Code, Error, File, FileLimits, Image, batched, method, service


class Note(BaseModel):
    text: str
    count: int = Field(1, ge=1)


class Parcel(BaseModel):
    file: Annotated[File, FileLimits(max_bytes=100)]
    title: str = "none"
    tags: list[str] = []
    note: Note | None = None


class Pair(BaseModel):
    left: File
    right: File


class Busy(Error):
    "come back later"

    code = Code.UNAVAILABLE
    retry_after: float
    allow: str = "nothing"


class Hold:
    """How a test holds a call: it tells that it began, and waits."""

    def __init__(self) -> None:
        self.began, self.go, self.ended = threading.Event(), threading.Event(), threading.Event()


hold = Hold()


@service
class Desk:
    @batched(max_size=8)
    def echo(self, notes: list[Note]) -> list[Note | Error]:
        return [Busy(retry_after=2.5) if n.text == "busy" else n for n in notes]

    @method
    def boom(self, note: Note) -> str:
        raise ValueError("a secret")

    @method
    async def wait(self, x: int = 0) -> int:
        hold.began.set()
        try:
            while not hold.go.is_set():
                await asyncio.sleep(0.002)
        finally:
            hold.ended.set()
        return x

    @method(http="GET /desk/find")
    def find(self, note: Note) -> Note:
        return note

    @method(http="DELETE /desk/find")
    def forget(self, text: str) -> None: ...

    @method
    def double(self, x: float = 1.5) -> float:
        return x * 2

    @method
    def bell(self) -> str:
        return "ding"

    @method
    def send(self, parcel: Parcel) -> str:
        note = parcel.note.text if parcel.note else "-"
        return (
            f"{parcel.title} {len(parcel.file.data)} {parcel.file.media_type} {parcel.tags} {note}"
        )

    @method
    def join(self, pair: Pair) -> File:
        return File(pair.left.data + pair.right.data, media_type="text/x-joined")

    @method
    def bare(self, file: File) -> int:
        return len(file.data)

    @method
    def width(self, picture: Image) -> int:
        return picture.width

    @method
    def blank(self, width: int) -> Image:
        return Image.blank(width, 1)

    @method
    def kept(self, note: Note) -> Pair:
        return Pair(left=File(b"l"), right=File(b"r"))

    @method
    def words(self, note: Note) -> Iterator[Note]:
        for word in note.text.split():
            if word == "busy":
                raise Busy(retry_after=1)
            if word == "boom":
                raise ValueError("a secret")
            yield Note(text=word)

    @method
    def lines(self, text: str) -> Iterator[str]:
        yield from text.split("|")

    @method(http="GET /stream_numbers")
    def numbers(self, count: Annotated[int, Field(ge=0, le=1000)] = 3) -> Iterator[int]:
        for number in range(count):
            if count == 13 and number == 2:
                raise ValueError("a secret")
            yield number

    @method
    async def slow(self, count: int = 1) -> AsyncIterator[int]:
        try:
            for number in range(count):
                hold.began.set()
                while not hold.go.is_set():
                    await asyncio.sleep(0.002)
                yield number
        finally:
            hold.ended.set()

    @method
    async def linger(self, count: int = 1) -> AsyncIterator[int]:
        """Takes its time when it is told to end."""
        try:
            hold.began.set()
            while not hold.go.is_set():
                await asyncio.sleep(0.002)
            yield count
        finally:
            while not hold.go.is_set():
                await asyncio.sleep(0.002)
