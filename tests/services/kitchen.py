"""A service with one of everything that a signature can say; several suites serve it."""

from __future__ import annotations

import datetime
import decimal
import enum
import io
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import PIL.Image
from pydantic import BaseModel, Field

from mothlight import (
    Audio,
    AudioLimits,
    Code,
    Error,
    File,
    FileLimits,
    Image,
    ImageLimits,
    batched,
    method,
    service,
)


class Mood(enum.Enum):
    "How a dish tastes."

    GOOD = "good"
    SO_SO = "so-so"
    BAD = "bad"


class Heat(enum.IntEnum):
    LOW = 1
    HIGH = 3


class Review(BaseModel):
    "What a guest wrote."

    text: str = Field(min_length=1, max_length=200, description="the guest's words")
    language: Literal["en", "de"] = "en"


class Verdict(BaseModel):
    "What the critic makes of it."

    mood: Mood
    score: float = Field(ge=0, le=1, description="0 is awful, 1 is delicious")
    words: list[str] = Field(default_factory=list)


class TextTooLong(Error):
    "text has {length} characters, {limit} are allowed"

    code = Code.INVALID_ARGUMENT
    length: int
    limit: int


class OutOfStock(Error):
    "{item} is out of stock until {until}"

    code = Code.NOT_FOUND
    item: str
    until: datetime.date
    mood: Mood = Mood.BAD


class TooHot(Error):
    "the oven is at {celsius} °C"

    code = Code.FAILED_PRECONDITION
    celsius: float


class Boil(BaseModel):
    kind: Literal["boil"] = "boil"
    minutes: int = Field(gt=0, lt=600)


class Fry(BaseModel):
    kind: Literal["fry", "deep-fry"]
    heat: Heat = Heat.LOW


@dataclass
class Spice:
    "A pinch of something."

    name: str
    grams: float = 0.5
    tags: list[str] = field(default_factory=list)


class Recipe(BaseModel):
    "Everything that a field can be."

    id: uuid.UUID
    title: Annotated[str, Field(pattern=r"^[A-Z]", max_length=40)]
    steps: list[Boil | Fry] = Field(max_length=8)
    spices: dict[str, Spice] = {}
    allergens: set[str] = set()
    parts: list[Recipe] = Field(default_factory=list, description="recipes inside this one")
    note: str | None = None
    rest: datetime.timedelta | None = None
    created: datetime.datetime
    day: datetime.date = datetime.date(2026, 1, 2)
    price: decimal.Decimal = decimal.Decimal("1.50")
    seal: bytes = b"\x00\xff"
    ph: Annotated[float, Field(allow_inf_nan=True)] = 7.0
    heat: Heat = Heat.LOW
    servings: Annotated[int, Field(ge=1, le=100, multiple_of=1)] = 2
    matrix: list[list[float]] = []
    is_public: bool = Field(False, alias="public")


class Search(BaseModel):
    words: list[str] = []
    mood: Mood | None = None
    heat: Heat = Heat.LOW
    limit: int = Field(10, ge=1, le=50)
    since: datetime.date | None = None
    exact: bool = False


class Hits(BaseModel):
    words: list[str]
    mood: Mood | None
    heat: Heat
    limit: int
    since: datetime.date | None
    exact: bool


class Photo(BaseModel):
    image: Annotated[Image, ImageLimits(max_edge=256, max_bytes=1 << 20, formats={"jpeg", "png"})]
    title: str = "dish"
    mood: Mood = Mood.GOOD
    spices: list[Spice] = []
    words: list[str] = []


class Album(BaseModel):
    cover: Image
    sound: Annotated[Audio, AudioLimits(max_seconds=30)] | None = None
    title: str


class Size(BaseModel):
    width: int
    height: int


class Token(BaseModel):
    index: int
    text: str


@service
class Kitchen:
    "One of everything."

    @batched(
        max_size=8,
        raises=[TextTooLong],
        example=Review(text="The soup was a delight."),
    )
    def analyze(self, reviews: list[Review]) -> list[Verdict | Error]:
        """Says whether a guest liked it.

        Longer texts than 100 characters are refused.
        """
        return [self._judge(review) for review in reviews]

    def _judge(self, review: Review) -> Verdict | Error:
        if len(review.text) > 100:
            return TextTooLong(length=len(review.text), limit=100)
        score = (sum(map(ord, review.text)) % 101) / 100
        mood = Mood.GOOD if score > 0.5 else Mood.BAD
        return Verdict(mood=mood, score=score, words=review.text.split())

    @method
    def cook(self, recipe: Recipe) -> Recipe:
        "Gives the recipe back as it was understood."
        return recipe

    @method(raises=[OutOfStock, TooHot])
    def order(self, step: Boil | Fry) -> Boil | Fry:
        "A union as the message."
        if isinstance(step, Boil) and step.minutes > 500:
            raise TooHot(celsius=99.5)
        if isinstance(step, Fry) and step.heat is Heat.HIGH:
            raise OutOfStock(item="oil", until=datetime.date(2027, 1, 1))
        return step

    @method(http="GET /kitchen/search")
    def search(self, query: Search) -> Hits:
        return Hits(**query.model_dump())

    @method
    def double(self, x: float = 1.5) -> float:
        "A bare scalar with a default."
        return x * 2 if abs(x) < 1e300 else x

    @method(http="DELETE /kitchen/plate")
    def wash(self, number: int) -> None:
        "Answers nothing."

    @method
    def bell(self) -> str:
        "Takes nothing."
        return "ding"

    @method
    def counts(self, words: dict[str, Annotated[int, Field(ge=0, le=1000)]]) -> dict[str, int]:
        return dict(sorted(words.items()))

    @method
    def measure(self, file: Image) -> Size:
        "A bare picture."
        return Size(width=file.width, height=file.height)

    @method
    def label(self, photo: Photo) -> Size:
        "A picture among other fields."
        return Size(width=photo.image.width, height=photo.image.height)

    @method
    def album(self, album: Album) -> str:
        "Two files, one of them optional."
        return f"{album.title}: {'with' if album.sound else 'without'} sound"

    @method
    def listen(self, sound: Annotated[Audio, AudioLimits(formats={"wav"}, max_seconds=5)]) -> float:
        "The length of a sound in seconds."
        return sound.seconds

    @method
    def weigh(self, file: Annotated[File, FileLimits(max_bytes=4096)]) -> int:
        return len(file.data)

    @method
    def plate(self, size: Size) -> Annotated[Image, ImageLimits(formats={"png"})]:
        "Answers a picture."
        width, height = (max(1, min(abs(edge), 64)) for edge in (size.width, size.height))
        return Image.from_pil(PIL.Image.new("RGB", (width, height), "orange"))

    @method
    def chime(self, hertz: Annotated[int, Field(ge=50, le=2000)] = 440) -> Audio:
        "Answers a sound."
        time = np.arange(800) / 8000
        return Audio.from_samples(0.3 * np.sin(2 * np.pi * hertz * time), 8000)

    @method
    def receipt(self, name: Annotated[str, Field(max_length=50)]) -> File:
        return File(io.BytesIO(b"paid").getvalue(), media_type="text/plain", name="receipt.txt")

    @method(raises=[TextTooLong])
    def write(self, review: Review) -> Iterator[Token]:
        "A stream of messages."
        for index, text in enumerate(review.text.split()[:5]):
            if len(text) > 30:
                raise TextTooLong(length=len(text), limit=30)
            yield Token(index=index, text=text)

    @method(http="GET /stream_numbers")
    async def numbers(self, count: Annotated[int, Field(ge=0, le=20)] = 3) -> AsyncIterator[int]:
        "A stream of numbers."
        for number in range(count):
            yield number

    @method
    def spell(self, text: Annotated[str, Field(max_length=40)]) -> Iterator[str]:
        "A stream of texts."
        yield from text
