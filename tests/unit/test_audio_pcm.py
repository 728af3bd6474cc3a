"""Raw samples: sound without a header, where a field's limits say so."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import TypeAdapter

np = pytest.importorskip("numpy")
soundfile = pytest.importorskip("soundfile")

from mothlight import Audio, AudioLimits, Image, method, service  # noqa: E402
from mothlight.contracts.contract import build  # noqa: E402
from mothlight.errors import (  # noqa: E402
    BadMedia,
    DefinitionError,
    PayloadTooLarge,
    UnsupportedMedia,
)

RATE = 16_000
Sound = Annotated[Audio, AudioLimits(pcm=RATE, max_seconds=2, max_bytes=100_000)]
SOUND: TypeAdapter[Audio] = TypeAdapter(Sound)


def pcm(*samples: int) -> bytes:
    return struct.pack(f"<{len(samples)}h", *samples)


def take(value: Any, adapter: TypeAdapter[Audio] = SOUND) -> Audio:
    return adapter.validate_python(value)


def file(format: str, seconds: float = 0.1, channels: int = 1, rate: int = 8_000) -> bytes:
    buffer = io.BytesIO()
    wave = np.sin(np.arange(int(seconds * rate)) / 5) * 0.3
    soundfile.write(buffer, np.stack([wave] * channels, 1), rate, format=format)
    return buffer.getvalue()


def test_bytes_are_samples() -> None:
    audio = take(pcm(0, 16_384, -32_768, 32_767, 1))
    assert audio.samples().tolist() == [0, 0.5, -1, 32_767 / 32_768, 1 / 32_768]
    assert audio.samples().dtype == np.float32
    assert (audio.rate, audio.seconds) == (RATE, 5 / RATE)
    assert audio.media_type == "audio/pcm;rate=16000"
    assert len(audio.samples(8_000)) == 3


def test_no_first_samples_are_taken_for_a_header() -> None:
    """-1 is how an MP3 begins, "BM" a bitmap, "ID3" a tag: a microphone gives them all."""
    for first in range(-32_768, 32_768):
        audio = take(pcm(first, 0x33))
        assert len(audio.samples()) == 2, first
    for start in (b"ID3\x04", b"GIF87a", b"%PDF-1", b"PK\x03\x04", b"\x1aE\xdf\xa3", b"RIFF\0\0"):
        assert take(start).media_type == "audio/pcm;rate=16000"


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG"])
def test_files_are_taken_beside(format: str) -> None:
    audio = take(file(format))
    assert audio.rate == 8_000 and audio.media_type == f"audio/{format.lower()}"
    assert audio.seconds == pytest.approx(0.1, abs=0.01)


def test_an_mp3_is_not_known_beside_raw_samples() -> None:
    mp3 = file("MP3")
    assert take(mp3, TypeAdapter(Audio)).media_type == "audio/mpeg"
    assert take(mp3 + bytes(len(mp3) % 2)).media_type == "audio/pcm;rate=16000"


def test_without_the_limit_a_header_is_needed() -> None:
    with pytest.raises(UnsupportedMedia, match="this is not a sound file"):
        take(pcm(0, 1, 2), TypeAdapter(Audio))
    wav_only = TypeAdapter(Annotated[Audio, AudioLimits(pcm=RATE, formats={"wav"})])
    assert take(file("WAV"), wav_only).rate == 8_000
    with pytest.raises(UnsupportedMedia, match="flac is not taken; taken are pcm, wav"):
        take(file("FLAC"), wav_only)


def test_bad_samples_are_refused() -> None:
    with pytest.raises(BadMedia, match="3 bytes are no whole number of 16-bit samples"):
        take(b"abc").samples()
    with pytest.raises(BadMedia, match="longer than the limit of 2 s"):
        take(bytes(2 * (2 * RATE + 1))).samples()
    assert len(take(bytes(2 * 2 * RATE)).samples()) == 2 * RATE
    with pytest.raises(PayloadTooLarge):
        take(bytes(100_001))
    assert len(take(b"").samples()) == 0


def test_own_samples() -> None:
    audio = Audio.from_pcm(pcm(-1, 8_192), 48_000)
    assert (audio.rate, audio.media_type) == (48_000, "audio/pcm;rate=48000")
    assert audio.samples()[1] == 0.25
    again = pickle.loads(pickle.dumps(audio))
    assert again.media_type == audio.media_type and again.samples()[1] == 0.25
    with pytest.raises(UnsupportedMedia, match=r"rate=48000 is not taken; taken is .*rate=16000"):
        take(audio)
    with pytest.raises(UnsupportedMedia, match=r"rate=48000 is not taken$"):
        take(audio, TypeAdapter(Audio))  # though it begins as an MP3 does
    assert take(Audio.from_pcm(pcm(1, 2), RATE)).seconds == 2 / RATE


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"formats": {"pcm"}}, "how many there are a second"),
        ({"formats": {"mp3"}, "pcm": RATE}, "MP3 cannot be told from raw samples"),
        ({"pcm": 0}, "takes no file at all"),
        ({"pcm": -8_000}, "takes no file at all"),
    ],
)
def test_limits_that_make_no_sense(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(DefinitionError, match=reason):
        AudioLimits(**arguments)


def test_limits_of_images_have_no_samples() -> None:
    with pytest.raises(DefinitionError, match="limits audio fields, not Image"):
        TypeAdapter(Annotated[Image, AudioLimits(pcm=RATE)])


@service
class Ear:
    @method
    def hear(self, chunks: Iterator[Sound]) -> Iterator[float]:
        yield from (chunk.seconds for chunk in chunks)

    @method
    def judge(self, sound: Audio) -> float:
        return sound.seconds


def test_the_contract_says_the_rate() -> None:
    hear, judge = build([Ear.__mothlight__])["services"][0]["methods"]  # type: ignore[attr-defined]
    assert hear["input"]["pcm"] == RATE
    assert hear["input"]["formats"] == ["flac", "ogg", "pcm", "wav"]
    assert "pcm" not in judge["input"] and "pcm" not in judge["input"]["formats"]


def test_a_client_reads_it_from_the_contract() -> None:
    from mothlight.schema.document import read_node

    document = build([Ear.__mothlight__])  # type: ignore[attr-defined]
    node = read_node(document["services"][0]["methods"][0]["input"])
    assert node.limits == AudioLimits(pcm=RATE, max_seconds=2, max_bytes=100_000)  # type: ignore[union-attr]


# Sound files


def test_channels_are_averaged_and_bounded() -> None:
    stereo = take(file("WAV", 20, channels=2), TypeAdapter(Audio))  # several blocks
    mono = take(file("WAV", 20), TypeAdapter(Audio))
    assert np.array_equal(stereo.samples(), mono.samples()) and len(mono.samples()) == 160_000
    with pytest.raises(BadMedia, match="longer than the limit"):
        take(file("WAV", 2.01, channels=2)).samples()
    with pytest.raises(BadMedia, match="9 channels"):
        take(file("WAV", channels=9)).samples()
    with pytest.raises(BadMedia, match="200000 Hz is over the limit"):
        take(file("WAV", 0.01, rate=200_000)).samples()
    assert len(take(file("WAV", 0, channels=2)).samples()) == 0
