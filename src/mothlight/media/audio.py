"""Audio: samples that are opened from hostile bytes, late, as mono float32."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from ..errors import BadMedia
from .file import File, Media
from .limits import AudioLimits, Limits

MAX_CHANNELS = 8


class Audio(File):
    """A sound file (WAV, FLAC, Ogg, MP3). ``samples(rate)`` are its samples: float32 in -1..1, mono
    (channels averaged), shape (n,), resampled to ``rate`` Hz where that is given.

    Raises BadMedia when the bytes are damaged or longer than the limits allow.
    """

    kind = "audio"
    limits: Limits = AudioLimits(max_seconds=86_400.0)
    _decoded: tuple[npt.NDArray[np.float32], int] | None = None

    @classmethod
    def from_samples(cls, samples: npt.ArrayLike, rate: int) -> Audio:
        """Encodes samples in -1..1, shape (n,) or (n, channels), as a 16-bit WAV."""
        buffer = io.BytesIO()
        soundfile.write(buffer, np.asarray(samples), rate, format="WAV", subtype="PCM_16")
        return cls(buffer.getvalue())

    @classmethod
    def default_limits(cls) -> Limits:
        return AudioLimits()

    def open_in_worker(self) -> None:
        self._open()

    @property
    def rate(self) -> int:
        """The file's own samples per second."""
        return self._open()[1]

    @property
    def seconds(self) -> float:
        """The duration."""
        samples, rate = self._open()
        return len(samples) / rate

    def samples(self, rate: int | None = None) -> npt.NDArray[np.float32]:
        """The samples, mono float32, at ``rate`` Hz or at the file's own rate."""
        samples, own = self._open()
        if rate is None or rate == own:
            return samples
        resampled: npt.NDArray[np.float32] = soxr.resample(samples, own, rate)
        return resampled

    def _open(self) -> tuple[npt.NDArray[np.float32], int]:
        if self._decoded is None:
            self._decoded = decode(self.data, self.limits)
        return self._decoded

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.data, self.media_type, self.name, self.limits)


def _rebuild(data: bytes, media_type: str, name: str | None, limits: Limits) -> Media:
    audio = Audio(data, media_type=media_type, name=name)
    audio.limits = limits
    return audio


def decode(data: bytes, limits: Limits) -> tuple[npt.NDArray[np.float32], int]:
    """(mono float32 samples, rate in Hz) of an encoded sound under ``limits``."""
    assert isinstance(limits, AudioLimits)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            rate, channels = sound.samplerate, sound.channels
            if channels > MAX_CHANNELS or rate <= 0:
                raise BadMedia(reason=f"{channels} channels are over the limit of {MAX_CHANNELS}")
            most = int(limits.max_seconds * rate)
            # One frame over the limit tells a longer sound; the header's number is only a claim.
            samples = sound.read(frames=min(sound.frames, most + 1), dtype="float32")
    except soundfile.LibsndfileError as error:
        raise BadMedia(reason=f"the sound file is damaged: {error.error_string}") from None
    if len(samples) > most:
        raise BadMedia(reason=f"the sound is longer than the limit of {limits.max_seconds:g} s")
    if samples.ndim > 1:
        samples = samples.mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(samples, dtype=np.float32), rate
