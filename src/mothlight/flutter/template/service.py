"""The models behind Mothlight App. Serve them:   mothlight serve service:Models

They are the demo's, so that the app shows something at once. Put your own into `__init__` and the
three methods, change the messages as you like, and make the app's package anew:

mothlight generate dart service:Models -o packages/mothlight_app_api
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, Field

from mothlight import Code, Error, Image, ImageLimits, batched, method, service


class Review(BaseModel):
    """A text that praises or complains."""

    text: Annotated[str, Field(min_length=1, max_length=2_000)]


class Verdict(BaseModel):
    """From 0, a complaint, to 1, praise."""

    score: float


class Photo(BaseModel):
    """A photo, and how many guesses are wanted."""

    image: Annotated[Image, ImageLimits(max_edge=1024)]
    top_k: Annotated[int, Field(ge=1, le=10)] = 5


class Guess(BaseModel):
    """What may be on a photo, with a probability from 0 to 1."""

    label: str
    probability: float


class Prediction(BaseModel):
    """The guesses, the likeliest first."""

    guesses: list[Guess]


class Prompt(BaseModel):
    """What the model is to answer, in how many tokens at most."""

    text: Annotated[str, Field(min_length=1, max_length=2_000)]
    max_tokens: Annotated[int, Field(ge=1, le=512)] = 256


class Token(BaseModel):
    """The next piece of an answer."""

    text: str


class PromptTooLong(Error):
    "the prompt has {tokens} tokens, {limit} are allowed"

    code = Code.INVALID_ARGUMENT
    tokens: int
    limit: int


@service
class Models:
    """Reads a text, looks at a photo, writes an answer."""

    def __init__(self) -> None:
        from mothlight.demo import sentiment, smollm, vision

        self.critic = sentiment.load()
        self.eye = vision.load()
        self.writer, self.limit = smollm.load(), smollm.MAX_PROMPT

    @batched(max_size=32)
    def analyze(self, reviews: list[Review]) -> list[Verdict]:
        """Tells praise from complaint."""
        scores = self.critic.score([review.text for review in reviews])
        return [Verdict(score=score) for score in scores]

    @method
    def classify(self, photo: Photo) -> Prediction:
        """Names what is on a photo."""
        [found] = self.eye.classify([photo.image], photo.top_k)
        return Prediction(
            guesses=[Guess(label=label, probability=odds) for _, label, odds in found]
        )

    @method(raises=[PromptTooLong])
    def write(self, prompt: Prompt) -> Iterator[Token]:
        """Writes an answer, token by token."""
        tokens = self.writer.count(prompt.text)
        if tokens > self.limit:
            raise PromptTooLong(tokens=tokens, limit=self.limit)
        for piece in self.writer.write(prompt.text, prompt.max_tokens):
            yield Token(text=piece)
