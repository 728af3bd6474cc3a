"""The shortest service.    mothlight serve examples/sentiment.py:Sentiment"""

from pydantic import BaseModel

from mothlight import batched, service
from mothlight.demo import sentiment  # any model of yours


class Review(BaseModel):
    text: str


class Verdict(BaseModel):
    score: float


@service
class Sentiment:
    def __init__(self) -> None:  # runs once in each worker process
        self.model = sentiment.load()

    @batched(max_size=32)  # a caller sends one Review and gets one Verdict
    def analyze(self, reviews: list[Review]) -> list[Verdict]:
        return [Verdict(score=s) for s in self.model.score([r.text for r in reviews])]
