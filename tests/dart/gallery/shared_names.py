"""A model and its service of one name, and models that are called as generated things are."""

import enum
from typing import Literal

from pydantic import BaseModel

from mothlight import Code, Error, method, service


class Sentiment(BaseModel):
    """The answer is called as the service is."""

    score: float
    label: Literal["good", "bad"]


class SentimentLabel(enum.Enum):
    """Called as the enum of a literal would be."""

    A = "a"


class SentimentApi(BaseModel):
    api: str = ""


class SentimentMethods(BaseModel):
    methods: list[str] = []


class FakeSentimentApi(BaseModel):
    fake: bool = True


class Problem(Error):
    "a problem: {what}"

    code = Code.INTERNAL
    what: str


class ApiException(Error):
    "called as the runtime's own"

    code = Code.INTERNAL


class OverloadedException(Error):
    "called as another of the runtime's"

    code = Code.INTERNAL


@service(name="Sentiment")
class Service:
    """Whether a text praises or complains."""

    @method(raises=[Problem, ApiException, OverloadedException])
    def analyze(self, text: str) -> Sentiment:
        """Scores a text."""
        return Sentiment(score=1.0, label="good" if text else "bad")

    @method
    def api(self, api: SentimentApi) -> SentimentMethods:
        """The wrong kinds of names."""
        return SentimentMethods(methods=[api.api])

    @method
    def fake(self, label: SentimentLabel) -> FakeSentimentApi:
        """More of them."""
        return FakeSentimentApi(fake=label is SentimentLabel.A)
