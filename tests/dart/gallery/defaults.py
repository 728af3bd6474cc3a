"""Defaults of all kinds: constants, values that Dart cannot make constants, Python's secrets."""

import datetime
import decimal
import enum
import uuid
from typing import Annotated

from pydantic import BaseModel, Field

from mothlight import method, service


class Shade(enum.Enum):
    LIGHT = "light"
    DARK = "dark"


class Point(BaseModel):
    x: float = 0.5
    y: float = -0.0


class Settings(BaseModel):
    """All of it has a default."""

    title: str = 'it\'s $5, \\ "quoted"\nand 🦋'
    empty: str = ""
    count: int = -7
    ratio: float = 1e-9
    whole: float = 3.0
    huge: float = 1e300
    endless: Annotated[float, Field(allow_inf_nan=True)] = float("inf")
    nowhere: Annotated[float, Field(allow_inf_nan=True)] = float("-inf")
    on: bool = True
    shade: Shade = Shade.DARK
    shades: list[Shade] = [Shade.LIGHT, Shade.DARK]
    words: list[str] = ["a", "b"]
    matrix: list[list[int]] = [[1, 2], []]
    scores: dict[str, float] = {"a": 1.0}
    origin: Point = Point()
    corner: Point | None = Point(x=1, y=2)
    nothing: Point | None = None
    seal: bytes = b"\x00\xff"
    price: decimal.Decimal = decimal.Decimal("1.50")
    id: uuid.UUID = uuid.UUID(int=1)
    day: datetime.date = datetime.date(2026, 1, 2)
    at: datetime.datetime = datetime.datetime(2026, 1, 2, 3, 4, 5, 678900, datetime.UTC)
    local: datetime.datetime = datetime.datetime(2026, 1, 2, 3, 4)
    clock: datetime.time = datetime.time(12, 30)
    every: datetime.timedelta = datetime.timedelta(hours=1, milliseconds=5)
    back: datetime.timedelta = datetime.timedelta(days=-1)
    made: list[int] = Field(default_factory=list)


@service
class Defaults:
    """What is left out."""

    @method
    def settings(self, settings: Settings = Settings()) -> Settings:  # noqa: B008
        """Gives the settings back, whole."""
        return settings
