"""Enums of strings, of numbers, of both."""

import enum

from pydantic import BaseModel

from mothlight import method, service


class Mood(enum.Enum):
    """How somebody feels."""

    GOOD = "good"
    SO_SO = "so-so"
    VERY_BAD = "very bad"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 3


class Tone(enum.StrEnum):
    SOFT = enum.auto()
    LOUD = enum.auto()


class Mixed(enum.Enum):
    ONE = 1
    TWO = "two"


class Single(enum.Enum):
    ONLY = "only"


class Voice(BaseModel):
    mood: Mood
    level: Level = Level.LOW
    tone: Tone | None = Tone.SOFT
    mixed: Mixed = Mixed.TWO
    moods: list[Mood] = [Mood.GOOD]
    levels: dict[str, Level] = {"a": Level.HIGH}
    single: Single = Single.ONLY


@service
class Choir:
    """Sings."""

    @method
    def sing(self, voice: Voice) -> Mood:
        """Sings."""
        return voice.mood

    @method(http="GET /choir/level")
    def level(self, mood: Mood = Mood.SO_SO) -> Level:
        """How loud it is."""
        return Level.HIGH if mood is Mood.GOOD else Level.LOW
