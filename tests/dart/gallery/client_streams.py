"""Streams of messages with one answer."""

from collections.abc import AsyncIterator, Iterator
from typing import Annotated

from pydantic import BaseModel

from mothlight import Audio, AudioLimits, Image, method, service


class Step(BaseModel):
    """One step of a walk."""

    north: float
    east: float


@service
class Walks:
    """Follows walks."""

    @method
    def follow(self, steps: Iterator[Step]) -> Step:
        """Where a walk ends."""
        taken = list(steps)
        return Step(north=sum(s.north for s in taken), east=sum(s.east for s in taken))

    @method
    async def sum(self, numbers: AsyncIterator[int]) -> int:
        """The sum."""
        return sum([number async for number in numbers])

    @method
    def record(self, chunks: Iterator[Annotated[Audio, AudioLimits(pcm=16_000)]]) -> float:
        """The length of a sound that comes in pieces."""
        return sum(chunk.seconds for chunk in chunks)

    @method
    def film(self, frames: Iterator[Image]) -> int:
        """Counts pictures."""
        return len(list(frames))
