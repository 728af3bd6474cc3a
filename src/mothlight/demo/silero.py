"""Where does someone speak? Silero VAD v6 (16 kHz), with its state in the open.

The network's published form hides its state inside the module, so that two streams through one
instance spoil each other. Here the state goes in and comes out: streams share one model, and one
forward pass serves many of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mothlight import weights

from . import torchscript

if TYPE_CHECKING:
    import numpy as np

RATE = 16_000  # samples per second
CHUNK = 512  # samples that one probability is for: 32 ms
CONTEXT = 64  # samples of the chunk before, which the network reads again
HIDDEN = 128
STATE = CONTEXT + 2 * HIDDEN
_CONVOLUTIONS = ((129, 128, 1), (128, 64, 2), (64, 64, 2), (64, 128, 1))  # in, out, stride


@dataclass
class Listening:
    """A recording that is listened to. `SileroVAD.listen` makes one; `SileroVAD.step` moves it
    on by a chunk."""

    chunks: Tensor = field(repr=False)
    state: Tensor = field(repr=False)
    heard: int = 0  # chunks

    @property
    def seconds(self) -> float:
        """How much of it has been heard."""
        return self.heard * CHUNK / RATE

    @property
    def done(self) -> bool:
        return self.heard == len(self.chunks)


class SileroVAD(nn.Module):
    """Speech probabilities of chunks. `load()` makes one."""

    def __init__(self) -> None:
        super().__init__()
        self.basis: Tensor
        self.register_buffer(
            "basis", torch.empty(258, 1, 256)
        )  # of the short-time Fourier transform
        self.encoder = nn.Sequential()
        for inside, out, stride in _CONVOLUTIONS:
            self.encoder.append(nn.Conv1d(inside, out, 3, stride, padding=1)).append(nn.ReLU())
        self.rnn = nn.LSTMCell(HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN, 1)

    def forward(self, chunks: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 512) samples -1..1, (B, 320) state -> (B,) probabilities, (B, 320) state."""
        context, hidden, cell = state.tensor_split((CONTEXT, CONTEXT + HIDDEN), 1)
        samples = torch.cat([context, chunks], 1)
        reflected = nn.functional.pad(samples, (0, 64), "reflect").unsqueeze(1)
        real, imaginary = nn.functional.conv1d(reflected, self.basis, stride=128).chunk(2, 1)
        magnitude = torch.sqrt(real.square() + imaginary.square())  # (B, 129, 4)
        features = self.encoder(magnitude).squeeze(2)
        hidden, cell = self.rnn(features, (hidden, cell))
        probability = self.head(hidden.relu()).sigmoid().squeeze(1)
        return probability, torch.cat([samples[:, -CONTEXT:], hidden, cell], 1)

    def start(self, streams: int = 1) -> Tensor:
        """The (B, 320) state of streams before their first chunk: one row each, to stack."""
        return torch.zeros(streams, STATE)

    def probabilities(self, chunks: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """The probability of speech in the next chunk of each stream, and the streams' new state.

        chunks: (B, 512) float32 at 16 kHz, -1..1; state: (B, 320), of `start` or the last call.
        Raises ValueError for other shapes.
        """
        if chunks.ndim != 2 or chunks.shape[1] != CHUNK or state.shape != (len(chunks), STATE):
            raise ValueError(
                f"chunks {tuple(chunks.shape)} and state {tuple(state.shape)}:"
                f" (B, {CHUNK}) and (B, {STATE}) are needed"
            )
        with torch.inference_mode():
            probability, after = self(chunks, state)
        return probability, after

    def speech_segments(
        self, samples: np.ndarray | Tensor, threshold: float = 0.5
    ) -> list[tuple[float, float]]:
        """Start and end, in seconds, of each stretch of speech in a mono clip at 16 kHz.

        samples: (N,) float32, -1..1. The rules and their times are those of Silero's own
        `get_speech_timestamps`. About 10 ms of work per second of sound.
        """
        listening, found = self.listen(samples), []
        while not listening.done:
            found += self.step([listening])
        spoken = segments(found, len(samples), threshold)
        return [(start / RATE, end / RATE) for start, end in spoken]

    def listen(self, samples: np.ndarray | Tensor) -> Listening:
        """A recording to `step`: (N,) float32 at 16 kHz, -1..1. Raises ValueError for others."""
        sound = torch.as_tensor(samples, dtype=torch.float32)
        if sound.ndim != 1:
            raise ValueError(f"samples have the shape {tuple(sound.shape)}: one channel is needed")
        padded = nn.functional.pad(sound, (0, -len(sound) % CHUNK))
        return Listening(padded.view(-1, CHUNK), self.start())

    def step(self, states: Sequence[Listening]) -> list[float]:
        """Moves each recording on by a chunk; the probability of speech in it, 0 past the end."""
        live = [state for state in states if not state.done]
        found: dict[int, float] = {}
        if live:
            chunks = torch.stack([state.chunks[state.heard] for state in live])
            rows, after = self.probabilities(chunks, torch.cat([state.state for state in live]))
            for state, row, probability in zip(
                live, after.unsqueeze(1), rows.tolist(), strict=True
            ):
                state.state, state.heard = row, state.heard + 1
                found[id(state)] = probability
        return [found.get(id(state), 0.0) for state in states]


def segments(
    probabilities: Sequence[float],
    length: int,
    threshold: float = 0.5,
    min_speech: float = 0.25,
    min_silence: float = 0.1,
    pad: float = 0.03,
) -> list[tuple[int, int]]:
    """Stretches of speech, in samples, of a clip of `length` samples; times in seconds.

    Speech begins at `threshold` and ends 0.15 below it, once it stays there for `min_silence`;
    what is not longer than `min_speech` is dropped; `pad` is added at both ends.
    """
    leave = max(threshold - 0.15, 0.01)
    found: list[tuple[int, int]] = []
    start: int | None = None
    end: int | None = None  # where the present silence began
    for index, probability in enumerate(probabilities):
        now = index * CHUNK
        if probability >= threshold:
            start = now if start is None else start
            end = None
        elif probability < leave and start is not None:
            end = now if end is None else end
            if now - end >= min_silence * RATE:
                found.append((start, end))
                start = end = None
    if start is not None:
        found.append((start, length))
    spoken = [(start, end) for start, end in found if end - start > min_speech * RATE]
    return _widened(spoken, length, int(pad * RATE))


def _widened(found: Sequence[tuple[int, int]], length: int, pad: int) -> list[tuple[int, int]]:
    """Longer by `pad` at both ends, or up to the middle of a gap that is too short for it."""
    edges = [0, *(edge for segment in found for edge in segment), length]
    gaps = [after - before for before, after in zip(edges[::2], edges[1::2], strict=True)]
    pads = [min(pad, gap if at in (0, len(found)) else gap // 2) for at, gap in enumerate(gaps)]
    return [(start - pads[at], end + pads[at + 1]) for at, (start, end) in enumerate(found)]


def load() -> SileroVAD:
    """The model on the CPU; fetches its weights (11 MB) when they are not in the cache."""
    stored = torchscript.load(weights.get("silero-vad"))
    names = {
        "basis": "stft.forward_basis_buffer",
        "head.weight": "decoder.decoder.2.weight",
        "head.bias": "decoder.decoder.2.bias",
    }
    for place in range(len(_CONVOLUTIONS)):
        for kind in ("weight", "bias"):
            names[f"encoder.{2 * place}.{kind}"] = f"encoder.{place}.reparam_conv.{kind}"
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        names[f"rnn.{name}"] = f"decoder.rnn.{name}"
    tensors = {own: stored[f"_model.{name}"] for own, name in names.items()}
    tensors["head.weight"] = tensors["head.weight"].squeeze(2)  # a convolution of width 1 there
    model = SileroVAD()
    model.load_state_dict(tensors)
    return model.eval()
