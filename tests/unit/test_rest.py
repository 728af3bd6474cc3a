"""REST without a socket: every status, content type and header that a caller sees."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import desk
import pytest
from asgi import Exchange, ask
from desk import Desk

from mothlight import App, Image
from mothlight.calls.identity import public

KEY = "3f2b8c1d9e7a4650b1c2d3e4f5a69788"

Run = Callable[[Coroutine[Any, Any, Any]], Any]
pytestmark = pytest.mark.usefixtures("fresh_hold")
JSON = {"content-type": "application/json"}


@asynccontextmanager
async def app(**options: Any) -> AsyncIterator[App]:
    made = App(Desk, **{"workers": 0, "grace": 2, **options})
    async with made:
        yield made


@pytest.fixture
def asks(run: Run) -> Callable[..., Any]:
    """One request to an app of its own."""

    def asks(verb: str, path: str, body: Any = b"", *, settings: Any = None, **options: Any) -> Any:
        async def main() -> Any:
            async with app(**(settings or {})) as made:
                return await ask(made, verb, path, body, **options)

        return run(main())

    return asks


def form(*parts: tuple[str, bytes], boundary: str = "cut") -> tuple[bytes, dict[str, str]]:
    body = b"".join(
        b"--cut\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), data)
        for head, data in parts
    )
    return body + b"--cut--\r\n", {"content-type": f"multipart/form-data; boundary={boundary}"}


# Answers


def test_a_call_and_its_headers(asks: Any) -> None:
    answer = asks("POST", "/desk/echo", {"text": "hi"})
    assert (answer.status, answer.json) == (200, {"text": "hi", "count": 1})
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.headers["call-id"]) == 32
    timing = answer.headers["server-timing"]
    assert timing.startswith("queue;dur=")
    assert 'batch;desc="1"' in timing
    assert "compute;dur=" in timing


def test_the_client_may_name_its_call(asks: Any) -> None:
    answer = asks("POST", "/desk/echo", {"text": "hi"}, headers={"idempotency-key": KEY})
    assert answer.headers["call-id"] == KEY
    for key in ("", "a b", "x" * 129, "ü"):
        answer = asks("POST", "/desk/echo", {"text": "hi"}, headers={"idempotency-key": key})
        assert answer.status == 400
        assert "Idempotency-Key" in answer.problem["detail"]


def test_a_declared_error_is_a_problem(asks: Any) -> None:
    answer = asks("POST", "/desk/echo", {"text": "busy"}, headers={"idempotency-key": KEY})
    assert answer.status == 503
    assert answer.problem["type"] == "Busy"
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["call-id"] == KEY
    assert "allow" not in answer.headers, "a field of that name is the author's own"


def test_a_failure_hides_its_reason_and_the_log_has_it(
    asks: Any, caplog: pytest.LogCaptureFixture
) -> None:
    answer = asks("POST", "/desk/boom", {"text": "x"}, headers={"idempotency-key": KEY})
    assert answer.status == 500
    assert answer.problem["type"] == "Internal"
    assert b"secret" not in answer.body
    assert f"Desk.boom failed (call {public(KEY)})" in caplog.text
    assert KEY not in caplog.text
    assert "ValueError: a secret" in caplog.text


def test_none_is_204_without_a_body(asks: Any) -> None:
    answer = asks("DELETE", "/desk/find", query="text=x")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-type" not in answer.headers
    assert answer.headers["call-id"]


def test_files_are_answered_as_their_bytes(asks: Any) -> None:
    answer = asks("POST", "/desk/blank", b"7", headers=JSON)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert Image(answer.body).size == (7, 1)
    body, headers = form(('name="left"; filename="l"', b"ab"), ('name="right"; filename="r"', b"c"))
    answer = asks("POST", "/desk/join", body, headers=headers)
    assert (answer.headers["content-type"], answer.body) == ("text/x-joined", b"abc")
    answer = asks("POST", "/desk/kept", {"text": "x"})
    assert answer.json == {"left": base64.b64encode(b"l").decode(), "right": "cg=="}


# Requests


def test_bare_scalars_and_their_defaults(asks: Any) -> None:
    assert asks("POST", "/desk/double", b"2.5", headers=JSON).json == 5.0
    assert asks("POST", "/desk/double", b"", headers=JSON).json == 3.0
    assert asks("POST", "/desk/double").json == 3.0
    assert asks("POST", "/desk/bell", b"ignored").json == "ding"
    answer = asks("POST", "/desk/double", b'"x"', headers=JSON)
    assert answer.status == 422
    assert answer.problem["errors"][0]["path"] == "x"


def test_queries(asks: Any) -> None:
    answer = asks("GET", "/desk/find", query="text=a+b%20c&count=3&unknown=1")
    assert answer.json == {"text": "a b c", "count": 3}
    answer = asks("GET", "/desk/find", query="count=0")
    assert answer.status == 422
    assert [e["path"] for e in answer.problem["errors"]] == ["text", "count"]
    answer = asks("GET", "/desk/find", query="text=a&text=b")
    assert answer.status == 422
    assert "more than once" in answer.problem["detail"]
    assert asks("GET", "/desk/find", query="text=%ff").status == 400


def test_forms_and_urlencoded_bodies(asks: Any) -> None:
    body, headers = form(
        ('name="file"; filename="C:\\a.txt"\r\nContent-Type: text/plain', b"12345"),
        ('name="title"', "Grüße".encode()),
        ('name="tags"', b"a"),
        ('name="tags"', b"b"),
        ('name="note"\r\nContent-Type: application/json', b'{"text": "n"}'),
        ('name="unknown"', b"?"),
    )
    answer = asks("POST", "/desk/send", body, headers=headers)
    assert answer.json == "Grüße 5 text/plain ['a', 'b'] n"
    answer = asks(
        "POST", "/desk/echo", b"text=a+b&count=2",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert answer.json == {"text": "a b", "count": 2}


def test_raw_bodies(asks: Any) -> None:
    octets = {"content-type": "application/octet-stream"}
    assert asks("POST", "/desk/bare", b"123", headers=octets).json == 3
    answer = asks("POST", "/desk/send", b"1234", headers=octets)
    assert answer.json == "none 4 application/octet-stream [] -"
    picture = io.BytesIO()
    Image.blank(5, 5).save(picture, "jpeg")
    for kind in ("image/jpeg", "image/png", "application/octet-stream"):
        answer = asks("POST", "/desk/width", picture.getvalue(), headers={"content-type": kind})
        assert answer.json == 5, "the bytes are sniffed, the type is not believed"
    assert asks("POST", "/desk/join", b"x", headers=octets).status == 415


def test_files_in_json_are_base64(asks: Any) -> None:
    assert asks("POST", "/desk/send", {"file": "MTIz", "title": "t"}).json.startswith("t 3")
    for odd in ({"$media": 0}, {"$media": -1}, {"$media": "0"}, 5, None, "?"):
        assert asks("POST", "/desk/send", {"file": odd}).status == 422


@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "type_"),
    [
        ("/desk/echo", b"", "application/json", 400, "MalformedRequest"),
        ("/desk/echo", b"{", "application/json", 400, "MalformedRequest"),
        ("/desk/echo", b'{"text": NaN}', "application/json", 400, "MalformedRequest"),
        ("/desk/echo", b'{"text": "a", "text": "b"}', "application/json", 400, "MalformedRequest"),
        ("/desk/echo", b'{"text": "\\ud800"}', "application/json", 400, "MalformedRequest"),
        ("/desk/echo", b'{"text": "\xff"}', "application/json", 400, "MalformedRequest"),
        ("/desk/echo", b"[" * 100, "application/json", 400, "MalformedRequest"),
        ("/desk/echo", b"[" * 70 + b"]" * 70, "application/json", 400, "MalformedRequest"),
        ("/desk/echo", b"null", "application/json", 422, "InvalidRequest"),
        ("/desk/echo", b"[]", "application/json", 422, "InvalidRequest"),
        ("/desk/echo", b'{"text": 5}', "application/json", 422, "InvalidRequest"),
        ("/desk/echo", b'{"text": null}', "application/json", 422, "InvalidRequest"),
        ("/desk/double", b"1e999", "application/json", 422, "InvalidRequest"),
        ("/desk/echo", b'{"text": "a"}', "text/plain", 415, "UnsupportedMedia"),
        ("/desk/echo", b'{"text": "a"}', "application/json; charset=latin-1", 415,
         "UnsupportedMedia"),
        ("/desk/send", b"x" * 101, "application/octet-stream", 413, "PayloadTooLarge"),
        ("/desk/width", b"GIF89a", "image/gif", 422, "BadMedia"),
        ("/desk/width", b"no image", "image/png", 415, "UnsupportedMedia"),
        ("/desk/send", b"--cut", "multipart/form-data", 400, "MalformedRequest"),
        ("/desk/send", b"--cut\r\n", "multipart/form-data; boundary=cut", 400, "MalformedRequest"),
    ],
)  # fmt: skip
def test_bad_requests(
    asks: Any, path: str, body: bytes, kind: str, status: int, type_: str
) -> None:
    answer = asks("POST", path, body, headers={"content-type": kind})
    assert answer.status == status
    assert answer.problem["type"] == type_
    assert answer.headers["call-id"]


def test_utf8_is_taken_however_it_is_called(asks: Any) -> None:
    for kind in (
        "application/json; charset=UTF-8",
        'Application/JSON;charset="utf8"',
        "a/b+json",
        "",
    ):
        answer = asks(
            "POST", "/desk/echo", '{"text": "ü"}'.encode(), headers={"content-type": kind}
        )
        assert answer.json["text"] == "ü"


def test_encoded_bodies_are_refused(asks: Any) -> None:
    answer = asks("POST", "/desk/echo", b"x", headers={**JSON, "content-encoding": "gzip"})
    assert answer.status == 415
    assert answer.problem["supported"] == ["identity"]


def test_limits(asks: Any) -> None:
    big = {"text": "x" * 2000}
    assert asks("POST", "/desk/echo", big, settings={"max_body": 1000}).problem["limit"] == 1000
    answer = asks("POST", "/desk/echo", headers={"content-length": "5000000000"})
    assert answer.status == 413
    assert answer.headers["connection"] == "close"
    answer = asks("POST", "/desk/echo", big, settings={"max_string": 1000})
    assert (answer.status, answer.problem["errors"][0]["path"]) == (422, "text")
    body, headers = form(*[('name="x"', b"")] * 9)
    answer = asks("POST", "/desk/echo", body, headers=headers, settings={"max_parts": 8})
    assert (answer.status, answer.problem["what"]) == (413, "the number of parts")
    answer = asks("GET", "/desk/find", query="&".join(["x=1"] * 9), settings={"max_parts": 8})
    assert answer.status == 400
    urlencoded = {"content-type": "application/x-www-form-urlencoded"}
    form_of = b"text=" + b"%41" * 400
    assert asks("POST", "/desk/echo", form_of, headers=urlencoded).status == 200
    answer = asks("POST", "/desk/echo", form_of, headers=urlencoded, settings={"max_json": 1000})
    assert (answer.status, answer.problem["limit"]) == (413, 1000)


# Time


def test_deadlines(asks: Any, run: Run) -> None:
    answer = asks("POST", "/desk/wait", b"1", headers={**JSON, "request-timeout": "0.05"},
                  settings={"grace": 0.05})  # fmt: skip
    assert (answer.status, answer.problem["code"]) == (504, "deadline_exceeded")
    answer = asks(
        "POST", "/desk/wait", b"1", headers=JSON, settings={"timeout": 0.05, "grace": 0.05}
    )
    assert answer.status == 504
    for odd in ("soon", "-1", "nan", "inf", ""):
        answer = asks("POST", "/desk/wait", b"1", headers={**JSON, "request-timeout": odd})
        assert answer.status == 400
        assert "Request-Timeout" in answer.problem["detail"]


def test_a_body_that_does_not_arrive(run: Run) -> None:
    async def main() -> None:
        async with app(body_timeout=0.05) as made:
            for pieces in ([], [b"{"]):
                answer = await Exchange(made, "POST", "/desk/echo", pieces, is_stalled=True)()
                assert answer.status == 408
                assert answer.problem["type"] == "RequestTimeout"
                assert answer.headers["connection"] == "close"

    run(main())


def test_a_body_in_pieces(asks: Any) -> None:
    async def main() -> Any:
        async with app() as made:
            pieces = [bytes([byte]) for byte in b'{"text": "x"}']
            return await Exchange(made, "POST", "/desk/echo", pieces, headers=JSON)()

    assert asyncio.run(main()).json["text"] == "x"


def test_a_client_that_leaves_before_its_body_gets_nothing(run: Run) -> None:
    async def main() -> None:
        async with app() as made:
            exchange = Exchange(made, "POST", "/desk/echo", [])
            exchange.leave()
            answer = await exchange()
            assert answer.status == 0

    run(main())


def test_a_client_that_leaves_cancels_its_call(run: Run) -> None:
    async def main() -> None:
        async with app() as made:
            exchange = Exchange(made, "POST", "/desk/wait", b"1", headers=JSON)
            task = asyncio.create_task(exchange())
            while not desk.hold.began.is_set():
                await asyncio.sleep(0.002)
            exchange.leave()
            answer = await task
            assert answer.status == 0
            assert not task.cancelled()
            desk.hold.go.set()

    run(main())


@pytest.mark.parametrize("headers", [{}, {"prefer": "respond-async, wait=9"}])
def test_a_request_that_the_server_cancels_is_answered(run: Run, headers: dict[str, str]) -> None:
    async def main() -> None:
        async with app(drain=0) as made:
            wait = Exchange(made, "POST", "/desk/wait", b"1", headers={**JSON, **headers})
            task = asyncio.create_task(wait())
            while not desk.hold.began.is_set():
                await asyncio.sleep(0.002)
            task.cancel()
            answer = await task
            assert (answer.status, answer.problem["reason"]) == (503, "the server is stopping")
            assert not task.cancelling()

    run(main())


def test_who_waits_for_a_call_is_answered_when_the_server_cancels_it(run: Run) -> None:
    async def main() -> None:
        async with app(drain=0) as made:
            named = {**JSON, "prefer": "respond-async", "idempotency-key": KEY}
            assert (await ask(made, "POST", "/desk/wait", 1, headers=named)).status == 202
            wait = Exchange(made, "GET", f"/calls/{KEY}", headers={"prefer": "wait=9"})
            task = asyncio.create_task(wait())
            await asyncio.sleep(0.05)
            task.cancel()
            answer = await task
            assert (answer.status, answer.problem["reason"]) == (503, "the server is stopping")

    run(main())


def test_many_callers_each_get_their_own_answer(run: Run) -> None:
    async def main() -> None:
        async with app() as made:
            answers = await asyncio.gather(
                *(ask(made, "POST", "/desk/echo", {"text": str(n)}) for n in range(200))
            )
            assert [a.json["text"] for a in answers] == [str(n) for n in range(200)]
            assert len({a.headers["call-id"] for a in answers}) == 200
            sizes = {json.loads(a.headers["server-timing"].split("desc=")[1].split(",")[0])
                     for a in answers}  # fmt: skip
            assert max(int(size) for size in sizes) == 8

    run(main())
