"""Streams of answers."""

from collections.abc import AsyncIterator, Iterator
from typing import Literal

from pydantic import BaseModel

from mothlight import Code, Error, method, service


class Prompt(BaseModel):
    """What to write about."""

    text: str
    max_tokens: int = 64


class Token(BaseModel):
    """A piece of the answer."""

    kind: Literal["token"] = "token"
    text: str


class Done(BaseModel):
    """The end of it."""

    kind: Literal["done"] = "done"
    reason: Literal["stop", "length"]


class Silenced(Error):
    "it may not speak"

    code = Code.PERMISSION_DENIED


@service
class Writer:
    """Writes."""

    @method(raises=[Silenced])
    def write(self, prompt: Prompt) -> Iterator[Token | Done]:
        """Writes, piece by piece."""
        for word in prompt.text.split():
            yield Token(text=word)
        yield Done(reason="stop")

    @method(http="GET /count")
    async def count(self, count: int = 3) -> AsyncIterator[int]:
        """Counts."""
        for number in range(count):
            yield number

    @method
    def levels(self, name: str) -> Iterator[float | None]:
        """Levels, with gaps."""
        yield None

    @method
    def rows(self, width: int) -> Iterator[list[float]]:
        """Rows."""
        yield [0.5] * width
