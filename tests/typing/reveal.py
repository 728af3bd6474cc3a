"""What mypy and pyright infer for a user; test_reveal.py compares. Nothing here is run.

Each comment is the type that both must find, without module names.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import reveal_type

from pydantic import BaseModel

from mothlight import (
    App,
    AsyncClient,
    Client,
    Code,
    Error,
    Image,
    Step,
    batched,
    current_call,
    current_calls,
    method,
    service,
    stepped,
)
from mothlight.testing import TestClient


class Review(BaseModel):
    text: str


class Verdict(BaseModel):
    score: float


@dataclass
class Prompt:
    text: str


@dataclass
class Token:
    text: str


class TextTooLong(Error):
    "text has {length} characters"

    code = Code.INVALID_ARGUMENT
    length: int


@service
class Sentiment:
    @batched
    def analyze(self, reviews: list[Review]) -> list[Verdict]:
        return [Verdict(score=0.0) for _ in reviews]

    @batched(max_size=8, raises=[TextTooLong])
    def judge(self, reviews: list[Review]) -> list[Verdict | Error]:
        return [TextTooLong(length=1) for _ in reviews]

    @batched(max_size=8, idempotent=False)
    async def weigh(self, reviews: list[Review]) -> list[Verdict]:
        return [Verdict(score=0.0) for _ in reviews]

    @method
    def one(self, review: Review) -> Verdict:
        return Verdict(score=0.0)

    @method(raises=[TextTooLong])
    async def later(self, review: Review) -> Verdict:
        return Verdict(score=0.0)

    @method
    def ping(self) -> int:
        return 1

    @method
    def look(self, image: Image) -> dict[str, float]:
        return {}

    @method(http="GET /write")
    def write(self, prompt: Prompt) -> Iterator[Token]:
        yield Token(prompt.text)

    @method
    async def murmur(self, prompt: Prompt) -> AsyncIterator[Token]:
        yield Token(prompt.text)


class State:
    def __init__(self, text: str) -> None:
        self.text = text


@service
class Writer:
    def start(self, prompt: Prompt) -> State:
        return State(prompt.text)

    @stepped(start, max_size=8)
    def write(self, states: list[State]) -> list[Step[Token]]:
        return [Step(Token(state.text), done=True) for state in states]

    @stepped(start, raises=[TextTooLong], example=Prompt("x"))
    def read(self, states: Sequence[State]) -> list[Step[Token] | TextTooLong]:
        return [Step() if state.text else TextTooLong(length=0) for state in states]

    def begin(self) -> int:
        return 0

    @stepped(begin, http="GET /count")
    def count(self, states: list[int]) -> list[Step[int]]:
        return [Step(state, state + 1) for state in states]


@service
class Listener:
    @method
    def total(self, prompts: Iterator[Prompt]) -> Verdict:
        return Verdict(score=sum(1.0 for _ in prompts))

    @method
    async def total_later(self, prompts: AsyncIterator[Prompt]) -> Verdict:
        return Verdict(score=sum([1.0 async for _ in prompts]))

    @method
    def hear(self, prompts: Iterator[Prompt]) -> Iterator[Token]:
        for prompt in prompts:
            yield Token(prompt.text)

    @method
    async def hear_later(self, prompts: AsyncIterator[Prompt]) -> AsyncIterator[Token]:
        async for prompt in prompts:
            yield Token(prompt.text)


review, prompt = Review(text="x"), Prompt("x")

# On an instance a method is the function that was written.
sentiment = Sentiment()
reveal_type(sentiment.analyze([review]))  # list[Verdict]
reveal_type(sentiment.judge([review]))  # list[Verdict | Error]
reveal_type(sentiment.one(review))  # Verdict
reveal_type(sentiment.ping())  # int
reveal_type(sentiment.write(prompt))  # Iterator[Token]
reveal_type(sentiment.murmur(prompt))  # AsyncIterator[Token]
writer, state = Writer(), State("x")
reveal_type(writer.start(prompt))  # State
reveal_type(writer.write([state]))  # list[Step[Token]]
reveal_type(writer.write([state])[0].items)  # tuple[Token, ...]
reveal_type(writer.read([state]))  # list[Step[Token] | TextTooLong]
reveal_type(writer.count([1]))  # list[Step[int]]
reveal_type(current_call().remaining)  # float | None
reveal_type([call.cancelled for call in current_calls()])  # list[bool]

# On the class it is the description of one call.
reveal_type(Sentiment.analyze(review))  # Verdict
reveal_type(Sentiment.judge(review))  # Verdict
reveal_type(Sentiment.write(prompt))  # Iterator[Token]
reveal_type(Writer.write(prompt))  # Iterator[Token]
reveal_type(Writer.read(prompt))  # Iterator[Token]
reveal_type(Writer.count())  # Iterator[int]


def synchronous(client: Client) -> None:
    reveal_type(client.call(Sentiment.analyze, review))  # Verdict
    reveal_type(client.call(Sentiment.judge, review))  # Verdict
    reveal_type(client.call(Sentiment.weigh, review))  # Verdict
    reveal_type(client.call(Sentiment.one, review))  # Verdict
    reveal_type(client.call(Sentiment.later, review))  # Verdict
    reveal_type(client.call(Sentiment.ping))  # int
    reveal_type(client.call(Sentiment.look, Image(b"")))  # dict[str, float]
    reveal_type(client.stream(Sentiment.write, prompt))  # Generator[Token, None, None]
    reveal_type(client.stream(Sentiment.murmur, prompt))  # Generator[Token, None, None]
    reveal_type([token.text for token in client.stream(Sentiment.write, prompt)])  # list[str]
    reveal_type(client.of(Sentiment).analyze(review))  # Verdict
    reveal_type(client.of(Sentiment).judge(review).score)  # float
    reveal_type(client.of(Sentiment).later(review))  # Verdict
    reveal_type(client.of(Sentiment).ping())  # int
    reveal_type(client.of(Sentiment).write(prompt))  # Iterator[Token]
    reveal_type(client.of(Sentiment).murmur(prompt))  # Iterator[Token]
    reveal_type(client.stream(Writer.write, prompt))  # Generator[Token, None, None]
    reveal_type(client.stream(Writer.read, prompt))  # Generator[Token, None, None]
    reveal_type(client.stream(Writer.count))  # Generator[int, None, None]
    reveal_type(client.of(Writer).write(prompt))  # Iterator[Token]
    reveal_type(client.call(Listener.total, [prompt]))  # Verdict
    reveal_type(client.call(Listener.total_later, iter([prompt])))  # Verdict
    reveal_type(client.stream(Listener.hear, [prompt]))  # Generator[Token, None, None]
    reveal_type(client.stream(Listener.hear_later, [prompt]))  # Generator[Token, None, None]
    reveal_type(client.of(Listener).total([prompt]))  # Verdict
    reveal_type(client.of(Listener).hear([prompt]))  # Iterator[Token]
    reveal_type(client.begin(Sentiment.analyze, review))  # Operation[Verdict]
    reveal_type(client.begin(Sentiment.analyze, review).result(timeout=1.0))  # Verdict
    reveal_type(client.begin(Sentiment.write, prompt).stream())  # Generator[Token, None, None]
    reveal_type(client.operation("id", Sentiment.write))  # Operation[Token]
    reveal_type(client.operation("id", Sentiment.write).status().error)  # Error | None
    reveal_type(client.of("Sentiment"))  # Any
    reveal_type(client.with_options(timeout=1.0, headers={"X": "y"}))  # Client


def tested() -> None:
    with TestClient(Sentiment, max_queue=4) as client:
        reveal_type(client)  # TestClient
        reveal_type(client.of(Sentiment).analyze(review))  # Verdict
        reveal_type(client.call(Sentiment.analyze, review))  # Verdict


async def asynchronous(client: AsyncClient, app: App) -> None:
    reveal_type(await client.call(Sentiment.analyze, review))  # Verdict
    reveal_type(await client.call(Sentiment.later, review))  # Verdict
    reveal_type(client.stream(Sentiment.write, prompt))  # AsyncGenerator[Token, None]
    async for token in client.stream(Sentiment.murmur, prompt):
        reveal_type(token)  # Token
    reveal_type(client.of(Sentiment))  # Any
    reveal_type(await client.call(Listener.total, [prompt]))  # Verdict
    reveal_type(client.stream(Listener.hear_later, [prompt]))  # AsyncGenerator[Token, None]
    reveal_type(await client.begin(Sentiment.analyze, review))  # AsyncOperation[Verdict]
    reveal_type(await client.operation("id", Sentiment.analyze).result())  # Verdict
    reveal_type(await app.call(Sentiment.analyze, review))  # Verdict
    reveal_type(await app.call(Sentiment.judge, review, timeout=1.0))  # Verdict
    async for token in app.stream(Sentiment.write, prompt):
        reveal_type(token)  # Token
    async for token in app.stream(Writer.write, prompt):
        reveal_type(token)  # Token
