"""What ``hear`` tells. Times are seconds from the start of the sound."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class Ready(BaseModel):
    """It listens. ``text``: whether it also writes down what is said, which is so where the weights
    of Whisper have been fetched (``mothlight models get whisper-tiny.en``)."""

    kind: Literal["ready"] = "ready"
    text: bool


class SpeechBegan(BaseModel):
    """Somebody speaks, since ``start``."""

    kind: Literal["began"] = "began"
    start: float


class SpeechEnded(BaseModel):
    """Somebody spoke from ``start`` to ``end``."""

    kind: Literal["ended"] = "ended"
    start: float
    end: float


class SpeechText(BaseModel):
    """What was said from ``start`` to ``end``: all that was spoken, or of long speech a piece."""

    kind: Literal["text"] = "text"
    start: float
    end: float
    text: str


Heard = Annotated[
    Ready | SpeechBegan | SpeechEnded | SpeechText, Field(discriminator="kind", title="Heard")
]
