"""Several services in one app, with methods and types that they share."""

from collections.abc import Iterator

from pydantic import BaseModel

from mothlight import Code, Error, method, service


class Review(BaseModel):
    """What a guest wrote."""

    text: str


class Verdict(BaseModel):
    """What is made of it."""

    score: float


class TooLong(Error):
    "at most {limit} characters"

    code = Code.INVALID_ARGUMENT
    limit: int


@service
class Sentiment:
    """Praise or complaint."""

    @method(raises=[TooLong])
    def analyze(self, review: Review) -> Verdict:
        """Scores a review."""
        return Verdict(score=min(1.0, len(review.text) / 100))


@service
class Toxicity:
    """Whether somebody is rude."""

    @method(raises=[TooLong])
    def analyze(self, review: Review) -> Verdict:
        """Scores rudeness."""
        return Verdict(score=0.0)

    @method
    def watch(self, review: Review) -> Iterator[Verdict]:
        """Scores it while it is read."""
        for index in range(len(review.text)):
            yield Verdict(score=index / 10)


@service(name="Verdicts")
class Archive:
    """Keeps verdicts."""

    @method
    def keep(self, verdict: Verdict) -> int:
        """How many are kept."""
        return 1
