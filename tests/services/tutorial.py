"""The tutorial's three scenarios without weights, and knobs that show what goes on inside."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from mothlight import Code, Error, Image, ImageLimits, batched, method, service


class Review(BaseModel):
    text: Annotated[str, Field(min_length=1, max_length=200)]


class Free(BaseModel):
    text: str
    "No length of its own: the server's max_string bounds it."


class Verdict(BaseModel):
    score: float


class Loose(BaseModel):
    score: Annotated[float, Field(allow_inf_nan=True)]


class Refused(Error):
    "{text} is refused"

    code = Code.FAILED_PRECONDITION
    text: str


@service(example=Review(text="fine"))
class Texts:
    def __init__(self) -> None:
        if path := os.environ.get("LOADS"):
            with open(path, "a") as file:
                file.write(f"{os.getpid()}\n")

    @batched(max_size=16, http="POST /analyze", raises=[Refused])
    def analyze(self, reviews: list[Review]) -> list[Verdict | Error]:
        return [
            Refused(text=r.text) if r.text.startswith("refuse") else Verdict(score=score(r.text))
            for r in reviews
        ]

    @method(http="POST /number")
    def number(self, message: Free) -> Verdict:
        "The text as a float, whatever it is."
        return Verdict(score=float(message.text))

    @method(http="POST /loose")
    def loose(self, message: Free) -> Loose:
        return Loose(score=float(message.text))

    @method(http="POST /length")
    def length(self, message: Free) -> int:
        return len(message.text)

    @method(http="POST /boom")
    def boom(self, message: Free) -> str:
        raise ValueError(f"secret-4711 {message.text}")

    @method(http="POST /sleep")
    def sleep(self, seconds: Annotated[float, Field(ge=0, le=10)]) -> int:
        time.sleep(seconds)
        return os.getpid()

    @method(http="GET /threads")
    def threads(self) -> int:
        return int(os.environ["OMP_NUM_THREADS"])


def score(text: str) -> float:
    """What the model says of a text, 0..1."""
    return sum(text.encode()) % 1000 / 1000


class Photo(BaseModel):
    file: Image
    top_k: Annotated[int, Field(ge=1, le=10)] = 3


class Guess(BaseModel):
    label: str
    probability: float


class Prediction(BaseModel):
    predicted_class: int
    probability: float
    guesses: list[Guess]
    model: str


class Seen(BaseModel):
    width: int
    height: int
    name: str | None
    media_type: str


@service
class Pictures:
    @method(http="POST /classify")
    def classify(self, photo: Photo) -> Prediction:
        "The mean colour, as if it were a class."
        mean = photo.file.resize((1, 1)).getpixel((0, 0))
        assert isinstance(mean, tuple)
        total = sum(mean) or 1
        names = ("red", "green", "blue")
        guesses = [Guess(label=n, probability=v / total) for n, v in zip(names, mean, strict=True)]
        guesses.sort(key=lambda guess: -guess.probability)
        best = guesses[0]
        return Prediction(
            predicted_class=names.index(best.label),
            probability=best.probability,
            guesses=guesses[: photo.top_k],
            model="mean-colour-1",
        )

    @method(http="POST /decoded")
    def decoded(self, file: Image) -> Annotated[Image, ImageLimits(formats={"png"})]:
        "The picture as a method sees it."
        assert file.mode == "RGB"
        return Image.from_pil(file.convert("RGB"))

    @method(http="POST /reduced")
    def reduced(self, file: Annotated[Image, ImageLimits(max_edge=1024)]) -> Seen:
        return Seen(
            width=file.width, height=file.height, name=file.name, media_type=file.media_type
        )

    @method(http="GET /ping")
    async def ping(self) -> str:
        return "pong"


class Breakage(BaseModel):
    after: int = 3
    how: Literal["bug", "declared"] = "bug"


class State(BaseModel):
    """Of the streams in this worker: how many run, were closed early, and items produced."""

    running: int
    closed: int
    produced: int


@service
class Numbers:
    def __init__(self) -> None:
        self.running = self.closed = self.produced = 0

    @method(http="GET /stream_numbers")
    async def stream_numbers(
        self, count: Annotated[int, Field(ge=1, le=10_000)] = 10
    ) -> AsyncIterator[int]:
        self.running += 1
        try:
            for number in range(1, count + 1):
                await asyncio.sleep(0.1)
                self.produced += 1
                yield number
        except (asyncio.CancelledError, GeneratorExit):
            self.closed += 1
            raise
        finally:
            self.running -= 1

    @method(http="GET /blocking")
    def blocking(self, count: Annotated[int, Field(ge=1, le=10_000)] = 10) -> Iterator[int]:
        "The tutorial's time.sleep, in the generator."
        self.running += 1
        try:
            for number in range(1, count + 1):
                time.sleep(0.1)
                self.produced += 1
                yield number
        except GeneratorExit:
            self.closed += 1
            raise
        finally:
            self.running -= 1

    @method(http="GET /fast")
    def fast(self, count: Annotated[int, Field(ge=1, le=1_000_000)]) -> Iterator[str]:
        "A kilobyte an item, as fast as anybody reads."
        self.running += 1
        try:
            for number in range(count):
                self.produced += 1
                yield f"{number:01024}"
        finally:
            self.running -= 1

    @method(http="GET /breaks", raises=[Refused])
    def breaks(self, breakage: Breakage) -> Iterator[int]:
        yield from range(1, breakage.after + 1)
        if breakage.how == "declared":
            raise Refused(text="the rest")
        raise ValueError("secret-4711")

    @method(http="GET /quiet")
    async def quiet(self, seconds: Annotated[float, Field(ge=0, le=10)]) -> AsyncIterator[int]:
        "One number, a long silence, another."
        yield 1
        await asyncio.sleep(seconds)
        yield 2

    @method(http="GET /lines")
    def lines(self) -> Iterator[str]:
        "Texts that try to be more than one line."
        yield from ("one\ntwo", "three\r\nfour", "", "data: x\n\nevent: end", "ünïcödé 🦋")

    @method(http="POST /double")
    async def double(self, number: int) -> int:
        return 2 * number

    @method(http="GET /state")
    async def state(self) -> State:
        return State(running=self.running, closed=self.closed, produced=self.produced)
