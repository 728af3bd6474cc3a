"""Scenario 2 of the tutorial, FastAPI's /classify: traps 19 to 30, as far as the server's."""

from __future__ import annotations

import concurrent.futures
import io
import json
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import numpy as np
import PIL.Image
import pytest

import pictures
from live import MEBI, Answer, Live, multipart, problem_of, request, wait_until

TESTS = Path(__file__).parents[1]
TUTORIAL = TESTS / "services" / "tutorial.py"
PHOTOS = TESTS.parent / "examples" / "photos"
PART = 'content-disposition: form-data; name="file"; filename="photo.jpg"'
OCTETS = "content-type: application/octet-stream"


@pytest.fixture(scope="module")
def pictured(serve_all: Callable[..., Live]) -> Live:
    return serve_all(f"{TUTORIAL}:Pictures", cors="https://app.example", max_body=24 * MEBI)


def upload(server: Live, path: str, data: bytes, head: str = f"{PART}\r\n{OCTETS}") -> Answer:
    body, kind = multipart((head, data))
    answer = server.send(request("POST", path, body, type=kind), timeout=60)
    assert answer is not None
    return answer


def decoded(server: Live, data: bytes) -> PIL.Image.Image:
    """The picture as a method sees it."""
    answer = upload(server, "/decoded", data)
    assert answer.status == 200, answer.body
    assert answer.type == "image/png"
    return PIL.Image.open(io.BytesIO(answer.body))


def refused(server: Live, data: bytes, status: int, kind: str, path: str = "/decoded") -> str:
    answer = upload(server, path, data)
    assert answer.status == status, (answer.status, answer.body[:300])
    problem = answer.problem()
    assert problem["type"] == kind and problem["code"] == "invalid_argument"
    return str(problem["detail"])


# 19: the model that cannot work


@pytest.mark.demo
@pytest.mark.slow
def test_trap_19_the_tutorials_own_network_never_gets_ready(tmp_path: Path) -> None:
    """Its fc layer expects 3136 features and gets 3600: found before the first user comes."""
    (tmp_path / "broken.py").write_text(BROKEN)
    begin = time.monotonic()
    server = Live(str(tmp_path / "broken.py"), tmp_path / "log")
    status = server.process.wait(60)
    server.stop()
    assert status == 3
    assert "mat1 and mat2 shapes cannot be multiplied (1x3600 and 3136x10)" in server.text()
    assert "could not be started" in server.text()
    assert time.monotonic() - begin < 45


BROKEN = """
import torch
from torch import nn
from mothlight import Image, method, service

@service
class Net:
    def __init__(self) -> None:
        torch.set_num_threads(1)
        self.features = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.fc = nn.Linear(3136, 10)

    @method(http="POST /classify", example=lambda: Image.blank(32, 32))
    def classify(self, file: Image) -> int:
        with torch.inference_mode():
            x = self.features(torch.zeros(1, 3, *reversed(file.size)))
            return int(self.fc(x.flatten(1)).argmax())
"""


# 20: nobody waits for a decoder


@pytest.mark.slow
def test_trap_20_others_are_answered_while_a_photo_is_decoded(pictured: Live) -> None:
    photo = pictures.photo_48_megapixels()
    done = threading.Event()

    def work() -> None:
        for _ in range(2):
            assert upload(pictured, "/decoded", photo).status == 200
        done.set()

    waits = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool, pictured.client() as client:
        running = pool.submit(work)
        while not done.is_set() and not running.done():
            begin = time.monotonic()
            assert client.get("/health/live").status_code == 200
            waits.append(time.monotonic() - begin)
            done.wait(0.01)
        running.result()
    waits.sort()
    assert len(waits) > 20
    assert waits[len(waits) * 9 // 10] < 0.25, waits[-10:]


# 21 and 29: sizes and counts


def test_trap_21_a_body_over_the_limit_is_413(pictured: Live) -> None:
    with pictured.bounded(60):
        answer = upload(pictured, "/decoded", b"\xff\xd8\xff" + bytes(24 * MEBI))
    assert answer.status == 413
    assert answer.problem()["limit"] == 24 * MEBI


def test_trap_21_a_file_over_its_own_limit_is_413(pictured: Live) -> None:
    answer = upload(pictured, "/decoded", b"\xff\xd8\xff" + bytes(17 * MEBI))
    assert answer.status == 413
    assert answer.problem()["what"] == "file: the image" or "image" in answer.problem()["what"]


def test_trap_21_two_files_for_one_field_are_refused(pictured: Live) -> None:
    data = (PHOTOS / "chelsea.jpg").read_bytes()
    body, kind = multipart((PART, data), (PART, data))
    answer = pictured.send(request("POST", "/classify", body, type=kind))
    assert answer and answer.status == 422
    assert answer.problem()["errors"] == [{"path": "file", "message": "is given more than once"}]


@pytest.mark.parametrize("path", ["/classify", "/decoded"])
@pytest.mark.parametrize("head", ['content-disposition: form-data; name="photo"', None])
def test_trap_21_a_missing_file_is_told(pictured: Live, path: str, head: str | None) -> None:
    body, kind = multipart(*([(head, b"x")] if head else []))
    answer = pictured.send(request("POST", path, body, type=kind))
    assert answer and answer.status == 422
    assert answer.problem()["errors"][0] == {"path": "file", "message": "Field required"}


# 22: what is not a picture


@pytest.mark.parametrize(
    ("data", "part"),
    [(b"just some text", "not an image"), (b"", "empty"), (b"%PDF-1.7", "pdf"), (b"\0", "not an")],
)
def test_trap_22_what_is_not_a_picture_is_415(pictured: Live, data: bytes, part: str) -> None:
    """A text named .jpg, nothing at all, a PDF."""
    assert part in refused(pictured, data, 415, "UnsupportedMedia")
    problem = upload(pictured, "/decoded", data).problem()
    assert "image/jpeg" in problem["supported"]


@pytest.mark.parametrize("keep", [20, 200, 0.3, 0.6, 0.97])
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_trap_22_a_truncated_picture_is_422(pictured: Live, format: str, keep: float) -> None:
    whole = pictures.encoded(PIL.Image.open(PHOTOS / "chelsea.jpg").resize((200, 150)), format)
    cut = whole[: keep if keep > 1 else int(len(whole) * keep)]  # type: ignore[misc]
    refused(pictured, cut, 422, "BadMedia")


def test_trap_22_a_damaged_picture_is_422_or_a_picture(pictured: Live) -> None:
    """Every format with bytes flipped here and there."""
    rng = np.random.default_rng(0)
    source = PIL.Image.open(PHOTOS / "coffee.jpg").resize((96, 64))
    with pictured.bounded(80):
        for format in ("JPEG", "PNG", "WEBP", "GIF"):
            whole = np.frombuffer(pictures.encoded(source, format), np.uint8)
            for _ in range(15):
                broken = whole.copy()
                broken[rng.integers(8, len(whole), 6)] = rng.integers(0, 256, 6)
                answer = upload(pictured, "/reduced", broken.tobytes())
                assert answer.status in (200, 415, 422), (format, answer.body)
                if answer.status != 200:
                    answer.problem()


# 23: bombs


def test_trap_23_a_bomb_is_refused_undecoded(pictured: Live) -> None:
    """17000 × 10000: tens or hundreds of kilobytes that would be 510 MB."""
    data = pictures.bomb(17_000, 10_000)
    assert len(data) < MEBI
    with pictured.bounded(40):
        begin = time.monotonic()
        for path in ("/decoded", "/reduced", "/classify"):
            detail = refused(pictured, data, 422, "BadMedia", path)
            assert "17000 × 10000" in detail and "50000000" in detail
        assert time.monotonic() - begin < 3


@pytest.mark.parametrize("size", [(20_000, 20_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_trap_23_a_header_alone_is_refused(pictured: Live, size: tuple[int, int]) -> None:
    with pictured.bounded(40):
        refused(pictured, pictures.lying_png(*size), 422, "BadMedia")
    assert len(pictures.lying_png(*size)) < 1000


def test_trap_23_a_long_text_in_a_png_is_refused(pictured: Live) -> None:
    """A compressed text chunk is a bomb as well."""
    import zlib

    plain = pictures.encoded(pictures.scene(), "PNG")
    text = pictures.chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(64 * MEBI), 9))
    data = plain[:33] + text * 3 + plain[33:]
    with pictured.bounded(90):
        answer = upload(pictured, "/decoded", data)
        assert answer.status in (200, 422)


# 24: what cameras and programs write


@pytest.mark.parametrize("orientation", range(1, 9))
def test_trap_24_a_photo_is_upright(pictured: Live, orientation: int) -> None:
    seen = decoded(pictured, pictures.oriented(orientation))
    assert np.array_equal(np.array(seen), np.array(pictures.scene()))


@pytest.mark.parametrize("orientation", [0, 9, 255])
def test_trap_24_an_orientation_that_does_not_exist_changes_nothing(
    pictured: Live, orientation: int
) -> None:
    seen = decoded(pictured, pictures.oriented(orientation))
    assert np.array_equal(np.array(seen), np.array(pictures.scene()))


def test_trap_24_alpha_is_laid_on_white(pictured: Live) -> None:
    image = PIL.Image.new("RGBA", (4, 1))
    for x, color in enumerate([(255, 0, 0, 255), (255, 0, 0, 0), (255, 0, 0, 128), (0, 0, 0, 0)]):
        image.putpixel((x, 0), color)
    pixels = [decoded(pictured, pictures.encoded(image, "PNG")).getpixel((x, 0)) for x in range(4)]
    assert pixels == [pictures.RED, pictures.WHITE, (255, 127, 127), pictures.WHITE]


def test_trap_24_a_palette_with_a_transparent_colour(pictured: Live) -> None:
    image = PIL.Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    seen = decoded(pictured, pictures.encoded(image, "PNG", transparency=1))
    assert [seen.getpixel((x, 0)) for x in range(2)] == [pictures.RED, pictures.WHITE]


def test_trap_24_grey_with_a_transparent_shade(pictured: Live) -> None:
    image = PIL.Image.new("L", (2, 1), 40)
    image.putpixel((1, 0), 10)
    seen = decoded(pictured, pictures.encoded(image, "PNG", transparency=10))
    assert [seen.getpixel((x, 0)) for x in range(2)] == [(40, 40, 40), pictures.WHITE]


def test_trap_24_cmyk_as_adobe_writes_it(pictured: Live) -> None:
    """Full yellow is yellow, not blue: inverted with the marker, plain without."""
    for data in (
        pictures.inverted_cmyk((0, 0, 255, 0)),
        pictures.plain_cmyk(pictures.inverted_cmyk((255, 255, 0, 255))),
    ):
        red, green, blue = decoded(pictured, data).getpixel((16, 16))  # type: ignore[misc]
        assert min(red, green) > 230 and blue < 40, (red, green, blue)


def test_trap_24_sixteen_bits_are_scaled_and_not_clipped(pictured: Live) -> None:
    seen = decoded(pictured, pictures.grey_16([0, 257, 16_448, 32_896, 65_535]))
    shades = [seen.getpixel((x, 0))[0] for x in range(5)]  # type: ignore[index]
    assert shades == pytest.approx([0, 1, 64, 128, 255], abs=1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_trap_24_every_mode_of_png_arrives_as_rgb(pictured: Live, mode: str) -> None:
    data = pictures.encoded(PIL.Image.new(mode, (5, 3)), "PNG")
    assert decoded(pictured, data).size == (5, 3)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_trap_24_an_animation_is_its_first_frame(pictured: Live, format: str) -> None:
    frames = [PIL.Image.new("RGB", (8, 8), c) for c in ("red", "lime", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = pictures.encoded(
        frames[0], format, save_all=True, append_images=frames[1:], duration=100, **options
    )
    assert decoded(pictured, data).getpixel((4, 4)) == pictures.RED


def test_trap_24_heic_is_refused_with_the_way_out(pictured: Live) -> None:
    detail = refused(pictured, pictures.HEIC, 415, "UnsupportedMedia")
    assert "HEIC" in detail and "imageQuality" in detail
    raw = pictured.send(request("POST", "/decoded", pictures.HEIC, type="image/heic"))
    assert raw and raw.status == 415
    raw.problem()


# 24, 31: a phone's whole photo for a small model


@pytest.mark.slow
def test_traps_23_and_24_48_megapixels_are_decoded_at_a_reduced_scale(pictured: Live) -> None:
    photo = pictures.photo_48_megapixels()
    with pictured.bounded(64):  # in full it would take 144 MB
        begin = time.monotonic()
        answer = upload(pictured, "/reduced", photo)
        took = time.monotonic() - begin
    assert answer.status == 200
    seen = answer.json()
    assert (seen["width"], seen["height"]) == (1024, 768)
    assert took < 4


# 25 and 26: what the answer says


def test_trap_26_the_answer_has_probabilities_labels_and_a_model(pictured: Live) -> None:
    data = (PHOTOS / "chelsea.jpg").read_bytes()
    answer = upload(pictured, "/classify", data)
    assert answer.status == 200 and answer.type == "application/json"
    found = answer.json()
    assert isinstance(found["predicted_class"], int)
    assert len(found["guesses"]) == 3 and 0 <= found["probability"] <= 1
    assert found["model"]


def test_trap_26_the_answers_type_is_declared(pictured: Live) -> None:
    with pictured.client() as client:
        document = client.get("/openapi.json").json()
    answer = document["paths"]["/classify"]["post"]["responses"]["200"]["content"]
    name = answer["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
    schema = document["components"]["schemas"][name]
    assert {"predicted_class", "probability", "guesses"} <= set(schema["properties"])


def test_trap_26_top_k_is_bounded(pictured: Live) -> None:
    data = (PHOTOS / "chelsea.jpg").read_bytes()
    top = 'content-disposition: form-data; name="top_k"'
    for value, status in ((b"1", 200), (b"0", 422), (b"99999999999", 422), (b"x", 422)):
        body, kind = multipart((PART, data), (top, value))
        answer = pictured.send(request("POST", "/classify", body, type=kind))
        assert answer and answer.status == status, value
        if status == 200:
            assert len(answer.json()["guesses"]) == 1
        else:
            assert answer.problem()["errors"][0]["path"] == "top_k"


# 27 and 30: neither content types nor names are trusted


@pytest.mark.parametrize(
    "head",
    [
        f"{PART}\r\n{OCTETS}",
        PART,
        f"{PART}\r\ncontent-type: image/png",  # a lie
        f"{PART}\r\ncontent-type: text/plain",  # a lie
        f'content-disposition: form-data; name="file"\r\n{OCTETS}',  # bytes, without a name
        f'{OCTETS}\r\ncontent-disposition: form-data; name="file"; filename=""',
        f'{OCTETS}\r\ncontent-disposition: form-data; name="file"; filename="Ünïcode 🦋.jpg"',
    ],
)
def test_traps_27_and_30_bytes_decide(pictured: Live, head: str) -> None:
    answer = upload(pictured, "/reduced", (PHOTOS / "chelsea.jpg").read_bytes(), head)
    assert answer.status == 200, answer.body
    assert answer.json()["media_type"] == "image/jpeg"
    assert "🦋" not in head or answer.json()["name"] == "Ünïcode 🦋.jpg"


@pytest.mark.parametrize("name", ["../../etc/passwd", "C:\\\\boot.ini", "a" * 5000 + ".jpg", "\0"])
def test_trap_27_a_file_name_is_never_a_path(pictured: Live, name: str) -> None:
    head = f'content-disposition: form-data; name="file"; filename="{name}"'
    answer = upload(pictured, "/reduced", (PHOTOS / "chelsea.jpg").read_bytes(), head)
    assert answer.status in (200, 400)
    if answer.status == 200:
        shown = answer.json()["name"]
        assert shown is None or len(shown) <= 255
    else:
        answer.problem()


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", "image/png"])
def test_trap_27_a_raw_body_is_taken_too(pictured: Live, kind: str) -> None:
    data = (PHOTOS / "chelsea.jpg").read_bytes()
    answer = pictured.send(request("POST", "/reduced", data, type=kind))
    assert answer and answer.status == 200
    assert answer.json() == {
        "width": 451, "height": 300, "name": None, "media_type": "image/jpeg"
    }  # fmt: skip


# 28: Flutter web


def test_trap_28_a_preflight_is_answered(pictured: Live) -> None:
    origin = {"Origin": "https://app.example"}
    ask = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,idempotency-key,request-timeout",
    }
    with pictured.client() as client:
        preflight = client.options("/classify", headers=ask)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        allowed = preflight.headers["access-control-allow-headers"].lower()
        assert (
            "idempotency-key" in allowed
            and "POST" in preflight.headers["access-control-allow-methods"]
        )
        photo = {"file": ("a.jpg", (PHOTOS / "chelsea.jpg").read_bytes())}
        good = client.post("/classify", files=photo, headers=origin)
        bad = client.post("/classify", headers=origin)
        assert (good.status_code, bad.status_code) == (200, 400)
        for answer in (good, bad):  # of an error too, or the browser hides it
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            assert "Call-Id" in answer.headers["access-control-expose-headers"]
        stranger = client.options("/classify", headers={**ask, "Origin": "https://evil.example"})
        assert stranger.status_code == 400
        assert "access-control-allow-origin" not in stranger.headers


# 29: concurrency, health, metrics, the end


def test_trap_29_a_full_queue_refuses_at_once(serve: Callable[..., Live]) -> None:
    server = serve(f"{TUTORIAL}:Texts", max_queue=4, drain=5)
    body = request("POST", "/sleep", b"0.4")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        begin = time.monotonic()

        def ask(_: int) -> tuple[Answer | None, float]:
            return server.send(body), time.monotonic() - begin

        answers = list(pool.map(ask, range(16)))
    refused = [(a, took) for a, took in answers if a and a.status == 503]
    served = [a for a, _ in answers if a and a.status == 200]
    assert len(refused) + len(served) == 16
    assert len(served) <= 7 and len(refused) >= 9  # 4 wait, at most 2 are in the worker
    for answer, took in refused:
        assert answer.problem()["code"] == "unavailable"
        assert int(answer.headers["retry-after"]) >= 1
        assert took < 0.4, "it was refused before the first one was done"
    again = server.send(request("POST", "/sleep", b"0"))
    assert again and again.status == 200


def test_trap_29_the_deadline_is_kept(pictured: Live, serve: Callable[..., Live]) -> None:
    server = serve(f"{TUTORIAL}:Texts")
    begin = time.monotonic()
    answer = server.send(request("POST", "/sleep", b"2", request_timeout="0.3"))
    assert answer and answer.status == 504
    assert answer.problem()["code"] == "deadline_exceeded"
    assert time.monotonic() - begin < 1.5


def test_trap_29_a_drain_answers_what_was_accepted(serve: Callable[..., Live]) -> None:
    server = serve(f"{TUTORIAL}:Texts", drain=10)
    with server.connect() as raw:
        raw.send(request("POST", "/sleep", b"1"))
        wait_until(lambda: server.metric("mothlight_batch_size_count", method="Texts.sleep"), "it")
        server.process.send_signal(signal.SIGTERM)
        answer = raw.answer()
    assert answer and answer.status == 200, server.text()
    assert server.process.wait(15) in (0, -signal.SIGTERM)  # uvicorn ends with the signal it got
    assert "Traceback" not in server.text()
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{server.url}/health/live", timeout=5)


def test_trap_29_health_and_metrics(pictured: Live) -> None:
    upload(pictured, "/classify", (PHOTOS / "chelsea.jpg").read_bytes())
    upload(pictured, "/classify", b"no picture")
    with pictured.client() as client:
        assert client.get("/health/live").json() == {"status": "live"}
        assert client.get("/health/ready").json()["status"] == "ready"
    count = pictured.metric
    name = "mothlight_requests_total"
    assert count(name, method="Pictures.classify", code="ok") >= 1
    assert count(name, method="Pictures.classify", code="invalid_argument") >= 1
    assert count("mothlight_request_seconds_count", method="Pictures.classify") >= 2
    assert count("mothlight_workers", service="Pictures") == 1


@pytest.mark.slow
def test_trap_29_fifty_uploads_at_once_each_get_their_own_answer(pictured: Live) -> None:
    def ask(shade: int) -> bool:
        data = pictures.encoded(PIL.Image.new("RGB", (20 + shade, 10), (shade, 0, 0)), "PNG")
        answer = upload(pictured, "/reduced", data)
        return answer.status == 200 and answer.json()["width"] == 20 + shade

    with concurrent.futures.ThreadPoolExecutor(50) as pool, pictured.bounded(100):
        assert all(pool.map(ask, range(50)))


def test_it_still_answers(pictured: Live) -> None:
    answer = upload(pictured, "/classify", (PHOTOS / "coffee.jpg").read_bytes())
    assert answer.status == 200
    missing = pictured.send(request("POST", "/classify", json.dumps({}).encode()))
    assert missing and problem_of(missing.status, missing.type, missing.body)["status"] == 422
