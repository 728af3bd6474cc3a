"""Mothlight, as its users write it: ``python -m bench.served text PORT``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pydantic import BaseModel

from bench import models
from mothlight import App, Image, batched, method, serve, service


class Review(BaseModel):
    text: str


class Verdict(BaseModel):
    score: float


class Class(BaseModel):
    predicted_class: int
    probability: float


class Token(BaseModel):
    index: int
    text: str


@service
class Noop:
    @batched(max_size=32, http="POST /score")
    def score(self, reviews: list[Review]) -> list[Verdict]:
        return [Verdict(score=s) for s in models.noop([r.text for r in reviews])]

    @method(http="POST /score_one")
    def score_one(self, review: Review) -> Verdict:
        return Verdict(score=models.noop([review.text])[0])


@service
class Text:
    def __init__(self) -> None:
        self.model = models.Mlp()

    @batched(max_size=32, http="POST /score")
    def score(self, reviews: list[Review]) -> list[Verdict]:
        return [Verdict(score=s) for s in self.model.predict([r.text for r in reviews])]


@service
class Vision:
    def __init__(self) -> None:
        self.model = models.vision()

    @method(http="POST /classify")
    def classify(self, file: Image) -> Class:
        [(category, probability)] = models.classify(self.model, [file])
        return Class(predicted_class=category, probability=probability)


@service
class Stream:
    @method(http="GET /tokens")
    def tokens(self, count: int = models.ITEMS) -> Iterator[Token]:
        for index, text in models.tokens(count):
            yield Token(index=index, text=text)


SERVICES = {"noop": Noop, "text": Text, "image": Vision, "stream": Stream}

if __name__ == "__main__":
    serve(App(SERVICES[sys.argv[1]], workers=1, port=int(sys.argv[2])))
