"""The demo hears: live sound in chunks of any size, voice activity and words out."""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import itertools
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import websockets.asyncio.client
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
soundfile = pytest.importorskip("soundfile")

from live import Live  # noqa: E402
from mothlight import Audio  # noqa: E402
from mothlight.demo import ctranslate2, silero, whisper  # noqa: E402
from mothlight.demo.app import Voice  # noqa: E402
from mothlight.demo.heard import (  # noqa: E402
    Heard,
    Ready,
    SpeechBegan,
    SpeechEnded,
    SpeechText,
)
from mothlight.demo.hearing import LEAD, LONGEST, MIN_SILENCE, Hearing  # noqa: E402
from mothlight.errors import BadMedia  # noqa: E402
from mothlight.weights import CATALOGUE, WeightsError  # noqa: E402

pytestmark = [pytest.mark.demo, pytest.mark.timeout(300)]

RATE = silero.RATE
FILE = Path(__file__).parents[2] / "examples" / "sounds" / "speech.wav"
SPOKEN = [(0.6, 2.19), (3.09, 5.0)]  # how the file was put together
WORDS = [{"flies", "to", "the", "lamp"}, {"good", "evening", "and", "welcome", "to", "you"}]
Samples = npt.NDArray[np.float32]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def ears() -> silero.SileroVAD:
    return silero.load()


@pytest.fixture(scope="module")
def transcriber() -> whisper.Transcriber:
    weights = CATALOGUE[whisper.NAME]
    if not (weights.cached or os.environ.get("CI")):
        pytest.skip("Whisper is not here (71 MB): mothlight models get whisper-tiny.en")
    try:
        return whisper.load()
    except WeightsError as error:
        pytest.skip(f"Whisper cannot be fetched: {error}")


@pytest.fixture(scope="module")
def speech() -> Samples:
    samples, rate = soundfile.read(FILE, dtype="float32")
    assert rate == RATE
    return np.asarray(samples, np.float32)


def hear(hearing: Hearing, chunks: Iterator[Samples]) -> list[Heard]:
    events = [event for chunk in chunks for event in hearing.hear(chunk)]
    return [*events, *hearing.finish()]


def cut(samples: Samples, size: int) -> Iterator[Samples]:
    return (samples[at : at + size] for at in range(0, len(samples), size))


def pcm(samples: Samples) -> bytes:
    return (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()


def activity(events: Sequence[Heard]) -> list[Any]:
    return [event for event in events if isinstance(event, (SpeechBegan, SpeechEnded))]


def spoken(events: Sequence[Heard]) -> list[tuple[float, float]]:
    """The stretches of speech, once it is sure that each is told to begin and then to end."""
    told = activity(events)
    for began, ended in zip(told[::2], told[1::2], strict=True):
        assert isinstance(began, SpeechBegan) and isinstance(ended, SpeechEnded)
        assert began.start == ended.start < ended.end
    return [(ended.start, ended.end) for ended in told[1::2]]


class Scripted(silero.SileroVAD):
    """Says of each frame what it is told to say."""

    def __init__(self, probabilities: Sequence[float]) -> None:
        super().__init__()
        self._script = iter(probabilities)

    def probabilities(self, chunks: Any, state: Any) -> Any:
        return torch.tensor([next(self._script)]), state


class Recorder(whisper.Transcriber):
    """Keeps what it is to write down."""

    def __init__(self) -> None:
        self.pieces: list[Samples] = []

    def transcribe(self, samples: Any) -> str:
        self.pieces.append(samples)
        return f"piece {len(self.pieces)}"


# Voice activity


def test_speech_is_told_where_it_is(ears: silero.SileroVAD, speech: Samples) -> None:
    found = spoken(hear(Hearing(ears), cut(speech, 512)))
    assert len(found) == len(SPOKEN)
    for (start, end), (first, last) in zip(found, SPOKEN, strict=True):
        assert start == pytest.approx(first, abs=0.15)
        assert end == pytest.approx(last, abs=0.15)


@pytest.mark.parametrize("size", [1, 2, 7, 160, 511, 512, 513, 1024, 1600, 4097, 9_999, 10_000])
def test_the_size_of_chunks_changes_nothing(
    ears: silero.SileroVAD, speech: Samples, size: int
) -> None:
    whole = hear(Hearing(ears, Recorder()), iter([speech]))
    assert len(whole) == 6
    assert hear(Hearing(ears, Recorder()), cut(speech, size)) == whole


@pytest.mark.parametrize("seed", range(5))
def test_mixed_sizes_change_nothing(ears: silero.SileroVAD, speech: Samples, seed: int) -> None:
    draw = random.Random(seed)
    places = sorted(draw.sample(range(len(speech)), draw.choice([3, 50, 2_000])))
    chunks = np.split(speech, sorted([*places, places[0], places[-1]]))  # some of them are empty
    whole, one, other = Hearing(ears, Recorder()), Recorder(), Recorder()
    assert hear(whole, iter([speech])) == hear(Hearing(ears, one), iter(chunks))
    hear(Hearing(ears, other), cut(speech, 1600))
    for a, b in zip(one.pieces, other.pieces, strict=True):
        assert np.array_equal(a, b)


def test_speech_is_told_while_it_lasts(ears: silero.SileroVAD, speech: Samples) -> None:
    hearing, told = Hearing(ears), {}
    for at, chunk in enumerate(cut(speech, 160)):
        for event in hearing.hear(chunk):
            told[event.kind, len(told)] = (at + 1) * 0.01, event
    (began, first), (ended, second) = list(told.values())[:2]
    assert isinstance(first, SpeechBegan) and 0.25 <= began - first.start < 0.4
    assert isinstance(second, SpeechEnded) and MIN_SILENCE <= ended - second.end + 0.03 < 0.6


def test_streams_do_not_touch_each_other(ears: silero.SileroVAD, speech: Samples) -> None:
    later = np.concatenate([np.zeros(7_000, np.float32), speech])
    alone = [hear(Hearing(ears), cut(sound, 700)) for sound in (speech, later)]
    one, other = Hearing(ears), Hearing(ears)
    events: tuple[list[Heard], list[Heard]] = ([], [])
    for chunk in cut(later, 700):
        events[1].extend(other.hear(chunk))
    assert alone[0] != alone[1]
    for mine, chunk in zip(cut(speech, 700), cut(later, 700), strict=False):
        events[0].extend(one.hear(mine))
        list(other.hear(chunk))
    events[0].extend(event for chunk in cut(speech[len(later) :], 700) for event in one.hear(chunk))
    assert activity([*events[0], *one.finish()]) == activity(alone[0])


NOISES: dict[str, Callable[[Any, npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = {
    "silence": lambda draw, time: 0 * time,
    "last bit": lambda draw, time: draw.integers(-1, 2, len(time)) / 32_768,
    "soft noise": lambda draw, time: draw.normal(0, 0.003, len(time)),
    "noise": lambda draw, time: draw.normal(0, 0.1, len(time)),
    "loud noise": lambda draw, time: np.clip(draw.normal(0, 1, len(time)), -1, 1),
    "hum": lambda draw, time: 0.3 * np.sin(2 * np.pi * 50 * time),
    "tone": lambda draw, time: 0.3 * np.sin(2 * np.pi * 1000 * time),
    "clicks": lambda draw, time: (draw.random(len(time)) > 0.9995) * 0.8,
    "offset": lambda draw, time: 0 * time + 0.9,
}


@pytest.mark.parametrize("kind", NOISES)
def test_what_is_no_speech_is_not_told(ears: silero.SileroVAD, kind: str) -> None:
    noise = NOISES[kind](np.random.default_rng(0), np.arange(10 * RATE) / RATE)
    recorder = Recorder()
    assert hear(Hearing(ears, recorder), cut(noise.astype(np.float32), 1600)) == []
    assert recorder.pieces == []
    assert hear(Hearing(ears), iter([])) == []


LEVELS = st.sampled_from([0.0, 0.2, 0.34, 0.35, 0.4, 0.49, 0.5, 0.9])


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(LEVELS, st.integers(1, 30)), max_size=20), st.integers(1, 512), st.booleans()
)
def test_live_speech_is_that_of_the_recording(
    runs: list[tuple[float, int]], last: int, with_text: bool
) -> None:
    """The rules are silero.segments', which has the whole recording before it."""
    script = [float(np.float32(level)) for level, count in runs for _ in range(count)]
    length = max(0, (len(script) - 1) * silero.CHUNK + last) if script else 0
    hearing = Hearing(Scripted(script), Recorder() if with_text else None)
    events = hear(hearing, cut(np.zeros(length, np.float32), 1000))
    rounded = [
        (round(start / RATE, 3), round(end / RATE, 3))
        for start, end in silero.segments(script, length, min_silence=MIN_SILENCE)
    ]
    assert spoken(events) == rounded
    texts = [event for event in events if isinstance(event, SpeechText)]
    assert bool(texts) == (with_text and bool(rounded))


# Bounds


def test_long_speech_is_written_down_in_pieces() -> None:
    frames = 3 * LONGEST
    soft = {LONGEST - 40: 0.4, 2 * LONGEST - 100: 0.6}  # a pause for breath, a softer sound
    script = [0.0] * 20 + [soft.get(at, 0.9) for at in range(frames)] + [0.0] * 20
    recorder = Recorder()
    hearing = Hearing(Scripted(script), recorder)
    samples = np.arange(len(script) * silero.CHUNK, dtype=np.float32)  # each is its own number
    events: list[Heard] = []
    for chunk in cut(samples, silero.CHUNK):
        events += hearing.hear(chunk)
        assert len(hearing._frames) <= LONGEST
    texts = [event for event in events if isinstance(event, SpeechText)]
    assert [event.kind for event in events] == ["began", "text", "text", "text", "ended", "text"]
    written = np.concatenate(recorder.pieces)
    start = (20 - LEAD) * silero.CHUNK
    assert np.array_equal(
        written, samples[start : start + len(written)]
    )  # no sample twice, none lost
    assert all(len(piece) <= whisper.MAX_SECONDS * RATE for piece in recorder.pieces)
    assert texts[0].end == pytest.approx((20 + LONGEST - 40) * 0.032, abs=0.001)
    assert texts[1].end == pytest.approx((20 + 2 * LONGEST - 100) * 0.032, abs=0.001)
    for before, after in itertools.pairwise(texts):
        assert before.end == after.start
    assert [(texts[0].start, texts[-1].end)] == spoken(events)


@pytest.mark.parametrize("level", [0.0, 0.4, 0.9])
@pytest.mark.parametrize("with_text", [True, False])
def test_an_endless_stream_holds_bounded_memory(level: float, with_text: bool) -> None:
    """With 0.4 it never tells: speech may have begun, and neither goes on nor ends."""
    script = [0.6, 0.2] + [level] * 4 * LONGEST
    hearing = Hearing(Scripted(script), Recorder() if with_text else None)
    for chunk in cut(np.zeros(len(script) * silero.CHUNK, np.float32), 16_000):
        list(hearing.hear(chunk))
        assert len(hearing._frames) <= (LONGEST if with_text else 0)


# The service


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice()


@pytest.fixture(scope="module")
def deaf(ears: silero.SileroVAD) -> Voice:
    """As it is where Whisper has not been fetched."""
    made = Voice.__new__(Voice)
    made.model, made.transcriber = ears, None
    return made


def test_the_method_hears_raw_samples(voice: Voice, speech: Samples) -> None:
    data = pcm(speech)
    events = list(
        voice.hear(Audio.from_pcm(data[at : at + 3200], RATE) for at in range(0, len(data), 3200))
    )
    assert events[0] == Ready(text=CATALOGUE[whisper.NAME].cached)
    assert len(spoken(events)) == len(SPOKEN)
    texts = [event for event in events if isinstance(event, SpeechText)]
    assert len(texts) == (len(SPOKEN) if CATALOGUE[whisper.NAME].cached else 0)


def test_the_method_hears_sound_files(deaf: Voice, speech: Samples) -> None:
    def file(samples: Samples, rate: int, format: str) -> Audio:
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, rate, format=format)
        return Audio(buffer.getvalue())

    half = len(speech) // 2
    mixed = [
        file(speech[:half], RATE, "FLAC"),
        Audio.from_pcm(pcm(speech[half:]), RATE),
    ]
    whole = spoken(list(deaf.hear(iter([Audio.open(FILE)]))))
    assert spoken(list(deaf.hear(iter(mixed)))) == whole
    assert spoken(list(deaf.hear(iter([file(np.repeat(speech, 3), 48_000, "WAV")])))) == [
        pytest.approx(pair, abs=0.07) for pair in whole
    ]
    with pytest.raises(BadMedia, match="16-bit"):
        list(deaf.hear(iter([Audio.from_pcm(b"abc", RATE)])))


def test_without_whisper_it_says_so(deaf: Voice) -> None:
    events = list(deaf.hear(iter([Audio.open(FILE)])))
    assert [event.kind for event in events] == ["ready", "began", "ended", "began", "ended"]
    assert events[0] == Ready(text=False)


def test_whisper_is_loaded_where_it_has_been_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTHLIGHT_CACHE", str(tmp_path))
    assert whisper.load_if_there() is None


# Whisper


def words(text: str) -> set[str]:
    return set("".join(c if c.isalpha() else " " for c in text.lower()).split())


def test_what_is_said_is_written_down(
    transcriber: whisper.Transcriber, ears: silero.SileroVAD, speech: Samples
) -> None:
    begin = time.perf_counter()
    events = hear(Hearing(ears, transcriber), cut(speech, 1600))
    seconds = time.perf_counter() - begin
    texts = [event for event in events if isinstance(event, SpeechText)]
    print(f"real-time factor {seconds * RATE / len(speech):.3f}: {[e.text for e in texts]}")
    assert len(texts) == len(WORDS)
    for text, expected in zip(texts, WORDS, strict=True):
        assert expected <= words(text.text)
    assert [(text.start, text.end) for text in texts] == spoken(events)


@pytest.mark.parametrize("kind", NOISES)
def test_nothing_is_written_down_of_noise(transcriber: whisper.Transcriber, kind: str) -> None:
    noise = NOISES[kind](np.random.default_rng(0), np.arange(2 * RATE) / RATE)
    assert transcriber.transcribe(noise.astype(np.float32)) == ""


def test_threads_share_the_transcriber(transcriber: whisper.Transcriber, speech: Samples) -> None:
    pieces = [speech[int(start * RATE) : int(end * RATE)] for start, end in SPOKEN]
    alone = [transcriber.transcribe(piece) for piece in pieces]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert list(pool.map(transcriber.transcribe, pieces)) == alone
    assert alone[0] != alone[1]


def test_the_longest_piece_fits(transcriber: whisper.Transcriber, speech: Samples) -> None:
    longest = np.tile(speech, 6)[: int(whisper.MAX_SECONDS * RATE)]
    text = transcriber.transcribe(longest).lower()
    assert text.count("good evening") >= 4
    for wrong in (np.append(longest, 0.0), np.zeros((2, 100))):
        with pytest.raises(ValueError, match="up to 28 s"):
            transcriber.transcribe(wrong.astype(np.float32))


def test_speech_that_never_ends_is_limited(transcriber: whisper.Transcriber) -> None:
    """However short the piece, the network stops by itself or after 8 word pieces a second."""
    draw = np.random.default_rng(1)
    piece = (draw.normal(0, 0.1, RATE) * np.sin(np.arange(RATE) / 900)).astype(np.float32)
    with torch.inference_mode():
        assert len(transcriber._write(torch.from_numpy(piece))) <= 16


def test_the_filters_are_those_it_was_trained_with() -> None:
    """Against values of librosa.filters.mel(sr=16000, n_fft=400, n_mels=80)."""
    filters = whisper.mel_filters()
    assert filters.shape == (80, 201) and filters.min() == 0
    assert filters[0, 1] == pytest.approx(0.02486259, abs=1e-6)
    assert filters[0].nonzero()[0].tolist() == [1]
    assert filters[1, 1] == pytest.approx(0.00199082, abs=1e-6)
    areas = filters.sum(1) * 40  # bins of 40 Hz: the triangles' areas
    assert areas[50:] == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("size", [0, 3, 4, 11, 60])
def test_a_damaged_model_is_an_error(size: int) -> None:
    good = b"\x06\0\0\0" + b"\x02\0W\0" + b"\x03\0\0\0" + b"\x01\0\0\0" + b"\x02\0a\0"
    good += b"\x01" + b"\x02\0\0\0" + b"\x04" + b"\x04\0\0\0" + b"\0\x3c\0\xc0"
    assert ctranslate2.load(io.BytesIO(good))["a"].tolist() == [1, -2]
    bad = good[:size] if size < len(good) else good.replace(b"\x06", b"\x05", 1)
    with pytest.raises(ValueError, match=r"in the middle|version 6"):
        ctranslate2.load(io.BytesIO(bad))
    with pytest.raises(ValueError, match="has 4 bytes, which is not"):
        ctranslate2.load(io.BytesIO(good.replace(b"\x02\0\0\0", b"\x03\0\0\0")))


# Over the wire


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., Live]) -> Live:
    return serve_all("mothlight.demo.app:Voice")


async def talk(url: str, speech: Samples, delay: int = 0) -> list[dict[str, Any]]:
    """Speaks the first sentence and waits until it has been heard, then the second; after so many
    samples of silence."""
    heard: list[dict[str, Any]] = []
    data = pcm(np.concatenate([np.zeros(delay, np.float32), speech]))
    middle = 2 * (delay + int(2.9 * RATE))
    async with websockets.asyncio.client.connect(url, subprotocols=["mothlight.v1"]) as socket:  # type: ignore[list-item]

        async def listen(until: str) -> None:
            async for frame in socket:
                heard.append(json.loads(frame))
                if until == heard[-1].get("kind") or heard[-1] == {until: True}:
                    return

        for at in range(0, middle, 3200):
            await socket.send(data[at : min(at + 3200, middle)])
        await listen("ended")
        for at in range(middle, len(data), 3200):
            await socket.send(data[at : at + 3200])
        await socket.send(json.dumps({"end": True}))
        await listen("end")
        await socket.wait_closed()
        assert socket.close_code == 1000
    return [event for event in heard if "kind" in event]


@pytest.mark.slow
def test_it_hears_over_a_socket(server: Live, speech: Samples, voice: Voice) -> None:
    url = f"ws://127.0.0.1:{server.port}/hear"
    heard = asyncio.run(asyncio.wait_for(talk(url, speech), 60))
    data = pcm(speech)
    direct = [event.model_dump() for event in voice.hear(iter([Audio.from_pcm(data, RATE)]))]
    assert heard[0]["kind"] == "ready"
    voices = ("began", "ended")  # the server has words, too, where Whisper's weights are there
    assert [e for e in heard if e["kind"] in voices] == [e for e in direct if e["kind"] in voices]


@pytest.mark.slow
def test_many_speak_at_once(server: Live, speech: Samples, voice: Voice) -> None:
    url = f"ws://127.0.0.1:{server.port}/hear"
    delays = [0, 500, 3_333, 16_000]

    async def together() -> list[list[dict[str, Any]]]:
        return await asyncio.gather(*(talk(url, speech, delay) for delay in delays))

    found = asyncio.run(asyncio.wait_for(together(), 120))
    for heard, delay in zip(found, delays, strict=True):
        ends = [event for event in heard if event["kind"] == "ended"]
        assert len(ends) == len(SPOKEN)
        for event, (start, end) in zip(ends, SPOKEN, strict=True):
            assert event["start"] == pytest.approx(start + delay / RATE, abs=0.15)
            assert event["end"] == pytest.approx(end + delay / RATE, abs=0.15)


@pytest.mark.slow
def test_half_a_sample_ends_the_call_by_a_typed_error(server: Live) -> None:
    async def send() -> dict[str, Any]:
        url = f"ws://127.0.0.1:{server.port}/hear"
        async with websockets.asyncio.client.connect(url) as socket:
            await socket.send(b"\0\0\0")
            frames = [json.loads(frame) async for frame in socket]
        error: dict[str, Any] = frames[-1]["error"]
        return error

    problem = asyncio.run(asyncio.wait_for(send(), 60))
    assert problem["status"] == 422 or problem["code"] == "invalid_argument", problem
    assert "16-bit samples" in problem["detail"]
