"""Errors with fields of all kinds."""

import enum

from pydantic import BaseModel

from mothlight import Code, Error, batched, method, service


class Word(BaseModel):
    text: str


class Why(enum.Enum):
    RUDE = "rude"
    LONG = "long"


class TextTooLong(Error):
    "text has {length} characters, {limit} are allowed"

    code = Code.INVALID_ARGUMENT
    length: int
    limit: int


class Refused(Error):
    """The words were refused: {reason}."""

    code = Code.FAILED_PRECONDITION
    reason: Why
    words: list[Word]
    score: float = 0.5
    hint_: str | None = None
    code_: int = 0


class NotReady(Error):
    "it is not ready"

    code = Code.UNAVAILABLE


class Plain(Error):
    code = Code.NOT_FOUND


@service
class Judge:
    """Judges words."""

    @batched(max_size=4, raises=[TextTooLong, Plain])
    def judge(self, words: list[Word]) -> list[float | Refused]:
        """Judges a word."""
        return [Refused(Why.RUDE, [word]) if word.text == "no" else 1.0 for word in words]

    @method
    def ready(self) -> bool | NotReady:
        """Whether it is."""
        return True
