"""The demo over HTTP: five endpoints, their accuracy, and everybody's own answer."""

from __future__ import annotations

import concurrent.futures
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from live import Live, problem_of, wait_until

pytest.importorskip("torch")

from mothlight.demo import reviews

pytestmark = [pytest.mark.demo, pytest.mark.slow, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parents[2] / "examples"
CARD = Path(reviews.__file__).parent / "data" / "MODEL_CARD.md"
CHELSEA = (EXAMPLES / "photos" / "chelsea.jpg").read_bytes()
COFFEE = (EXAMPLES / "photos" / "coffee.jpg").read_bytes()
SPEECH = (EXAMPLES / "sounds" / "speech.wav").read_bytes()


@pytest.fixture(scope="module")
def client(demo: Live) -> Iterator[httpx2.Client]:
    limits = httpx2.Limits(max_connections=128, max_keepalive_connections=128)
    with demo.client(timeout=120, limits=limits) as client:
        yield client


def score(client: httpx2.Client, text: str) -> float:
    answer = client.post("/analyze", json={"text": text})
    assert answer.status_code == 200, answer.text
    found: dict[str, float] = answer.json()
    assert set(found) == {"score"} and 0 <= found["score"] <= 1
    return found["score"]


def classify(client: httpx2.Client, photo: bytes, **fields: str) -> dict[str, Any]:
    files = {"file": ("photo.jpg", photo, "application/octet-stream")}
    answer = client.post("/classify", files=files, data=fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def write(client: httpx2.Client, text: str, **more: Any) -> str:
    answer = client.post("/write", json={"text": text, **more})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/event-stream"
    *items, last, rest = answer.text.split("\n\n")
    assert (last, rest) == ("event: end\ndata: {}", "")
    events = [item for item in items if not item.startswith(":")]
    return "".join(json.loads(e.split("data: ", 1)[1])["text"] for e in events)


def speech(client: httpx2.Client, sound: bytes) -> dict[str, Any]:
    answer = client.post("/speech", files={"file": ("speech.wav", sound)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# What `make demo` shows


def test_it_shows_a_call_of_each_endpoint(demo: Live) -> None:
    wait_until(lambda: "Ctrl-C ends it" in demo.text(), "all are shown", 90)
    shown = demo.text()
    assert shown.count("$ curl") == 5 and "not shown" not in shown
    for found in (
        '{"score":0.9',
        '"predicted_class":28',
        "\n10\n",
        "Paris",
        '"segments":[{"start"',
    ):
        assert found in shown or (found == "Paris" and '" Paris"' in shown), found
    assert "problem" not in shown and "Traceback" not in shown


def test_it_is_ready_and_documented(client: httpx2.Client) -> None:
    assert client.get("/health/ready").json()["status"] == "ready"
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/analyze", "/classify", "/stream_numbers", "/write", "/speech", "/listen"} <= set(
        paths
    )
    assert client.get("/docs").status_code == 200


# Each endpoint


def test_a_text_is_scored(client: httpx2.Client) -> None:
    assert score(client, "What a lovely, clever film!") > 0.85
    assert score(client, "A dull, endless, badly acted mess.") < 0.15
    for text in ("🦋🔥", "飛蛾", "x" * 10_000, "\0", "\u202e"):
        assert 0 <= score(client, text) <= 1


def test_the_photos_are_known(client: httpx2.Client) -> None:
    chelsea = classify(client, CHELSEA)
    assert chelsea["predicted_class"] in {281, 282, 285} and "cat" in chelsea["label"]
    assert classify(client, COFFEE)["predicted_class"] == 967
    assert chelsea["probability"] == chelsea["guesses"][0]["probability"] > 0.2
    chances = [guess["probability"] for guess in chelsea["guesses"]]
    assert len(chances) == 5 and chances == sorted(chances, reverse=True) and sum(chances) <= 1
    assert len(classify(client, COFFEE, top_k="2")["guesses"]) == 2


def test_trap_25_a_wide_picture_is_not_squeezed(client: httpx2.Client) -> None:
    """The middle of the photo is what counts: borders left and right of it change little."""
    import io

    import PIL.Image

    photo = PIL.Image.open(io.BytesIO(COFFEE)).convert("RGB")
    wide = PIL.Image.new("RGB", (photo.width * 2, photo.height), "grey")
    wide.paste(photo, (photo.width // 2, 0))
    buffer = io.BytesIO()
    wide.save(buffer, "PNG")
    found = classify(client, buffer.getvalue())
    assert found["predicted_class"] == 967


def test_a_sideways_photo_is_turned_first(client: httpx2.Client) -> None:
    import io

    import PIL.Image

    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    turned = PIL.Image.open(io.BytesIO(CHELSEA)).transpose(PIL.Image.Transpose.ROTATE_90)
    turned.save(buffer, "JPEG", quality=95, exif=exif)
    assert classify(client, buffer.getvalue())["predicted_class"] in {281, 282, 285}


def test_numbers_are_counted_ten_a_second(client: httpx2.Client) -> None:
    begin = time.monotonic()
    answer = client.get("/stream_numbers?count=10")
    assert answer.text == "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n"
    assert 0.9 < time.monotonic() - begin < 2.5


def test_it_knows_the_capital_of_france(client: httpx2.Client) -> None:
    assert "Paris" in write(client, "What is the capital of France?", max_tokens=20)
    going_on = write(client, "The capital of France is", chat=False, max_tokens=4)
    assert going_on.startswith(" Paris")


def test_a_closed_book_is_written_no_further(demo: Live, client: httpx2.Client) -> None:
    """Who leaves in the middle of a text frees the model."""
    body = {"text": "Tell me a very long story.", "max_tokens": 512}
    with client.stream("POST", "/write", json=body) as answer:
        next(answer.iter_raw())
    counted = {"method": "Writer.write", "code": "cancelled"}
    wait_until(lambda: demo.metric("mothlight_requests_total", **counted), "it is cancelled", 5)


def test_texts_that_are_written_together_are_those_that_are_written_alone(
    client: httpx2.Client,
) -> None:
    prompts = [f"Count from {n} to {n + 3}." for n in range(12)]  # more than step together
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        together = list(pool.map(lambda p: write(client, p, max_tokens=8), prompts))
    alone = [write(client, prompt, max_tokens=8) for prompt in prompts[::4]]
    assert together[::4] == alone
    assert len(set(together)) > 1


def test_recordings_are_followed_side_by_side(client: httpx2.Client) -> None:
    def levels(seconds: int) -> list[tuple[float, float]]:
        sound = SPEECH[: 44 + 32_000 * seconds]
        answer = client.post(
            "/listen", files={"file": ("a.wav", sound)}, headers={"accept": "application/x-ndjson"}
        )
        *items, end = map(json.loads, answer.text.splitlines())
        assert end == {"end": True}
        return [(item["at"], item["speech"]) for item in items]

    lengths = [1, 2, 3, 4, 5] * 4
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        found = list(pool.map(levels, lengths))
    whole = found[4]
    assert len(whole) == 157  # 5 s in chunks of 512 samples
    assert max(level for at, level in whole if at < 0.5) < 0.3
    assert dict(whole)[1.024] > 0.8
    for seconds, some in zip(lengths, found, strict=True):
        for (at, level), (same, other) in zip(some[:-1], whole[: len(some) - 1], strict=True):
            assert at == same and level == pytest.approx(other, abs=1e-4), seconds


def test_speech_is_found_where_it_is(client: httpx2.Client) -> None:
    found = speech(client, SPEECH)
    spoken = [(0.6, 2.19), (3.09, 5.0)]  # how the file was put together
    assert found["seconds"] == pytest.approx(5.7, abs=0.01)
    assert len(found["segments"]) == len(spoken)
    for segment, (start, end) in zip(found["segments"], spoken, strict=True):
        assert segment["start"] == pytest.approx(start, abs=0.15)
        assert segment["end"] == pytest.approx(end, abs=0.15)


@pytest.mark.parametrize(
    ("path", "content", "status"),
    [
        ("/analyze", b'{"text": ""}', 422),
        ("/analyze", b"null", 422),
        ("/classify", b"{}", 422),
        ("/stream_numbers", b"", 405),
        ("/write", b'{"text": "a", "max_tokens": 100000}', 422),
        ("/speech", b'"bm90IGEgc291bmQ="', 415),
        ("/nowhere", b"", 404),
    ],
)
def test_bad_input_is_a_problem(
    client: httpx2.Client, path: str, content: bytes, status: int
) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post(path, content=content, headers=headers)
    assert answer.status_code == status, answer.text
    problem_of(status, answer.headers["content-type"], answer.content)


# Accuracy over REST


def test_sentiment_over_rest_is_as_accurate_as_its_card_says(
    demo: Live, client: httpx2.Client
) -> None:
    """All held-out texts, short and long mixed, 32 at a time, so that they share batches."""
    texts = reviews.held_out()
    random.Random(0).shuffle(texts)
    before = [demo.metric(f"mothlight_batch_size_{n}", method="Sentiment.analyze")
              for n in ("sum", "count")]  # fmt: skip
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        scores = list(pool.map(lambda pair: score(client, pair[0]), texts))
    right = sum((s > 0.5) == positive for s, (_, positive) in zip(scores, texts, strict=True))
    accuracy = right / len(texts)
    row = next(line for line in CARD.read_text().splitlines() if line.startswith("| **all**"))
    stated = float(row.split("|")[2].strip(" *"))
    assert len(texts) == int(re.sub(r"\D", "", row.split("|")[3]))
    print(f"accuracy over REST {accuracy:.4f}, on the card {stated}, {len(texts)} texts")
    assert accuracy == pytest.approx(stated, abs=0.01)
    calls = demo.metric("mothlight_batch_size_sum", method="Sentiment.analyze") - before[0]
    batches = demo.metric("mothlight_batch_size_count", method="Sentiment.analyze") - before[1]
    assert calls == len(texts) and calls / batches > 1.5, f"{calls} calls in {batches} batches"


# Everybody's own answer


def test_a_hundred_mixed_requests_each_get_their_own_answer(client: httpx2.Client) -> None:
    import io

    import PIL.Image

    def cut(index: int) -> bytes:
        photo = PIL.Image.open(io.BytesIO(CHELSEA if index % 2 else COFFEE))
        buffer = io.BytesIO()
        photo.crop((index * 6, index * 4, photo.width, photo.height)).save(buffer, "PNG")
        return buffer.getvalue()

    words = [
        "moth",
        "lamp",
        "good",
        "bad",
        "awful",
        "great",
        "night",
        "light",
        "wings",
        "dull",
        "bright",
        "never",
        "love",
        "hate",
    ]
    draw = random.Random(1)
    asked: list[tuple[str, Any]] = []
    asked += [("text", " ".join(draw.choices(words, k=draw.randint(1, 40)))) for _ in range(60)]
    asked += [("photo", cut(index)) for index in range(15)]
    asked += [("numbers", draw.randint(1, 15)) for _ in range(20)]
    asked += [("write", f"{n} and {n + 1} make") for n in range(3)]
    asked += [("speech", SPEECH[: 44 + 32_000 * seconds]) for seconds in (2, 4)]
    draw.shuffle(asked)
    assert len(asked) == 100

    def ask(question: tuple[str, Any]) -> Any:
        kind, what = question
        if kind == "text":
            return pytest.approx(score(client, what), abs=1e-5)  # batches of other sizes round
        if kind == "photo":
            found = classify(client, what)
            return found["predicted_class"], pytest.approx(found["probability"], abs=1e-5)
        if kind == "numbers":
            return client.get(f"/stream_numbers?count={what}").text
        if kind == "write":
            return write(client, what, chat=False, max_tokens=5)
        return speech(client, what)["segments"]

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        together = list(pool.map(ask, asked))
        alone = [ask(question) for question in asked if question[0] != "numbers"]
    assert [t for t, (kind, _) in zip(together, asked, strict=True) if kind != "numbers"] == [
        getattr(a, "expected", a) if not isinstance(a, tuple) else (a[0], a[1].expected)
        for a in alone
    ]
    for answer, (kind, count) in zip(together, asked, strict=True):
        if kind == "numbers":
            assert answer == "".join(f"{n}\n" for n in range(1, count + 1))
    texts = {what for kind, what in asked if kind == "text"}
    scores = {a.expected for a, (kind, _) in zip(together, asked, strict=True) if kind == "text"}
    assert len(scores) > len(texts) * 0.8  # or a mix-up could not be told


def test_the_metrics_have_counted(demo: Live, client: httpx2.Client) -> None:
    name = "mothlight_requests_total"
    for method in ("Sentiment.analyze", "Photos.classify", "Numbers.stream_numbers",
                   "Writer.write", "Voice.find"):  # fmt: skip
        before = demo.metric(name, method=method, code="ok")
        assert before >= 1, method
    score(client, "fine")
    assert demo.metric(name, method="Sentiment.analyze", code="ok") >= 2
    assert demo.metric(name, code="internal") == 0
    assert demo.metric("mothlight_worker_restarts_total") == 0
    assert demo.metric("mothlight_workers") == 5
