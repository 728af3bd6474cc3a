"""The hook of one's own: what it gives, what it raises, and what nobody learns of that."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import httpx2
import pytest
from asgi import Exchange, ask
from desk import Desk

from mothlight import App, Credentials, Error, Overloaded, Principal, Unauthenticated
from mothlight.protocols import http
from mothlight.testing import TestClient

Run = Callable[[Coroutine[Any, Any, Any]], Any]

TOKEN = "s3cr3t-token.of=nobody"
NOTE = {"text": "hi"}
WITH_TOKEN = {"authorization": f"Bearer {TOKEN}", "cookie": f"a=1; session={TOKEN}"}


def later(hook: Callable[[Credentials], Any]) -> Callable[[Credentials], Any]:
    async def asks(credentials: Credentials) -> Any:
        await asyncio.sleep(0)
        return hook(credentials)

    return asks


class Hook:
    async def __call__(self, credentials: Credentials) -> Principal:
        return Principal("alice")


def both(hook: Callable[[Credentials], Any]) -> list[Callable[[Credentials], Any]]:
    return [hook, later(hook)]


def statuses(hook: Any, run: Run) -> list[http.Answer]:
    """What is answered on each way: a call, a stream, in the background, a known call, stopping
    it; and the short way."""

    async def main() -> list[Any]:
        app = App(Desk, workers=0, authenticate=hook)
        asks = [
            ("POST", "/desk/echo", NOTE, {}),
            ("POST", "/desk/words", NOTE, {}),
            ("POST", "/desk/echo", NOTE, {"prefer": "respond-async"}),
            ("GET", "/calls/0123", b"", {}),
            ("DELETE", "/calls/0123", b"", {}),
        ]
        async with app:
            return [
                await ask(app, verb, path, body, headers={**WITH_TOKEN, **more})
                for verb, path, body, more in asks
            ]

    answers = run(main())
    with TestClient(App(Desk, workers=0, drain=1.0, authenticate=hook)) as client:
        short = httpx2.post(f"{client.url}/desk/echo", json=NOTE, headers=WITH_TOKEN, timeout=20)
    for answer in answers[:3]:
        assert (answer.status, answer.body) == (short.status_code, short.content)
    return answers


@pytest.mark.parametrize(
    "hook",
    [*both(lambda _: Principal("alice")), Hook(), functools.partial(Hook.__call__, None)],
    ids=["plain", "async", "object", "partial"],
)  # fmt: skip
def test_hooks_of_all_kinds(hook: Any, run: Run) -> None:
    async def main() -> None:
        async with App(Desk, workers=0, authenticate=hook) as app:
            headers = {"idempotency-key": "short"}  # names are enough, where callers have names
            assert (await ask(app, "POST", "/desk/echo", NOTE, headers=headers)).status == 200
            assert (await ask(app, "GET", "/calls/short")).status == 200

    run(main())
    with TestClient(App(Desk, workers=0, drain=1.0, authenticate=hook)) as client:
        answer = httpx2.post(f"{client.url}/desk/echo", json=NOTE, timeout=20)
    assert answer.status_code == 200


def test_what_a_hook_is_told(run: Run) -> None:
    told: list[Credentials] = []

    def hook(credentials: Credentials) -> Principal:
        told.append(credentials)
        return Principal("alice")

    async def main() -> None:
        async with App(Desk, workers=0, authenticate=hook) as app:
            headers = {"authorization": "bearer  x.y", "x-own": "ü", "x-forwarded-for": "192.0.2.7"}
            exchange = Exchange(app, "POST", "/desk/bell")
            exchange.scope["headers"] = [
                (k.encode(), v.encode("latin-1")) for k, v in headers.items()
            ]
            await exchange()

    run(main())
    (credentials,) = told
    assert credentials.bearer == "x.y"
    assert credentials.headers["x-own"] == "ü"
    assert dict(credentials.headers) == {
        "authorization": "bearer  x.y", "x-own": "ü", "x-forwarded-for": "192.0.2.7",
    }  # fmt: skip
    assert len(credentials.headers) == 3 and "cookie" not in credentials.headers
    assert credentials.headers.get("cookie") is None and credentials.headers.get("€", "-") == "-"
    assert (credentials.address, credentials.path) == ("192.0.2.7", "/desk/bell")


def refuses(error: Error) -> Callable[[Credentials], Principal]:
    def hook(_: Credentials) -> Principal:
        raise error

    return hook


@pytest.mark.parametrize("kind", [0, 1], ids=["plain", "async"])
@pytest.mark.parametrize(
    "error", [Unauthenticated(reason="expired"), Overloaded(retry_after=3.0)], ids=["401", "503"]
)
def test_the_errors_of_a_hook_are_the_answer(error: Error, kind: int, run: Run) -> None:
    for answer in statuses(both(refuses(error))[kind], run):
        assert answer.status == error.status
        assert answer.problem == error.problem()
        assert answer.headers.get("www-authenticate") == ("Bearer" if error.status == 401 else None)
        assert answer.headers.get("retry-after") == (None if error.status == 401 else "3")
        assert "call-id" not in answer.headers


def careless(credentials: Credentials) -> Any:
    return {}[credentials.bearer]


def quoting(credentials: Credentials) -> Any:
    try:
        raise ValueError(f"bad {credentials.headers['cookie']}")
    except ValueError as error:
        raise RuntimeError(f"cannot read {credentials.headers['authorization']}") from error


@pytest.mark.parametrize("kind", [0, 1], ids=["plain", "async"])
@pytest.mark.parametrize(
    ("hook", "logged"),
    [
        (careless, "KeyError"),
        (quoting, "RuntimeError"),
        (lambda c: None, "authenticate gave NoneType, and no Principal"),
        (lambda c: c.bearer, "authenticate gave str, and no Principal"),
        (lambda c: Principal(None), "a principal's name is a str, not NoneType"),  # type: ignore[arg-type]
        (lambda c: Principal("a", rate=0), "rate=0: it has to be above 0"),
        (lambda c: Principal("a", concurrency=0), "concurrency=0: it has to be 1 or more"),
    ],
)
def test_the_failures_of_a_hook_are_logged_without_what_it_was_told(
    hook: Any, logged: str, kind: int, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for answer in statuses(both(hook)[kind], run):
            assert (answer.status, answer.problem["code"]) == (500, "internal")
            assert TOKEN not in answer.body.decode()
    messages = [r.getMessage() for r in caplog.records if "authenticate" in r.getMessage()]
    assert len(messages) == 6
    assert all(logged in message for message in messages)
    assert TOKEN not in caplog.text


def test_an_async_hook_behind_a_plain_function_is_named_as_the_mistake(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    hidden = later(lambda _: Principal("alice"))
    for answer in statuses(lambda c: hidden(c), run):  # noqa: PLW0108
        assert answer.status == 500
    assert "define it with   async def" in caplog.text


def test_a_hook_may_let_some_in_without_a_name(run: Run) -> None:
    def hook(credentials: Credentials) -> Principal:
        return Principal("alice") if credentials.bearer else Principal("")

    async def main() -> None:
        async with App(Desk, workers=0, authenticate=hook, rate=1.0) as app:
            short = {"idempotency-key": "short"}
            named = {**short, "authorization": "Bearer x"}
            assert (await ask(app, "POST", "/desk/bell", headers=named)).status == 200
            nameless = await ask(app, "POST", "/desk/bell", headers=short)
            assert nameless.status == 400, "their ids are secrets"
            assert (await ask(app, "POST", "/desk/bell")).status == 200, "a quota of their own"
            assert (await ask(app, "POST", "/desk/bell")).status == 429

    run(main())


@pytest.mark.parametrize("kind", [0, 1], ids=["plain", "async"])
def test_nothing_of_a_body_is_read_before_its_sender_is_known(kind: int, run: Run) -> None:
    hook = both(refuses(Unauthenticated()))[kind]

    async def main() -> None:
        async with App(Desk, workers=0, authenticate=hook) as app:
            exchange = Exchange(
                app, "POST", "/desk/echo", b"{", is_stalled=True,
                headers={"content-type": "application/json", "content-length": "30000000"},
            )  # fmt: skip
            asked = 0
            receive = exchange._receive

            async def watched() -> Any:
                nonlocal asked
                assert exchange.answer.status == 401, "it was read before it was answered"
                asked += 1
                return await receive()

            exchange._receive = watched  # type: ignore[method-assign]
            answer = await exchange()
            assert answer.headers["connection"] == "close"
            assert answer.headers["www-authenticate"] == "Bearer"
            assert asked, "what the client goes on sending is thrown away, so that it can listen"

    run(main())
