"""Streams both ways."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from mothlight import Audio, AudioLimits, Code, Error, method, service


class Say(BaseModel):
    kind: Literal["say"] = "say"
    text: str


class Hush(BaseModel):
    kind: Literal["hush"] = "hush"


class Heard(BaseModel):
    """What was understood."""

    text: str
    sure: float


class TooLoud(Error):
    "{decibels} dB are too much"

    code = Code.OUT_OF_RANGE
    decibels: float


Command = Annotated[Say | Hush, Field(title="Command")]


@service
class Talk:
    """Talks."""

    @method(raises=[TooLoud])
    def hear(self, chunks: Iterator[Annotated[Audio, AudioLimits(pcm=16_000)]]) -> Iterator[Heard]:
        """Listens, and says what it understands."""
        for chunk in chunks:
            yield Heard(text=f"{chunk.seconds}", sure=0.5)

    @method
    async def chat(self, commands: AsyncIterator[Command]) -> AsyncIterator[Command]:
        """Says back what is said."""
        async for command in commands:
            yield command

    @method
    def echo(self, texts: Iterator[str]) -> Iterator[str]:
        """Bare values both ways."""
        yield from texts
