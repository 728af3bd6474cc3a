"""A service with every type and every kind of call, for the client's tests."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import enum
import threading
import uuid
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Annotated, Literal

import PIL.Image
from pydantic import BaseModel, ConfigDict, Field

from mothlight import (
    Audio,
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


class TextTooLong(Error):
    "text has {length} characters, {limit} are allowed"

    code = Code.INVALID_ARGUMENT
    length: int
    limit: int = 20


class Review(BaseModel):
    text: str


class Verdict(BaseModel):
    score: float
    text: str


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    kind: Literal["square"] = "square"
    edge: float


class Tree(BaseModel):
    name: str
    children: list[Tree] = []


@dataclasses.dataclass
class Odd:
    """Field names that a pydantic model cannot have."""

    copy: int = 1
    schema: str = "s"


class Everything(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    text: str
    number: int
    real: float
    flag: bool
    raw: bytes
    when: datetime.datetime
    day: datetime.date
    pause: datetime.timedelta
    id: uuid.UUID
    price: Decimal
    mood: Mood
    level: Level
    literal: Literal["a", 2]
    shape: Annotated[Circle | Square, Field(discriminator="kind")]
    tree: Tree
    maybe: int | None = None
    names: list[str] = Field(default_factory=lambda: ["made", "here"])
    options: Odd = Field(default_factory=Odd)
    sizes: dict[str, float] = {}
    tags: set[str] = set()
    far: Annotated[float, Field(allow_inf_nan=True)] = 0.0
    wired: int = Field(7, alias="onTheWire")


EVERYTHING = Everything(
    text='ä "quoted" \n line',
    number=-(2**53),
    real=0.1,
    flag=True,
    raw=b"\x00\xff",
    when=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
    day=datetime.date(2026, 1, 2),
    pause=datetime.timedelta(seconds=1.5),
    id=uuid.UUID(int=5),
    price=Decimal("1.10"),
    mood=Mood.BAD,
    level=Level.HIGH,
    literal=2,
    shape=Square(edge=2.0),
    tree=Tree(name="a", children=[Tree(name="b")]),
    sizes={"x": 1.0},
    tags={"t"},
    far=float("-inf"),
    wired=9,
)


class Photo(BaseModel):
    image: Annotated[Image, ImageLimits(max_edge=64, max_bytes=1_000_000)]
    top_k: int = 3
    label: str | None = None
    mood: Mood = Mood.GOOD
    boxes: list[Circle] = []
    other: File | None = None


class Album(BaseModel):
    files: list[File]
    title: str = "untitled"


class Nested(BaseModel):
    photo: Photo
    more: dict[str, File] = {}


class Stamped(BaseModel):
    """Bytes and files take another way through the codec than files alone."""

    stamp: bytes
    files: dict[str, Image]


class Query(BaseModel):
    count: int = 3
    words: list[str] = ["a"]
    flag: bool = False
    mood: Mood | None = None


@service
class Kitchen:
    closed = threading.Event()
    stepped = threading.Event()

    @batched(max_size=8, raises=[TextTooLong])
    def analyze(self, reviews: list[Review]) -> list[Verdict | Error]:
        return [
            TextTooLong(length=len(r.text)) if len(r.text) > 20 else Verdict(score=0.5, text=r.text)
            for r in reviews
        ]

    @method
    def echo(self, all: Everything) -> Everything:
        return all

    @method
    def crash(self, review: Review) -> str:
        raise ValueError("secret")

    @method
    def ping(self) -> None:
        return None

    @method(http="GET /query")
    def query(self, query: Query) -> Query:
        return query

    @method
    def double(self, number: int = 21) -> int:
        return 2 * number

    @method
    def maybe(self, number: int | None = 5) -> int | None:
        return number

    @method
    def slow(self, seconds: float) -> str:
        threading.Event().wait(seconds)
        return "done"

    @method
    def look(self, photo: Photo) -> dict[str, str]:
        other = photo.other.data.decode() if photo.other else "-"
        return {
            "seen": f"{photo.image.size} {photo.image.media_type} {photo.image.name}",
            "rest": f"{photo.top_k} {photo.label} {photo.mood.value} {len(photo.boxes)} {other}",
        }

    @method
    def mirror(self, picture: Image) -> Image:
        return Image.from_pil(picture.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT))

    @method
    def album(self, album: Album) -> list[str]:
        return [album.title, *(f"{f.name}:{f.data.decode()}" for f in album.files)]

    @method
    def nested(self, nested: Nested) -> str:
        more = ", ".join(f"{k}={f.data.decode()}" for k, f in nested.more.items())
        return f"{nested.photo.image.size} {more}"

    @method
    def stamp(self, stamped: Stamped) -> Stamped:
        return stamped

    @method
    def size(self, file: Annotated[File, FileLimits(max_bytes=8_000_000)]) -> int:
        return len(file.data)

    @method
    def beep(self, rate: int) -> Audio:
        return Audio.from_samples([0.0, 0.5], rate)

    @method(raises=[TextTooLong])
    def spell(self, review: Review) -> Iterator[str]:
        for letter in review.text:
            if letter == "!":
                raise TextTooLong(length=1, limit=0)
            yield letter

    @method(raises=[TextTooLong])
    async def numbers(self, count: int = 3) -> AsyncIterator[int]:
        if count > 1000:
            raise TextTooLong(length=count)
        for number in range(count):
            yield number

    @method
    async def forever(self) -> AsyncIterator[int]:
        try:
            for number in range(1_000_000):
                yield number
                self.stepped.set()
                await asyncio.sleep(0.005)
        finally:
            self.closed.set()


PICTURE = Image.from_pil(PIL.Image.new("RGB", (40, 20), "red"), "jpeg")
