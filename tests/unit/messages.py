"""Messages of every type that there is."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from mothlight import File, FileLimits


class Color(enum.Enum):
    "What it looks like."

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 3


class Circle(BaseModel):
    kind: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    kind: Literal["square", "box"]
    side: float | None = None


@dataclass
class Point:
    x: float
    y: float = 0.5
    tags: list[str] = field(default_factory=list)


class Rich(BaseModel):
    "Everything."

    text: str
    number: int
    real: float
    flag: bool
    maybe: str | None = None
    color: Color
    level: Level = Level.LOW
    choice: Literal["a", "b"] = "a"
    moment: datetime.datetime
    day: datetime.date
    clock: datetime.time
    span: datetime.timedelta
    id: uuid.UUID
    price: decimal.Decimal
    names: list[str] = []
    unique: set[int] = set()
    scores: dict[str, float] = {}
    shape: Circle | Square
    point: Point
    children: list[Rich] = []
    public: bool = Field(False, alias="is-public")


class Sealed(Rich):
    "With what JSON has no form for."

    seal: bytes
    seals: dict[str, bytes] = {}
    ph: Annotated[float, Field(allow_inf_nan=True)] = 7.0


class Upload(BaseModel):
    file: Annotated[File, FileLimits(max_bytes=8)]
    title: str = ""
    more: list[File] = []


class Aliased(BaseModel):
    kind: Literal["x"] = Field("x", alias="type")
    size: float | None = None


class Other(BaseModel):
    kind: Literal["y"] = Field("y", alias="type")
    size: float | None = None
