"""The tutorial's Flutter code would work unmodified against the demo (traps 1, 2, 13, 14, 19, 22,
26, 27, 30, 37, 43): its three requests, byte for byte as package:http 1.x sends them over dart:io,
and the three service classes themselves in a real Dart VM."""

from __future__ import annotations

import json
import random
import re
import string
import time
from pathlib import Path

import pytest
from tutorial import PHOTOS, run_dart

from live import Answer, Live, wait_until

pytestmark = [pytest.mark.demo, pytest.mark.slow, pytest.mark.timeout(400)]

CATS = {281, 282, 285}


def head(server: Live, verb: str, path: str, length: int | None, kind: str = "") -> bytes:
    """A head as dart:io 3.7 writes it: recorded from the VM, in its order and letter case."""
    lines = [f"{verb} {path} HTTP/1.1", "user-agent: Dart/3.7 (dart:io)"]
    lines += [f"content-type: {kind}"] if kind else []
    lines += ["accept-encoding: gzip"]
    lines += [f"content-length: {length}"] if length is not None else ["transfer-encoding: chunked"]
    if verb == "GET":
        lines.pop()  # it says nothing of a body that is not there
    lines += [f"host: 127.0.0.1:{server.port}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def boundary() -> str:
    """MultipartRequest's: 70 characters."""
    allowed = "+_-." + string.digits + string.ascii_letters
    return "dart-http-boundary-" + "".join(random.Random(0).choices(allowed, k=51))


def file_part(edge: str, field: str, name: str | None, data: bytes) -> bytes:
    shown = "" if name is None else f'; filename="{name}"'
    return (
        f"--{edge}\r\ncontent-type: application/octet-stream\r\n"
        f'content-disposition: form-data; name="{field}"{shown}\r\n\r\n'
    ).encode() + data + b"\r\n"  # fmt: skip


def field_part(edge: str, field: str, value: str) -> bytes:
    more = "" if value.isascii() else (
        "\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-transfer-encoding: binary"
    )  # fmt: skip
    disposition = f'content-disposition: form-data; name="{field}"{more}'
    return f"--{edge}\r\n{disposition}\r\n\r\n{value}\r\n".encode()


def exchange(server: Live, *pieces: bytes) -> Answer:
    """Head and body go out in writes of their own, as from dart:io."""
    with server.connect(60) as raw:
        for piece in pieces:
            raw.send(piece)
        answer = raw.answer()
    assert answer is not None
    return answer


def chunked(data: bytes) -> bytes:
    """As dart:io frames a body of unknown length."""
    pieces = [data[at : at + 8192] for at in range(0, len(data), 8192)]
    return b"".join(b"%X\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


# Scenario 1: http.post(url, headers: {'Content-Type': 'application/json'}, body: jsonEncode(...))


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/json"], ids=["before 1.6", "1.6"]
)
@pytest.mark.parametrize("text", ["I love Flutter", "Schön ist das nicht 🦋", 'He said "no"\\n'])
def test_scenario_1_byte_for_byte(demo: Live, kind: str, text: str) -> None:
    body = json.dumps({"text": text}, ensure_ascii=False, separators=(",", ":")).encode()
    answer = exchange(demo, head(demo, "POST", "/analyze", len(body), kind), body)
    assert answer.status == 200
    assert answer.type == "application/json"
    # A double with its point, in ASCII: right for latin1 decoders too, and never an int (14, 13).
    assert re.fullmatch(rb'\{"score":(0\.\d+(e-\d+)?|1\.0|0\.0)\}', answer.body)
    assert 0 <= answer.json()["score"] <= 1


@pytest.mark.parametrize("body", [b"{}", b'{"text":null}', b'{"text":""}', b"null"])
def test_scenario_1_a_missing_text_is_no_200_and_is_json(demo: Live, body: bytes) -> None:
    answer = exchange(demo, head(demo, "POST", "/analyze", len(body), "application/json"), body)
    assert answer.status == 422
    assert answer.problem()["errors"]


# Scenario 2: MultipartRequest('POST', url)..files.add(await MultipartFile.fromPath('file', path))


@pytest.mark.parametrize(
    "name", ["chelsea.jpg", "image_picker_2F7A-11.jpg", "Ünïcode 🦋.jpg", "a%22b.jpg", None]
)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_scenario_2_byte_for_byte(demo: Live, name: str | None, framing: str) -> None:
    edge = boundary()
    data = (PHOTOS / "chelsea.jpg").read_bytes()
    body = file_part(edge, "file", name, data) + f"--{edge}--\r\n".encode()
    kind = f"multipart/form-data; boundary={edge}"
    if framing == "length":
        answer = exchange(demo, head(demo, "POST", "/classify", len(body), kind), body)
    else:
        answer = exchange(demo, head(demo, "POST", "/classify", None, kind), chunked(body))
    assert answer.status == 200, answer.body
    assert answer.type == "application/json"
    found = answer.json()
    assert isinstance(found["predicted_class"], int) and found["predicted_class"] in CATS
    assert isinstance(found["probability"], float) and isinstance(found["label"], str)
    assert answer.body.isascii()
    assert re.match(rb'\{"predicted_class":28\d,', answer.body)


def test_scenario_2_with_fields_before_the_file(demo: Live) -> None:
    edge = boundary()
    data = (PHOTOS / "coffee.jpg").read_bytes()
    body = field_part(edge, "top_k", "2") + field_part(edge, "note", "grüße 🦋")
    body += file_part(edge, "file", "coffee.jpg", data) + f"--{edge}--\r\n".encode()
    kind = f"multipart/form-data; boundary={edge}"
    answer = exchange(demo, head(demo, "POST", "/classify", len(body), kind), body)
    assert answer.status == 200, answer.body
    assert answer.json()["predicted_class"] == 967 and len(answer.json()["guesses"]) == 2


def test_scenario_2_in_small_writes(demo: Live) -> None:
    """A phone's upload comes in pieces that end anywhere, in a boundary too."""
    edge = boundary()
    data = (PHOTOS / "chelsea.jpg").read_bytes()
    body = file_part(edge, "file", "a.jpg", data) + f"--{edge}--\r\n".encode()
    kind = f"multipart/form-data; boundary={edge}"
    pieces = [body[at : at + 997] for at in range(0, len(body), 997)]
    answer = exchange(demo, head(demo, "POST", "/classify", len(body), kind), *pieces)
    assert answer.status == 200 and answer.json()["predicted_class"] in CATS


def test_scenario_2_what_is_no_photo_is_no_200(demo: Live) -> None:
    edge = boundary()
    body = file_part(edge, "file", "a.jpg", b"no photo") + f"--{edge}--\r\n".encode()
    kind = f"multipart/form-data; boundary={edge}"
    answer = exchange(demo, head(demo, "POST", "/classify", len(body), kind), body)
    assert answer.status == 415
    answer.problem()


# Scenario 3: client.send(Request('GET', Uri.parse('…/stream_numbers?count=10')))


def test_scenario_3_byte_for_byte(demo: Live) -> None:
    begin = time.monotonic()
    answer = exchange(demo, head(demo, "GET", "/stream_numbers?count=10", None))
    assert 0.9 < time.monotonic() - begin < 3
    assert answer.status == 200
    assert answer.type == "text/plain; charset=utf-8"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-encoding" not in answer.headers  # though it would have taken gzip
    assert answer.body == b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n" and answer.complete


def test_a_connection_is_kept_for_the_next_call(demo: Live) -> None:
    body = b'{"text":"fine"}'
    with demo.connect() as raw:
        for _ in range(3):
            raw.send(head(demo, "POST", "/analyze", len(body), "application/json"))
            raw.send(body)
            answer = raw.answer()
            assert answer and answer.status == 200
            assert answer.headers.get("connection", "keep-alive") != "close"


# And the classes themselves


def test_the_tutorials_service_classes_work_in_a_dart_vm(
    demo: Live, dart: Path, tmp_path: Path
) -> None:
    said = run_dart(dart, demo, tmp_path, "tutorial.dart", "chelsea.jpg")
    shown = [json.loads(line) for line in said.splitlines()]
    scores = [entry["value"] for entry in shown if entry["name"] == "score"]
    assert len(scores) == 2 and scores[0] > 0.7 and scores[1] < 0.4
    found = {entry["name"]: entry["value"] for entry in shown}
    assert found["refused"] is None and found["not a picture"] is None
    assert found["predicted_class"] in CATS
    assert found["naive"] == list(range(1, 11))
    assert found["lines"] == list(range(1, 13))
    assert found["first of many"] == 1
    left = {"method": "Numbers.stream_numbers", "code": "cancelled"}
    wait_until(lambda: demo.metric("mothlight_requests_total", **left), "its stream is ended", 5)
    times = found["milliseconds"]  # they came one by one, not all at the end
    assert times[-1] - times[0] > 700 and times[0] < 1500
