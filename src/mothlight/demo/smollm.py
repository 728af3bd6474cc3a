"""SmolLM2-135M-Instruct writes text, token by token, for several prompts at once.

A small model for a demo of streaming: fluent, repetitive, not knowledgeable.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor

from mothlight import weights

from .byte_level import spell
from .gguf import Gguf
from .llama import Cache, Llama

MAX_PROMPT = 1024  # tokens
MAX_NEW = 2048  # tokens
MAX_CHARACTERS = 16 * MAX_PROMPT  # of a prompt: bounds the tokenizer's work
CHUNK = 64  # prompt tokens per step: so much may one newcomer hold up those who write already
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
END_OF_TEXT, START, END = 0, 1, 2  # <|endoftext|>, <|im_start|>, <|im_end|>


@dataclass
class State:
    """One text in the making. `Model.start` makes one; `Model.step` moves it on."""

    cache: Cache = field(repr=False)
    pending: list[int]  # tokens that the network has not read yet
    left: int  # tokens that may still be written
    temperature: float
    generator: torch.Generator | None = field(repr=False)
    decoder: codecs.IncrementalDecoder = field(repr=False)
    written: int = 0  # tokens
    done: bool = False


class LanguageModel:
    """Writes texts. `load()` makes one; `write` is the simple way to use it."""

    def __init__(self, llama: Llama, tokenizer: Tokenizer) -> None:
        self.llama = llama
        self.tokenizer = tokenizer
        places = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        self.spelling = spell(token for token, _ in places)

    def write(
        self,
        prompt: str,
        max_tokens: int = 256,
        *,
        chat: bool = True,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """The pieces of one text, as they come; for the arguments see `start`."""
        state = self.start(prompt, max_tokens, chat=chat, temperature=temperature, seed=seed)
        while (piece := self.step([state])[0]) is not None:
            if piece:
                yield piece

    def start(
        self,
        prompt: str,
        max_tokens: int,
        *,
        chat: bool = True,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> State:
        """A state to `step`; this itself computes nothing.

        `prompt`: a question to answer, or without `chat` a text to continue. `temperature`: 0 takes
        the likeliest token each time; 1 draws by the model's own odds, with `seed`. Raises
        ValueError for a prompt that is empty or over 1,024 tokens, or `max_tokens` beyond 1..2048.
        """
        if not 1 <= max_tokens <= MAX_NEW:
            raise ValueError(f"max_tokens is {max_tokens}: it must be from 1 to {MAX_NEW}")
        if not 0 <= temperature <= 10:
            raise ValueError(f"temperature is {temperature}: it must be from 0 to 10")
        if len(prompt) > MAX_CHARACTERS:
            raise ValueError(f"the prompt has over {MAX_CHARACTERS} characters")
        pending = self._read(prompt, chat)
        if not 1 <= len(pending) <= MAX_PROMPT:
            raise ValueError(f"the prompt has {len(pending)} tokens: 1 to {MAX_PROMPT} are allowed")
        generator = torch.Generator().manual_seed(seed) if temperature else None
        return State(
            cache=Cache(self.llama, len(pending) + max_tokens),
            pending=pending,
            left=max_tokens,
            temperature=temperature,
            generator=generator,
            decoder=codecs.getincrementaldecoder("utf-8")("replace"),
        )

    def count(self, prompt: str, *, chat: bool = True) -> int:
        """How many tokens a prompt has; `start` takes at most MAX_PROMPT."""
        return len(self._read(prompt, chat))

    def _read(self, prompt: str, chat: bool) -> list[int]:
        return self._chat(prompt) if chat else self._encode(prompt)

    def step(self, states: Sequence[State]) -> list[str | None]:
        """Move each state on by a token; the text that it adds, or None where there is no more.

        The text is empty while a long prompt is being read (64 tokens a step) and while a character
        is not whole yet. States may join and leave between steps, at any length; each has its own
        cache, so that none reads another's text.
        """
        live = [state for state in states if not state.done]
        pieces: dict[int, str] = {}
        if live:
            tokens = [state.pending[:CHUNK] for state in live]
            with torch.inference_mode():
                logits = self.llama.logits(tokens, [state.cache for state in live])
                for state, row in zip(live, logits, strict=True):
                    del state.pending[:CHUNK]
                    piece = "" if state.pending else self._take(state, row)
                    if piece is not None:
                        pieces[id(state)] = piece
        return [pieces.get(id(state)) for state in states]

    def _take(self, state: State, logits: Tensor) -> str | None:
        """Choose the next token; its text, or None at the end."""
        if state.generator is None:
            token = int(logits.argmax())
        else:
            odds = (logits / state.temperature).softmax(0)
            token = int(odds.multinomial(1, generator=state.generator))
        if token in {END_OF_TEXT, START, END}:
            state.done = True
            return None
        state.written += 1
        state.left -= 1
        state.done = state.left == 0
        state.pending.append(token)
        return state.decoder.decode(self.spelling[token])

    def _encode(self, text: str) -> list[int]:
        # A lone surrogate is no Unicode text: the tokenizer refuses it, a user may well send it.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        ids: list[int] = self.tokenizer.encode(clean).ids
        return ids

    def _chat(self, text: str) -> list[int]:
        """The model's own chat template; a control token spelt out in `text` is plain text."""
        line = self._encode("\n")
        return [
            *(START, *self._encode(f"system\n{SYSTEM}"), END, *line),
            *(START, *self._encode(f"user\n{text}"), END, *line),
            *(START, *self._encode("assistant\n")),
        ]


def load() -> LanguageModel:
    """The model in float32 on the CPU; fetches its weights (93 MB) if they are not in the cache."""
    file = Gguf(weights.get("smollm2"))
    return LanguageModel(Llama(file, MAX_PROMPT + MAX_NEW), _tokenizer(file.metadata))


def _tokenizer(metadata: dict[str, Any]) -> Tokenizer:
    """The byte-level BPE of the file; knows no control token by its name, so none can be typed."""
    vocabulary = {token: index for index, token in enumerate(metadata["tokenizer.ggml.tokens"])}
    merges = [tuple(pair.split(" ")) for pair in metadata["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]
    )
    return tokenizer
