"""The demo: the tutorial's three scenarios with real weights, and what a phone would ask for next.

mothlight serve mothlight.demo.app --port 5000
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, Field

from mothlight import (
    Audio,
    AudioLimits,
    Code,
    Error,
    Image,
    ImageLimits,
    Step,
    batched,
    method,
    service,
    stepped,
)

from .heard import Heard, Ready

if TYPE_CHECKING:
    from . import silero, smollm

Sound = Annotated[Audio, AudioLimits(pcm=16_000, max_seconds=60, max_bytes=4_000_000)]
Recording = Annotated[Audio, AudioLimits(max_seconds=120)]


class Review(BaseModel):
    """A text that praises or complains."""

    text: Annotated[str, Field(min_length=1, max_length=10_000)]


class Verdict(BaseModel):
    """``score`` from 0 (negative) to 1 (positive)."""

    score: float


@service(example=Review(text="a fine film"))
class Sentiment:
    """Whether a text praises or complains: a small CNN, trained on human ratings."""

    def __init__(self) -> None:
        from . import sentiment

        self.model = sentiment.load()

    @batched(max_size=64, http="POST /analyze")
    def analyze(self, reviews: list[Review]) -> list[Verdict]:
        """Scores a text."""
        scores = self.model.score([review.text for review in reviews])
        return [Verdict(score=score) for score in scores]


class Photo(BaseModel):
    """A photo, and how many guesses are wanted."""

    file: Annotated[Image, ImageLimits(max_edge=1024)]
    top_k: Annotated[int, Field(ge=1, le=20)] = 5


class Guess(BaseModel):
    """One of the 1000 classes of ImageNet."""

    index: int
    label: str
    probability: float


class Prediction(BaseModel):
    """The likeliest class, and the runners-up."""

    predicted_class: int
    label: str
    probability: float
    guesses: list[Guess]


@service
class Photos:
    """What is on a photo: EfficientNet-Lite0 on ImageNet's 1000 classes."""

    def __init__(self) -> None:
        from . import vision

        self.model = vision.load()

    # Not batched: on a CPU a batch of this network takes longer for each picture than one alone.
    @method(http="POST /classify", example=lambda: Photo(file=Image.blank(224, 224)))
    def classify(self, photo: Photo) -> Prediction:
        """Names what is on a photo."""
        [found] = self.model.classify([photo.file], photo.top_k)
        guesses = [Guess(index=i, label=label, probability=p) for i, label, p in found]
        best = guesses[0]
        return Prediction(
            predicted_class=best.index,
            label=best.label,
            probability=best.probability,
            guesses=guesses,
        )


@service
class Numbers:
    """The tutorial's stream: a number every tenth of a second."""

    @method(http="GET /stream_numbers")
    async def stream_numbers(
        self, count: Annotated[int, Field(ge=1, le=10_000)] = 10
    ) -> AsyncIterator[int]:
        """Counts to ``count``, ten numbers a second."""
        for number in range(1, count + 1):
            await asyncio.sleep(0.1)
            yield number


class Prompt(BaseModel):
    """What the model is to answer, or with ``chat=False`` to continue."""

    text: Annotated[str, Field(min_length=1, max_length=4_000)]
    max_tokens: Annotated[int, Field(ge=1, le=512)] = 128
    chat: bool = True


class Token(BaseModel):
    """The next piece of the answer."""

    text: str


class PromptTooLong(Error):
    "the prompt has {tokens} tokens, {limit} are allowed"

    code = Code.INVALID_ARGUMENT
    tokens: int
    limit: int


@service
class Writer:
    """A small language model, SmolLM2-135M: it shows streaming, it knows little."""

    def __init__(self) -> None:
        from . import smollm

        self.model, self.limit = smollm.load(), smollm.MAX_PROMPT

    def start(self, prompt: Prompt) -> smollm.State:
        """Begins an answer; it computes nothing yet."""
        tokens = self.model.count(prompt.text, chat=prompt.chat)
        if tokens > self.limit:
            raise PromptTooLong(tokens=tokens, limit=self.limit)
        return self.model.start(prompt.text, prompt.max_tokens, chat=prompt.chat)

    @stepped(
        start,
        max_size=8,
        http="POST /write",
        raises=[PromptTooLong],
        example=Prompt(text="Write two sentences about a moth and a lamp.", max_tokens=64),
    )
    def write(self, states: list[smollm.State]) -> list[Step[Token]]:
        """Writes an answer, token by token; up to eight callers share each pass of the network."""
        pieces = self.model.step(states)
        return [
            Step(*[Token(text=piece)] if piece else [], done=state.done)
            for state, piece in zip(states, pieces, strict=True)
        ]


class Segment(BaseModel):
    """Somebody speaks, from ``start`` to ``end`` seconds."""

    start: float
    end: float


class Speech(BaseModel):
    """Where in a recording somebody speaks."""

    seconds: float
    segments: list[Segment]


class Level(BaseModel):
    """How likely it is, 0 to 1, that somebody speaks; ``at`` seconds from the start."""

    at: float
    speech: float


@service
class Voice:
    """Voice activity: Silero VAD. And what is said, where Whisper's weights have been fetched:
    ``mothlight models get whisper-tiny.en`` (71 MB; English)."""

    def __init__(self) -> None:
        from . import silero, whisper

        self.model = silero.load()
        self.transcriber = whisper.load_if_there()

    @method(http="POST /speech", example=lambda: Audio.from_samples([0.0] * 16_000, 16_000))
    def find(self, file: Recording) -> Speech:
        """Finds where somebody speaks."""
        spoken = self.model.speech_segments(file.samples(rate=16_000))
        return Speech(
            seconds=file.seconds,
            segments=[Segment(start=start, end=end) for start, end in spoken],
        )

    def begin(self, file: Recording) -> silero.Listening:
        """Begins to listen."""
        return self.model.listen(file.samples(rate=16_000))

    @stepped(
        begin,
        max_size=64,
        http="POST /listen",
        example=lambda: Audio.from_samples([0.0] * 16_000, 16_000),
    )
    def listen(self, states: list[silero.Listening]) -> list[Step[Level]]:
        """Follows a recording, a level for each 32 ms; up to 64 callers share each pass."""
        levels = self.model.step(states)
        return [
            Step(Level(at=state.seconds, speech=level), done=state.done)
            for state, level in zip(states, levels, strict=True)
        ]

    @method(http="POST /hear")
    def hear(self, chunks: Iterator[Sound]) -> Iterator[Heard]:
        """Listens to live sound: tells at once where somebody begins and ends to speak, and then
        what was said. A chunk is raw 16-bit little-endian mono samples at 16 kHz, any number of
        them, or a sound file."""
        from .hearing import Hearing

        yield Ready(text=self.transcriber is not None)
        hearing = Hearing(self.model, self.transcriber)
        for chunk in chunks:
            yield from hearing.hear(chunk.samples(rate=16_000))
        yield from hearing.finish()
