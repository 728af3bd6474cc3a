"""What strangers send to a server: each attack ends in a problem document or a closed connection,
in bounded memory and time, and the next caller is answered."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from live import MEBI, Answer, Live, Raw, multipart, request, wait_until

KITCHEN = Path(__file__).parents[1] / "services" / "kitchen.py"
LIMIT = 2 * MEBI
GOOD = request("POST", "/kitchen/analyze", b'{"text": "fine"}')


@pytest.fixture(scope="module")
def kitchen(serve_all: Callable[..., Live]) -> Live:
    return serve_all(
        f"{KITCHEN}:Kitchen",
        max_body=LIMIT,
        max_parts=20,
        max_string=10_000,
        max_depth=32,
        head_timeout=1,
        body_timeout=1,
        send_timeout=1,
        keep_alive=2,
        max_connections=300,
    )


@pytest.fixture(autouse=True)
def it_survives(kitchen: Live) -> Iterator[None]:
    """Each attack leaves the same processes, hardly larger, and answering."""
    with kitchen.bounded(100):  # a worker keeps what it frees, and copies lists that grow
        yield
        answer = kitchen.send(GOOD)
        assert answer is not None and answer.status == 200, kitchen.text()[-3000:]


def post(server: Live, path: str, body: bytes, **headers: str) -> Answer:
    answer = server.send(request("POST", f"/kitchen/{path}", body, **headers))
    assert answer is not None, "the connection was closed without an answer"
    return answer


def is_refused(answer: Answer, *statuses: int) -> str:
    assert answer.status in statuses, (answer.status, answer.body[:300])
    return str(answer.problem()["detail"])


# Too much


@pytest.mark.parametrize("claimed", [LIMIT + 1, 5 * 1024**3, 10**30])
def test_a_body_that_is_claimed_too_large_is_refused_unread(kitchen: Live, claimed: int) -> None:
    begin = time.monotonic()
    with kitchen.connect() as raw:
        raw.send(request("POST", "/kitchen/analyze", b"", content_length=str(claimed)))
        answer = raw.answer()
        assert answer
        is_refused(answer, 413) if claimed < 2**63 else is_refused(answer, 400, 413)
        assert raw.closed()
    assert time.monotonic() - begin < 1


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_twenty_megabytes_are_not_kept(kitchen: Live, framing: str) -> None:
    piece = b"x" * 64 * 1024
    with kitchen.connect() as raw:
        if framing == "chunked":
            raw.send(
                b"POST /kitchen/analyze HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n"
                b"content-type: application/json\r\n\r\n"
            )
            piece = b"%x\r\n%s\r\n" % (len(piece), piece)
        else:
            raw.send(request("POST", "/kitchen/analyze", b"", content_length=str(20 * MEBI)))
        for _ in range(20 * 16):
            if not raw.send(piece):
                break
        answer = raw.answer()
    if answer is not None:  # else the connection was reset while we were still sending
        is_refused(answer, 413)


@pytest.mark.parametrize("path", ["/nowhere", "/kitchen/search", "/health/live", "/docs"])
def test_a_body_that_nobody_reads_is_not_kept(kitchen: Live, path: str) -> None:
    with kitchen.connect() as raw:
        raw.send(request("GET", path, b"", content_length=str(20 * MEBI)))
        for _ in range(20 * 16):
            if not raw.send(b"x" * 64 * 1024):
                break
        answer = raw.answer()
    assert answer is None or answer.status in (200, 404)


@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n" * 1000, b"1;" + b"x" * 8000 + b"\r\nx\r\n"])
def test_chunks_of_one_byte_and_long_extensions(kitchen: Live, chunk: bytes) -> None:
    with kitchen.connect() as raw:
        raw.send(b"POST /kitchen/analyze HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
        end = time.monotonic() + 4
        while raw.send(chunk) and time.monotonic() < end:
            pass
        assert time.monotonic() < end, "it was listened to for longer than body_timeout"


@pytest.mark.parametrize(
    "headers",
    [b"x: " + b"a" * MEBI, b"a" * MEBI, b"\r\n".join(b"h%d: 1" % i for i in range(10_000))],
    ids=["one of a megabyte", "a name of a megabyte", "ten thousand"],
)
def test_a_head_is_bounded(kitchen: Live, headers: bytes) -> None:
    with kitchen.connect() as raw:
        raw.send(b"GET /kitchen/search HTTP/1.1\r\nhost: a\r\n" + headers + b"\r\n\r\n")
        answer = raw.answer()
    assert answer is None or answer.status in (400, 431)


def test_an_address_is_bounded(kitchen: Live) -> None:
    answer = kitchen.send(b"GET /" + b"a" * MEBI + b" HTTP/1.1\r\nhost: a\r\n\r\n")
    assert answer is None or answer.status in (400, 404, 414)


def test_connections_are_bounded(kitchen: Live) -> None:
    raws = []
    try:
        for _ in range(320):
            raws.append(kitchen.connect())
        assert sum(raw.closed() for raw in raws[300:]) >= 19
    finally:
        for raw in raws:
            raw.sock.close()
    wait_until(lambda: kitchen.send(GOOD), "there is room again")


# Too slow


def drips(raw: Raw, data: bytes, pause: float = 0.1) -> float:
    """Sends byte by byte until the peer has enough; how long it listened."""
    begin = time.monotonic()
    raw.sock.settimeout(pause)
    for index in range(len(data)):
        if not raw.send(data[index : index + 1]):
            break
        try:
            if raw.sock.recv(1, socket.MSG_PEEK) == b"":
                break
        except TimeoutError:
            continue
        except ConnectionResetError:
            break
        break
    raw.sock.settimeout(5)
    return time.monotonic() - begin


def test_a_slow_head_is_not_waited_for(kitchen: Live) -> None:
    with kitchen.connect() as raw:
        head = b"GET /kitchen/search HTTP/1.1\r\nhost: a\r\n"
        assert 0.5 < drips(raw, head + b"x: " + b"a" * 100) < 2.5
        assert raw.closed()


def test_a_connection_that_says_nothing_is_closed(kitchen: Live) -> None:
    with kitchen.connect() as raw:
        begin = time.monotonic()
        assert raw.closed()
        assert time.monotonic() - begin < 2.5


def test_the_second_request_is_not_waited_for_either(kitchen: Live) -> None:
    with kitchen.connect() as raw:
        raw.send(GOOD)
        answer = raw.answer()
        assert answer and answer.status == 200
        assert 0.5 < drips(raw, GOOD) < 2.5
        assert raw.closed()


@pytest.mark.slow
def test_an_idle_connection_is_closed_even_if_it_sends_empty_lines(kitchen: Live) -> None:
    with kitchen.connect() as raw:
        raw.send(GOOD)
        assert raw.answer()
        raw.send(b"\r\n")
        begin = time.monotonic()
        assert raw.closed()
        assert 1 < time.monotonic() - begin < 4


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_slow_body_is_a_408(kitchen: Live, framing: str) -> None:
    with kitchen.connect() as raw:
        if framing == "chunked":
            head = (
                b"POST /kitchen/analyze HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            body = b"1\r\nx\r\n" * 20
        else:
            head = request("POST", "/kitchen/analyze", b"", content_length="100")
            body = b'{"text": "' + b"x" * 90
        raw.send(head)
        assert 0.5 < drips(raw, body) < 2.5
        answer = raw.answer()
        assert answer and answer.problem()["code"] == "deadline_exceeded"
        assert answer.status == 408
        assert raw.closed()


def test_a_client_that_leaves_in_the_middle_of_its_body_is_forgotten(kitchen: Live) -> None:
    for _ in range(20):
        with kitchen.connect() as raw:
            raw.send(request("POST", "/kitchen/analyze", b'{"te', content_length="100000"))


@pytest.mark.slow
def test_a_hundred_slow_clients_hold_up_nobody(kitchen: Live) -> None:
    raws = [kitchen.connect() for _ in range(200)]
    try:
        for raw in raws:
            raw.send(GOOD[:30])
        begin = time.monotonic()
        assert all(post(kitchen, "analyze", b'{"text": "a"}').status == 200 for _ in range(20))
        assert time.monotonic() - begin < 1.5
        assert all(raw.closed() for raw in raws)
    finally:
        for raw in raws:
            raw.sock.close()


@pytest.mark.slow
def test_a_client_that_does_not_read_its_answer_is_let_go(kitchen: Live) -> None:
    """Pipelined requests whose answers nobody takes: the buffers fill, and then it is over."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(0.5)
    sock.connect(("127.0.0.1", kitchen.port))
    ask = request("GET", "/openapi.json") * 20
    with Raw(sock) as raw:
        end = time.monotonic() + 10
        pause = threading.Event()
        while time.monotonic() < end:
            try:
                if not raw.send(ask):
                    break
            except TimeoutError:  # it reads no more of ours, as it cannot write
                pause.wait(0.1)
        assert time.monotonic() < end, "it waits for a client that does not read"


# JSON


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100 + b"]" * 100,
        b'{"a":' * 100 + b"1" + b"}" * 100,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[[],[]," * 50_000,
        b'{"parts": ' + b"[" * 33 + b"]" * 33 + b"}",
    ],
)
def test_depth_is_bounded(kitchen: Live, body: bytes) -> None:
    is_refused(post(kitchen, "cook", body), 400)


def test_depth_is_counted_outside_strings(kitchen: Live) -> None:
    for text in ("[" * 150, '\\"[' * 40, "\\\\" + "{" * 100):
        body = b'{"text": "%s"}' % text.encode()
        answer = post(kitchen, "analyze", body)
        assert answer.status in (200, 400) and "levels" not in answer.body.decode()
        json.loads(body)
    deep = {"text": "a", "more": json.loads("[" * 30 + "]" * 30)}
    assert post(kitchen, "analyze", json.dumps(deep).encode()).status == 200


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 5000, "0x10", "01", "+1", ".5", "1."],
)
def test_numbers_that_are_none(kitchen: Live, value: str) -> None:
    answer = post(kitchen, "double", value.encode())
    detail = is_refused(answer, 400, 422)
    assert detail
    nested = b'{"width": 1, "height": %s}' % value.encode()
    is_refused(post(kitchen, "plate", nested), 400, 422)


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "\\ud800"}',
        b'{"text": "\\udc00\\ud800"}',
        b'{"text": "\\ud83e"}',
        b'{"text": "a", "text": "b"}',
        b'{"text": "a", "\\u0074ext": "b"}',
        b'{"text": "\xff"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "\xc0\x80"}',
        b'{"text": "a\nb"}',
        b'{"text": "a\x00b"}',
        b'{"text": "a"}{"text": "b"}',
        b'{"text": "a"} x',
        b'{"text": "a",}',
        b'{"text": "a"',
        b'{"text": "a',
        b'{"text"',
        b"{'text': 'a'}",
        b"\x00",
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
        b"/* a */ {}",
    ],
)
def test_what_only_looks_like_json(kitchen: Live, body: bytes) -> None:
    answer = post(kitchen, "analyze", body)
    is_refused(answer, 400)
    assert answer.problem()["type"] == "MalformedRequest"


def test_an_escaped_nul_and_an_emoji_are_texts(kitchen: Live) -> None:
    for text in (b"a\\u0000b", b"\\ud83e\\udd8b", "🦋".encode()):
        answer = post(kitchen, "analyze", b'{"text": "%s"}' % text)
        assert answer.status == 200
        assert json.loads(b'["%s"]' % text) == answer.json()["words"]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_another_encoding_is_a_problem(kitchen: Live, codec: str) -> None:
    body = '{"text": "fine"}'.encode(codec)
    if codec == "utf-8-sig":  # RFC 8259, 8.1: a parser may ignore it
        answer = post(kitchen, "analyze", body)
        assert answer.status in (200, 400)
        return
    is_refused(post(kitchen, "analyze", body), 400)


@pytest.mark.parametrize("charset", ["utf-16", "latin1", "ISO-8859-1", "nonsense", "utf-7", "\xe4"])
def test_another_charset_is_415(kitchen: Live, charset: str) -> None:
    kind = f"application/json; charset={charset}"
    detail = is_refused(post(kitchen, "analyze", b'{"text": "a"}', type=kind), 415)
    assert "charset" in detail


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "us-ascii", "utf8"])
def test_utf_8_is_taken(kitchen: Live, charset: str) -> None:
    kind = f"application/json; charset={charset}"
    assert post(kitchen, "analyze", b'{"text": "a"}', type=kind).status == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, gzip", "x"])
def test_a_packed_body_is_415_and_stays_packed(kitchen: Live, coding: str) -> None:
    bomb = zlib.compress(b" " * 50 * MEBI)
    answer = post(kitchen, "analyze", bomb, content_encoding=coding)
    is_refused(answer, 415)
    assert answer.problem()["supported"] == ["identity"]


def test_two_million_small_things_take_bounded_time(kitchen: Live) -> None:
    """A body within its limit that holds as much as it can: nobody else waits long for it."""
    bodies = [
        b'{"text": "a", "x": [' + b"[]," * 600_000 + b"1]}",
        b'{"text": "a", "x": {' + b",".join(b'"%d":1' % i for i in range(150_000)) + b"}}",
        b'{"text": "a", "x": [' + b"1," * 900_000 + b"1]}",
        b"[" + b'"",' * 600_000 + b'""]',
    ]
    for body in bodies:
        assert len(body) <= LIMIT
        begin = time.monotonic()
        answer = post(kitchen, "analyze", body)
        assert answer.status in (200, 422)
        assert time.monotonic() - begin < 1.5, body[:40]


def test_a_pattern_cannot_be_made_to_run_long(kitchen: Live) -> None:
    """Errors list at most so many violations, and say nothing of what was sent."""
    body = b'{"steps": [' + b"{}," * 100_000 + b"{}]}"
    answer = post(kitchen, "cook", body)
    is_refused(answer, 422)
    assert len(answer.problem()["errors"]) <= 50 and len(answer.body) < 20_000


# Forms


def form(kitchen: Live, *parts: tuple[str, bytes], path: str = "label") -> Answer:
    body, kind = multipart(*parts)
    return post(kitchen, path, body, type=kind)


def field(name: str, more: str = "") -> str:
    return f'content-disposition: form-data; name="{name}"{more}'


def test_ten_thousand_parts_are_413(kitchen: Live) -> None:
    answer = form(kitchen, *((field(f"f{i}"), b"x") for i in range(10_000)))
    assert "parts" in is_refused(answer, 413)


def test_ten_thousand_fields_of_a_query_are_refused(kitchen: Live) -> None:
    query = "&".join(f"a{i}=1" for i in range(5000))
    answer = kitchen.send(request("GET", f"/kitchen/search?{query}"))
    assert answer
    is_refused(answer, 400)
    body = "&".join(f"a{i}=1" for i in range(10_000)).encode()
    kind = "application/x-www-form-urlencoded"
    is_refused(post(kitchen, "analyze", body, type=kind), 400)


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "b" * 10_000,
        "multipart/form-data; boundary*=utf-8''b",
        "multipart/mixed; boundary=b0undary",
        "multipart/",
    ],
)
def test_a_form_without_a_boundary(kitchen: Live, kind: str) -> None:
    body, _ = multipart((field("title"), b"x"))
    is_refused(post(kitchen, "label", body, type=kind), 400, 415)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"--b0undary",
        b"--b0undary\r\n",
        b"--b0undary--",
        b"--b0undary\r\ncontent-disposition: form-data\r\n\r\nx\r\n--b0undary--\r\n",
        b'--b0undary\r\ncontent-disposition: form-data; name="title"\r\n\r\nx',
        b'--b0undary\r\ncontent-disposition: form-data; name="title"\r\n\r\nx\r\n--b0undary',
        b"--b0undary\r\n\r\nx\r\n--b0undary--\r\n",
        b"--b0undary\r\n: \r\n\r\nx\r\n--b0undary--\r\n",
        b"--b0undary\r\n" + b"x: y\r\n" * 5000 + b"\r\nx\r\n--b0undary--\r\n",
        b"--b0undary\r\nx: " + b"y" * 100_000 + b"\r\n\r\nx\r\n--b0undary--\r\n",
        b"\r\n" * 100_000,
        b"--b0undary\n" * 100_000,
    ],
)
def test_a_form_that_is_none(kitchen: Live, body: bytes) -> None:
    answer = post(kitchen, "label", body, type="multipart/form-data; boundary=b0undary")
    is_refused(answer, 400, 413, 422)


def test_a_form_in_a_form_is_no_more_than_text(kitchen: Live) -> None:
    inner, kind = multipart((field("image"), b"x"), boundary=b"inner")
    answer = form(kitchen, (field("title") + f"\r\ncontent-type: {kind}", inner))
    is_refused(answer, 422)
    mixed = f"content-type: multipart/mixed; boundary=inner\r\n{field('image')}"
    is_refused(form(kitchen, (mixed, inner)), 415, 422)


@pytest.mark.parametrize("name", ["image", "title", "spices", "words", "mood"])
def test_any_field_may_come_as_a_broken_file(kitchen: Live, name: str) -> None:
    more = '; filename="x"\r\ncontent-type: image/jpeg'
    for data in (b"", b"\xff\xd8\xff", b"\xff\xfe", b"{", b"[" * 1000, b"x" * 50_000):
        is_refused(form(kitchen, (field(name, more), data)), 400, 415, 422)


def test_a_file_may_not_be_referred_to(kitchen: Live) -> None:
    """{"$media": 0} is how a message travels inside; from outside it must mean nothing."""
    for value in ('{"$media": 0}', '{"$media": 10}', '{"$media": -1}', '{"$media": "x"}'):
        for body in (value, f'{{"image": {value}}}'):
            path = "measure" if body == value else "label"
            is_refused(post(kitchen, path, body.encode()), 422)
    answer = form(
        kitchen,
        (field("cover", '; filename="a"'), b"x"),
        (field("title"), b"t"),
        (field("sound"), b'{"$media": 0}'),
        path="album",
    )
    is_refused(answer, 415, 422)


# HTTP


@pytest.mark.parametrize(
    "head",
    [
        b"content-length: -1",
        b"content-length: abc",
        b"content-length: 1e3",
        b"content-length: 1\r\ncontent-length: 2",
        b"content-length: 5\r\ntransfer-encoding: chunked",
        b"transfer-encoding: gzip",
        b"transfer-encoding: chunked, identity",
        b"transfer-encoding: chunked\r\ntransfer-encoding: identity",
        b"content-length: " + b"9" * 100,
        b"no colon",
        b"bad name: x",
        b"x: a\x00b",
        b" folded: x",
    ],
)
def test_heads_that_smugglers_send(kitchen: Live, head: bytes) -> None:
    answer = kitchen.send(
        b"POST /kitchen/analyze HTTP/1.1\r\nhost: a\r\n" + head + b"\r\n\r\n0\r\n\r\n", timeout=5
    )
    if answer is not None:
        is_refused(answer, 400, 413, 415, 422)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS client
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\x00" * 1000,
        bytes(range(256)) * 10,
        b"GET http://[::1 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET //////// HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET * HTTP/1.1\r\nhost: a\r\n\r\n",
        b"CONNECT evil:443 HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /%ff%00%2e%2e HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
)
def test_what_is_hardly_http(kitchen: Live, data: bytes) -> None:
    answer = kitchen.send(data, timeout=5)
    if answer is not None:
        is_refused(answer, 400, 404, 405)


def test_pipelined_requests_are_answered_in_order(kitchen: Live) -> None:
    with kitchen.connect() as raw:
        asked = [f"text{i}" for i in range(50)]
        raw.send(
            b"".join(
                request("POST", "/kitchen/analyze", json.dumps({"text": t}).encode()) for t in asked
            )
        )
        for text in asked:
            answer = raw.answer()
            assert answer and answer.json()["words"] == [text]


def test_ten_thousand_pipelined_requests_take_bounded_memory(kitchen: Live) -> None:
    with kitchen.connect() as raw:
        asked = request("POST", "/kitchen/analyze", b'{"text": "a"}') * 10_000
        sender = threading.Thread(target=raw.send, args=(asked,))
        sender.start()
        while answer := raw.answer():
            assert answer.status in (200, 400)
            if not answer.complete:
                break
        sender.join(20)
        assert not sender.is_alive()


@pytest.mark.parametrize("value", ["-1", "abc", "nan", "inf", "1e400", "9" * 400, "", "1;2", "٣"])
def test_a_request_timeout_that_is_none(kitchen: Live, value: str) -> None:
    head = GOOD.replace(b"host: test", b"host: test\r\nrequest-timeout: " + value.encode())
    answer = kitchen.send(head)
    assert answer
    is_refused(answer, 400)


@pytest.mark.parametrize("key", ["", "x" * 129, "a b", "\xe4", "a\tb", "x" * 10_000])
def test_an_idempotency_key_that_is_none(kitchen: Live, key: str) -> None:
    lines = b"host: test\r\nidempotency-key: " + key.encode("latin-1")
    answer = kitchen.send(GOOD.replace(b"host: test", lines))
    assert answer
    is_refused(answer, 400)
    assert key not in answer.headers.get("call-id", "") or not key


def test_a_reset_in_the_middle_of_everything(kitchen: Live) -> None:
    for size in range(1, len(GOOD), 7):
        raw = kitchen.connect()
        raw.send(GOOD[:size])
        raw.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.sock.close()
    assert "Traceback" not in kitchen.text()


def test_nothing_of_this_was_an_error_of_ours(kitchen: Live) -> None:
    """Runs last: no 5xx was answered and no exception was logged."""
    assert kitchen.metric("mothlight_requests_total", code="internal") == 0
    assert kitchen.metric("mothlight_requests_total", code="unknown") == 0
    assert "Traceback" not in kitchen.text(), kitchen.text()[-3000:]
