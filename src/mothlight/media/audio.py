"""Audio: samples that are opened from hostile bytes, late, as mono float32."""

from __future__ import annotations

import io
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from pydantic import ValidationInfo

from ..errors import BadMedia, UnsupportedMedia
from .file import MEDIA_TYPES, File, Media, sniff
from .limits import AudioLimits, Limits

MAX_CHANNELS = 8
MAX_RATE = 192_000
_BLOCK = 1 << 16  # frames of several channels that are decoded at a time
_TRUSTED = 86_400.0  # seconds that one's own program opens
_HEADERS = ("wav", "flac", "ogg")  # four bytes and more, which samples hardly ever are


class Audio(File):
    """A sound file (WAV, FLAC, Ogg, MP3), or raw samples where its ``AudioLimits(pcm=...)`` say so.
    ``samples(rate)`` are its samples: float32 in -1..1, mono (channels averaged), shape (n,),
    resampled to ``rate`` Hz where that is given.

    Raises BadMedia when the bytes are damaged or longer than the limits allow.
    """

    kind = "audio"
    limits: Limits = AudioLimits(max_seconds=_TRUSTED)
    _decoded: tuple[npt.NDArray[np.float32], int] | None = None

    @classmethod
    def from_samples(cls, samples: npt.ArrayLike, rate: int) -> Audio:
        """Encodes samples in -1..1, shape (n,) or (n, channels), as a 16-bit WAV."""
        buffer = io.BytesIO()
        soundfile.write(buffer, np.asarray(samples), rate, format="WAV", subtype="PCM_16")
        return cls(buffer.getvalue())

    @classmethod
    def from_pcm(cls, data: bytes, rate: int) -> Self:
        """Raw samples, as microphones give them: 16-bit little-endian, mono, ``rate`` a second."""
        audio = cls(data)
        audio.limits = AudioLimits(pcm=rate, max_seconds=_TRUSTED)
        audio.media_type = _raw_type(audio.limits) or audio.media_type
        return audio

    @classmethod
    def default_limits(cls) -> Limits:
        return AudioLimits()

    def open_in_worker(self) -> None:
        self._open()

    @classmethod
    def _validate(cls, limits: Limits, value: Any, info: ValidationInfo) -> Self:
        assert isinstance(limits, AudioLimits)
        taken = _raw_type(limits)
        given = _raw_type(value.limits) if isinstance(value, Audio) and value._is_raw else taken
        if given != taken:  # of another rate; or what would now be looked at for a header
            raise UnsupportedMedia(
                reason=f"{given} is not taken" + (f"; taken is {taken}" if taken else ""),
                supported=[MEDIA_TYPES[name] for name in sorted(limits.formats)],
            )
        found = super()._validate(limits, value, info)
        if found._is_raw:
            found.media_type = taken
        return found

    def _sniff(self) -> str:
        return "pcm" if self._is_raw else sniff(self.data)

    @property
    def _is_raw(self) -> bool:
        return bool(_raw_type(self.limits)) and sniff(self.data) not in _HEADERS

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
    audio.limits, audio.media_type = limits, media_type
    return audio


def _raw_type(limits: Limits) -> str:
    """The media type of raw samples under ``limits``, "" where they are not taken."""
    rate = limits.pcm if isinstance(limits, AudioLimits) else None
    return f"audio/pcm;rate={rate}" if rate else ""


def decode(data: bytes, limits: Limits) -> tuple[npt.NDArray[np.float32], int]:
    """(mono float32 samples, rate in Hz) of an encoded sound under ``limits``."""
    assert isinstance(limits, AudioLimits)
    if limits.pcm and sniff(data) not in _HEADERS:
        samples, rate = _raw(data), limits.pcm
        most = int(limits.max_seconds * rate)
    else:
        samples, rate, most = _file(data, limits)
    if len(samples) > most:
        raise BadMedia(reason=f"the sound is longer than the limit of {limits.max_seconds:g} s")
    return np.ascontiguousarray(samples, dtype=np.float32), rate


def _raw(data: bytes) -> npt.NDArray[np.float32]:
    if len(data) % 2:
        raise BadMedia(reason=f"{len(data)} bytes are no whole number of 16-bit samples")
    return np.frombuffer(data, "<i2").astype(np.float32) * np.float32(1 / 32_768)


def _file(data: bytes, limits: AudioLimits) -> tuple[npt.NDArray[np.float32], int, int]:
    """(samples, rate, how many samples are allowed); of a longer sound, one sample more."""
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as sound:
            rate, channels = sound.samplerate, sound.channels
            if channels > MAX_CHANNELS:
                raise BadMedia(reason=f"{channels} channels are over the limit of {MAX_CHANNELS}")
            if not 0 < rate <= MAX_RATE:
                raise BadMedia(reason=f"{rate} Hz is over the limit of {MAX_RATE}")
            most = int(limits.max_seconds * rate)
            # One frame over the limit tells a longer sound; the header's number is only a claim.
            left = min(sound.frames, most + 1)
            if channels == 1:
                samples = np.asarray(sound.read(frames=left, dtype="float32"), np.float32)
                return samples, rate, most
            blocks = [np.empty(0, np.float32)]
            while left > 0 and len(block := sound.read(frames=min(left, _BLOCK), dtype="float32")):
                blocks.append(block.mean(axis=1, dtype=np.float32))
                left -= len(block)
            return np.concatenate(blocks), rate, most
    except soundfile.LibsndfileError as error:
        raise BadMedia(reason=f"the sound file is damaged: {error.error_string}") from None
