"""Random input against a service with one of everything: whatever is sent, the answer is one that
the method's type describes, or a problem document below 500."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from live import Live, Raw, problem_of
from mothlight.schema import MediaType, Nothing, Payload
from mothlight.services import Method, Service
from services import kitchen

KITCHEN = Path(kitchen.__file__)
METHODS: dict[str, Method[Any, Any, Any]] = Service.of(kitchen.Kitchen).methods
POSTS = [m for m in METHODS.values() if m.verb == "POST"]
EXAMPLES = int(os.environ.get("MOTHLIGHT_FUZZ", "400"))
"""Examples of each test; more of them where there is time."""

fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="MOTHLIGHT_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Target:
    """The server, and the one connection that all examples share."""

    def __init__(self, server: Live) -> None:
        self.server = server
        self.client = server.client(timeout=20)

    def ask(self, verb: str, path: str, **options: Any) -> httpx2.Response:
        return self.client.request(verb, path, **options)

    def check(self, method: Method[Any, Any, Any], answer: httpx2.Response) -> None:
        """Fails for a 5xx, and for an answer that is not what its type says."""
        kind = answer.headers.get("content-type", "")
        assert answer.status_code < 500, (method.qualname, answer.text)
        if answer.status_code >= 400:
            problem_of(answer.status_code, kind, answer.content)
            return
        assert answer.headers["call-id"]
        if method.cardinality.streams_out:
            assert kind.startswith(("text/event-stream", "text/plain"))
            self._check_stream(method, kind, answer.text)
        elif isinstance(method.output.node, Nothing):
            assert answer.status_code == 204 and not answer.content
        elif isinstance(method.output.node, MediaType):
            assert answer.content and "json" not in kind
        else:
            assert answer.status_code == 200 and kind == "application/json"
            method.output.decode(Payload(answer.content))

    def _check_stream(self, method: Method[Any, Any, Any], kind: str, text: str) -> None:
        if kind.startswith("text/plain"):
            items = text.splitlines()
        else:
            *blocks, rest = text.split("\n\n")
            assert rest == ""
            assert blocks[-1].startswith(("event: end\ndata: {}", "event: error\ndata: {"))
            lines = [block.split("\n") for block in blocks[:-1] if not block.startswith(":")]
            assert [line[0] for line in lines] == [f"id: {n + 1}" for n in range(len(lines))]
            items = [line[1].removeprefix("data: ") for line in lines]
        for item in items:
            method.output.decode(Payload(item.encode()))


@pytest.fixture(scope="module")
def target(serve_all: Callable[..., Live]) -> Iterator[Target]:
    server = serve_all(
        f"{KITCHEN}:Kitchen", max_body=1 << 20, max_string=5000, max_parts=30, body_timeout=3
    )
    found = Target(server)
    yield found
    found.client.close()
    for code in ("internal", "unknown", "unavailable"):
        assert server.metric("mothlight_requests_total", code=code) == 0
    assert "Traceback" not in server.text(), server.text()[-4000:]


# What is sent

texts = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(
    ["", "\0", "boil", "fry", "deep-fry", "good", "en", "2026-01-02", "PT1S", "1e400", "NaN",
     "a" * 201, "00000000-0000-0000-0000-000000000000", "2026-01-01T00:00:00Z", "AA==", "Soup",
     "$media"]
)  # fmt: skip
numbers = (
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0, -1, 2**31, 2**53 + 1, 2**63, 2**64, 10**30, -0.0, 1e308, 5e-324])
)
scalars = st.none() | st.booleans() | numbers | texts
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted({name for m in METHODS.values() for name, *_ in m.fields} | {"kind", "minutes"})
VALID: dict[str, Any] = {
    "analyze": {"text": "a fine soup", "language": "de"},
    "cook": {
        "id": "12345678-1234-5678-1234-567812345678",
        "title": "Soup",
        "steps": [{"kind": "boil", "minutes": 5}, {"kind": "deep-fry", "heat": 3}],
        "spices": {"salt": {"name": "salt", "grams": 1, "tags": ["white"]}},
        "allergens": ["egg"],
        "parts": [],
        "note": None,
        "rest": "PT5M",
        "created": "2026-01-01T12:00:00Z",
        "day": "2026-02-28",
        "price": "3.50",
        "seal": "AP8=",
        "ph": 6.5,
        "heat": 1,
        "servings": 4,
        "matrix": [[1, 2.5], []],
        "public": True,
    },
    "order": {"kind": "boil", "minutes": 5},
    "double": 2.5,
    "counts": {"salt": 3, "egg": 1000},
    "plate": {"width": 3, "height": 4},
    "write": {"text": "one two three"},
    "spell": "moth",
    "chime": 440,
    "receipt": "me",
    "bell": None,
}
valid = st.sampled_from(sorted(VALID))


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Any]:
    """A method's valid message with one thing in it changed, dropped or added."""
    name = draw(valid)
    message = json.loads(json.dumps(VALID[name]))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        keys = value.keys() if isinstance(value, dict) else range(len(value))
        for key in list(keys):
            places.append((value, key))
            if isinstance(value[key], (dict, list)):
                walk(value[key])

    if isinstance(message, (dict, list)):
        walk(message)
    if not places:
        return name, draw(anything)
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(places))
        action = draw(st.sampled_from(["change", "drop", "add"]))
        if action == "drop" and isinstance(holder, dict):
            holder.pop(key, None)
        elif action == "add" and isinstance(holder, dict):
            holder[draw(texts)] = draw(anything)
        elif isinstance(holder, dict) or key < len(holder):
            holder[key] = draw(anything)
    return name, message


def sent(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


# The tests


@fuzz
@given(method=st.sampled_from(POSTS), value=anything)
def test_any_json(target: Target, method: Method[Any, Any, Any], value: Any) -> None:
    headers = {"content-type": "application/json"}
    target.check(method, target.ask("POST", method.path, content=sent(value), headers=headers))


@fuzz
@given(case=mutated())
def test_nearly_valid_messages(target: Target, case: tuple[str, Any]) -> None:
    name, message = case
    method = METHODS[name]
    headers = {"content-type": "application/json"}
    target.check(method, target.ask("POST", method.path, content=sent(message), headers=headers))


@pytest.mark.parametrize("name", sorted(VALID))
def test_valid_messages_are_taken(target: Target, name: str) -> None:
    """Or else the tests around this one would test nothing."""
    method = METHODS[name]
    headers = {"content-type": "application/json"}
    answer = target.ask("POST", method.path, content=sent(VALID[name]), headers=headers)
    assert answer.status_code == 200, answer.text
    target.check(method, answer)


@fuzz
@given(
    name=valid,
    edits=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=6)), min_size=1, max_size=4
    ),
)
def test_valid_bytes_with_some_changed(
    target: Target, name: str, edits: list[tuple[float, int, bytes]]
) -> None:
    body = bytearray(sent(VALID[name]))
    for place, width, data in edits:
        at = int(place * len(body))
        body[at : at + width] = data
    method = METHODS[name]
    headers = {"content-type": "application/json"}
    target.check(method, target.ask("POST", method.path, content=bytes(body), headers=headers))


KINDS = st.sampled_from(
    [
        "application/json",
        "application/json; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "image/jpeg",
        "audio/wav",
        "application/octet-stream",
        "text/plain",
        "",
    ]
) | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@fuzz
@given(method=st.sampled_from(POSTS), body=st.binary(max_size=200), kind=KINDS)
def test_any_bytes_as_anything(
    target: Target, method: Method[Any, Any, Any], body: bytes, kind: str
) -> None:
    headers = {"content-type": kind.strip()}
    target.check(method, target.ask("POST", method.path, content=body, headers=headers))


PHOTO = (Path(__file__).parents[2] / "examples/photos/chelsea.jpg").read_bytes()
SOUND = (Path(__file__).parents[2] / "examples/sounds/speech.wav").read_bytes()[:40_000]
files = st.sampled_from(
    [PHOTO, PHOTO[:5000], SOUND, b"", b"\xff\xd8\xff", b"RIFF\0\0\0\0WAVE", b"GIF89a"]
) | st.binary(max_size=60)
header_text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    """Multipart bodies, some of them broken."""
    body = b""
    for _ in range(draw(st.integers(0, 5))):
        lines = []
        name = draw(st.sampled_from(NAMES) | header_text)
        disposition = f'content-disposition: form-data; name="{name}"'
        if draw(st.booleans()):
            disposition += f'; filename="{draw(header_text)}"'
        lines.append(disposition)
        if draw(st.booleans()):
            kind = draw(st.sampled_from(["image/jpeg", "text/plain", "application/json", "x"]))
            lines.append(f"content-type: {kind}")
        if draw(st.integers(0, 9)) == 0:
            lines.append(draw(header_text))
        data = draw(files | texts.map(str.encode) | anything.map(sent))
        body += b"--b\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + data + b"\r\n"
    body += draw(st.sampled_from([b"--b--\r\n", b"--b--", b"--b\r\n", b""]))
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(st.binary(max_size=5)) + body[at + draw(st.integers(0, 3)) :]
    return body


@fuzz
@given(method=st.sampled_from(POSTS), body=forms())
def test_any_form(target: Target, method: Method[Any, Any, Any], body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    target.check(method, target.ask("POST", method.path, content=body, headers=headers))


@fuzz
@given(
    method=st.sampled_from([METHODS["search"], METHODS["wash"], METHODS["numbers"]]),
    query=st.lists(
        st.tuples(st.sampled_from([*NAMES, "count", "number"]) | texts, scalars.map(str)),
        max_size=6,
    ),
    raw=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
)
def test_any_query(
    target: Target, method: Method[Any, Any, Any], query: list[tuple[str, str]], raw: str | None
) -> None:
    from urllib.parse import quote, urlencode

    shown = urlencode(query) if raw is None else quote(raw, safe="%&=+;/?")
    target.check(method, target.ask(method.verb, f"{method.path}?{shown}"))


HEADERS = st.sampled_from(
    ["accept", "request-timeout", "idempotency-key", "content-encoding", "content-type", "origin",
     "expect", "te", "x-forwarded-for", "if-none-match", "range", "last-event-id", "prefer",
     "supersede-key", "authorization", "cookie", "accept-encoding"]
)  # fmt: skip
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40) | st.sampled_from(
    ["*/*", "text/event-stream;q=0", "application/x-ndjson", "1", "0", "-1", "1e-9", "100-continue",
     "gzip", "identity", "\xff\xfe", ";;;,,,", "text/plain;q=abc", "application/*;q=1e9"]
)  # fmt: skip


@fuzz
@given(
    method=st.sampled_from([METHODS["analyze"], METHODS["write"], METHODS["plate"]]),
    headers=st.lists(st.tuples(HEADERS, VALUES), max_size=5),
)
def test_any_headers(
    target: Target, method: Method[Any, Any, Any], headers: list[tuple[str, str]]
) -> None:
    """Over a raw socket, as clients refuse to send some of these."""
    body = sent(VALID[method.name])
    head = f"POST {method.path} HTTP/1.1\r\nhost: a\r\ncontent-length: {len(body)}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    with Raw(socket.create_connection(("127.0.0.1", target.server.port), 10)) as raw:
        raw.send(head.encode("latin-1") + b"\r\n" + body)
        answer = raw.answer()
    assert answer is not None
    if answer.status == 504 and any(name == "request-timeout" for name, _ in headers):
        assert answer.problem()["code"] == "deadline_exceeded"
        return
    assert answer.status < 500, (answer.status, answer.body)
    if answer.status >= 400:
        answer.problem()


@fuzz
@given(
    data=st.binary(max_size=300), start=st.sampled_from([b"", b"GET / ", b"POST /kitchen/bell "])
)
def test_any_bytes_on_the_socket(target: Target, data: bytes, start: bytes) -> None:
    with Raw(socket.create_connection(("127.0.0.1", target.server.port), 10)) as raw:
        raw.send(start + data + b"\r\n\r\n")
        raw.sock.shutdown(socket.SHUT_WR)
        answer = raw.answer()
    if answer is not None:
        assert answer.status < 500
        if answer.status >= 400:
            answer.problem()
