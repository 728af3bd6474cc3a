"""How positive is a text? A small convolutional network over word pieces, with its own weights.

The weights are package data (`data/sentiment.safetensors`, trained by `train_sentiment`); where
they come from, how well they do and where they fail is in `data/MODEL_CARD.md`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from importlib.resources import files

import torch
from safetensors.torch import load as read_safetensors
from tokenizers import Tokenizer
from torch import Tensor, nn

MAX_TOKENS = 256
MAX_CHARACTERS = 4 * 1024  # read at most so much of a text: bounds the tokenizer's work
BATCH = 64  # texts per forward pass: bounds the memory that one long list can take
NEUTRAL = 0.5
PLAIN_EMOJI = {  # whose Unicode names say little, or the wrong thing
    "👍": "good",
    "👎": "bad",
    "👏": "great",
    "🙏": "thank you",
    "🔥": "awesome",
    "❤": "love",
    "♥": "love",
    "💕": "love",
    "💯": "perfect",
    "🙂": "nice",
    "🙁": "sad",
    "☹": "sad",
    "🙄": "annoying",
    "🤬": "hate",
    "🤮": "disgusting",
    "😐": "so so",
    "😤": "annoyed",
}
WIDTHS = (1, 2, 3, 4)  # of the convolutions, in word pieces


class TextCNN(nn.Module):
    """Convolutions of several widths over word pieces, pooled over time.

    ids: (B, T) int64, 0 where there is no token -> (B,) valence, about -4 (bad) to +4 (good).
    """

    def __init__(
        self,
        vocabulary: int,
        size: int = 64,
        channels: int = 96,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, size, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(size, channels, width) for width in WIDTHS)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * channels * len(WIDTHS), 1)

    def forward(self, ids: Tensor) -> Tensor:
        real = ids.ne(0)  # (B, T)
        length = real.sum(1, keepdim=True).clamp(min=1)
        embedded = self.dropout(self.embedding(ids)) * real.unsqueeze(2)
        x = embedded.transpose(1, 2)  # (B, size, T); what is padding is zero, as beyond the edges
        pooled = []
        for width, convolution in zip(WIDTHS, self.convolutions, strict=True):
            y = convolution(nn.functional.pad(x, ((width - 1) // 2, width // 2))).relu()
            y = y * real.unsqueeze(1)  # relu: 0 is the least, so the maximum never sees padding
            pooled += [y.amax(2), y.sum(2) / length]
        valence: Tensor = self.head(self.dropout(torch.cat(pooled, 1))).squeeze(1)
        return valence


class SentimentModel:
    """Scores texts. `load()` makes one."""

    def __init__(
        self, network: TextCNN, tokenizer: Tokenizer, slope: float = 1.0, offset: float = 0.0
    ) -> None:
        self.network = network.eval()
        self.tokenizer = tokenizer
        self.slope = slope
        self.offset = offset

    def score(self, texts: Sequence[str]) -> list[float]:
        """The probability, 0..1, that each text is positive; 0.5 for one without a known word.

        A text's score does not depend on its neighbours (to 1e-5). Only the first 4,096 characters
        and 256 word pieces of a text are read.
        """
        ids = encode(self.tokenizer, texts)
        unknown = self.tokenizer.token_to_id("[UNK]")
        # Neighbours in length share a batch, so that little of it is padding.
        order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
        scores = [NEUTRAL] * len(ids)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            with torch.inference_mode():
                valence = self.network(padded([ids[i] for i in rows])).double()
                batch = torch.sigmoid(self.slope * valence + self.offset).tolist()
            for i, score in zip(rows, batch, strict=True):
                if any(token != unknown for token in ids[i][1:]):
                    scores[i] = score
        return scores


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Word pieces of each text, at most `MAX_TOKENS`, led by `[CLS]` so that none is empty."""
    # A lone surrogate is no Unicode text: the tokenizer refuses it, a user may well send it.
    clean = [_spelt(text[:MAX_CHARACTERS]).encode("utf-8", "replace").decode() for text in texts]
    start: int = tokenizer.token_to_id("[CLS]")  # type: ignore[assignment]
    return [[start, *e.ids[: MAX_TOKENS - 1]] for e in tokenizer.encode_batch(clean)]


def _spelt(text: str) -> str:
    """Emoji as words that the model knows: their Unicode names, or a plainer word."""
    if text.isascii():
        return text
    return "".join(
        f" {_word(character)} " if _emoji(character) else character for character in text
    )


def _emoji(character: str) -> bool:
    return character >= "\u2600" and unicodedata.category(character) == "So"


def _word(emoji: str) -> str:
    name = unicodedata.name(emoji, "").lower()
    return PLAIN_EMOJI.get(emoji) or name.replace("face", "").replace("with", "")


def padded(ids: Sequence[Sequence[int]]) -> Tensor:
    """(B, T) int64, filled up with 0."""
    rows = torch.zeros(len(ids), max(map(len, ids)), dtype=torch.int64)
    for row, tokens in zip(rows, ids, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    return rows


def load() -> SentimentModel:
    """The shipped model, on the CPU, in float32, in eval mode."""
    data = files("mothlight.demo").joinpath("data")
    tensors = read_safetensors(data.joinpath("sentiment.safetensors").read_bytes())
    slope, offset = tensors.pop("calibration").tolist()
    vocabulary, size = tensors["embedding.weight"].shape
    network = TextCNN(vocabulary, size, channels=len(tensors["convolutions.0.bias"]))
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    tokenizer = Tokenizer.from_str(data.joinpath("sentiment-tokenizer.json").read_text("utf-8"))
    return SentimentModel(network, tokenizer, slope, offset)
