"""Hearing: follows live sound as it comes, in chunks of any size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from .heard import Heard, SpeechBegan, SpeechEnded, SpeechText
from .silero import CHUNK, RATE, SileroVAD
from .whisper import MAX_SECONDS, Transcriber

THRESHOLD = 0.5  # probability at which speech begins; it ends 0.15 below
MIN_SPEECH = 0.25  # seconds; what is shorter is none
MIN_SILENCE = 0.5  # seconds; a shorter pause is part of the speech
PAD = int(0.03 * RATE)  # samples that speech is taken to reach beyond both ends
LEAD = 8  # frames before the speech that are written down with it: its first sound is soft
LONGEST = int(MAX_SECONDS * RATE) // CHUNK  # frames that are written down at once
SEARCH = 5 * RATE // CHUNK  # of them, the last ones, in which longer speech is cut where it is soft


class _Frame(NamedTuple):
    samples: npt.NDArray[np.float32]
    speech: float


class Hearing:
    """One stream of sound: ``hear`` its samples, and at last ``finish``.

    What it tells depends on the samples alone, not on how they are cut into chunks: they are looked
    at in frames of 32 ms. It holds at most 28 s of speech (1.8 MB), and without ``transcriber``
    none.
    """

    def __init__(self, model: SileroVAD, transcriber: Transcriber | None = None) -> None:
        self._model, self._transcriber = model, transcriber
        self._state = model.start()
        self._frame = np.zeros(CHUNK, np.float32)
        self._filled = 0  # samples of the frame that are there
        self._now = 0  # samples before the frame
        self._start: int | None = None  # of the speech
        self._silence: int | None = None  # since when it may have ended
        self._is_told = False
        self._frames: list[_Frame] = []  # not written down yet
        self._piece = 0.0  # seconds, where they begin

    def hear(self, samples: npt.NDArray[np.float32]) -> Iterator[Heard]:
        """What there is to tell after these samples: (n,) float32 -1..1 at 16 kHz."""
        while len(samples):
            taken = samples[: CHUNK - self._filled]
            samples = samples[len(taken) :]
            self._frame[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            if self._filled == CHUNK:
                yield from self._look()

    def finish(self) -> Iterator[Heard]:
        """What is left to tell when the sound has ended."""
        if self._filled:
            self._frame[self._filled :] = 0
            yield from self._look()
        if self._start is not None:
            yield from self._end(self._start, self._now, self._now)

    def _look(self) -> Iterator[Heard]:
        """Looks at the frame, which is full."""
        before, self._now, self._filled = self._now, self._now + self._filled, 0
        chunk = torch.from_numpy(self._frame).unsqueeze(0)
        probability, self._state = self._model.probabilities(chunk, self._state)
        speech = float(probability)
        if self._transcriber:
            self._frames.append(_Frame(self._frame.copy(), speech))
        if speech >= THRESHOLD:
            self._start = before if self._start is None else self._start
            self._silence = None
        elif speech < THRESHOLD - 0.15 and self._start is not None:
            self._silence = before if self._silence is None else self._silence
            if before - self._silence >= MIN_SILENCE * RATE:
                yield from self._end(self._start, self._silence, self._silence + PAD)
        if self._start is None:
            del self._frames[:-LEAD]
            return
        if self._silence is None and not self._is_told and self._is_long(self._start, self._now):
            self._is_told = True
            self._piece = _seconds(self._start - PAD)
            yield SpeechBegan(start=self._piece)
        if len(self._frames) >= LONGEST:
            if self._is_told:
                yield from self._cut()
            else:
                del self._frames[:-LEAD]

    def _end(self, start: int, end: int, padded: int) -> Iterator[Heard]:
        self._start = self._silence = None
        if self._is_long(start, end):
            if not self._is_told:
                self._piece = _seconds(start - PAD)
                yield SpeechBegan(start=self._piece)
            yield SpeechEnded(start=_seconds(start - PAD), end=_seconds(padded))
            yield from self._write(len(self._frames), _seconds(padded))
        self._is_told = False

    def _is_long(self, start: int, end: int) -> bool:
        return end - start > MIN_SPEECH * RATE

    def _cut(self) -> Iterator[Heard]:
        """Writes down what is there of speech that goes on, up to its softest place."""
        last = self._frames[-SEARCH:]
        softest = min(range(len(last)), key=lambda place: last[place].speech)
        left = len(last) - softest
        yield from self._write(len(self._frames) - left, _seconds(self._now - left * CHUNK))

    def _write(self, count: int, end: float) -> Iterator[Heard]:
        if self._transcriber and count:
            samples = np.concatenate([frame.samples for frame in self._frames[:count]])
            del self._frames[:count]
            if text := self._transcriber.transcribe(samples):
                yield SpeechText(start=self._piece, end=end, text=text)
        self._piece = end


def _seconds(samples: int) -> float:
    return round(max(0, samples) / RATE, 3)
