"""Streams over HTTP: their forms, their ends, and clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import desk
import pytest
from asgi import Answer, Exchange, ask
from desk import Desk

from mothlight import App
from mothlight.protocols import exposition
from mothlight.protocols.streams import BrokenOff

Run = Callable[[Coroutine[Any, Any, Any]], Any]
pytestmark = pytest.mark.usefixtures("fresh_hold")


@asynccontextmanager
async def app(**options: Any) -> AsyncIterator[App]:
    made = App(Desk, **{"workers": 0, "grace": 2, **options})
    async with made:
        yield made


@pytest.fixture
def asks(run: Run) -> Callable[..., Answer]:
    def asks(
        verb: str, path: str, body: Any = b"", accept: str | None = None, **options: Any
    ) -> Any:
        headers = {} if accept is None else {"accept": accept}

        async def main() -> Any:
            async with app() as made:
                return await ask(made, verb, path, body, headers=headers, **options)

        return run(main())

    return asks


def events(body: bytes) -> list[dict[str, str]]:
    """Server-sent events as a browser reads them (WHATWG HTML, 9.2.6)."""
    found = []
    for block in body.decode().split("\n\n")[:-1]:
        lines = [line.split(": ", 1) for line in block.split("\n") if not line.startswith(":")]
        if lines:
            found.append(dict(lines))  # type: ignore[arg-type]
    return found


def test_server_sent_events(asks: Any) -> None:
    answer = asks("POST", "/desk/words", {"text": "a ü"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["call-id"]
    assert events(answer.body) == [
        {"id": "1", "data": '{"text":"a","count":1}'},
        {"id": "2", "data": '{"text":"ü","count":1}'},
        {"event": "end", "data": "{}"},
    ]


def test_lines_of_json(asks: Any) -> None:
    answer = asks("POST", "/desk/words", {"text": "a b"}, "application/x-ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.body.splitlines()] == [
        {"text": "a", "count": 1}, {"text": "b", "count": 1}, {"end": True},
    ]  # fmt: skip


def test_plain_lines(asks: Any) -> None:
    answer = asks("GET", "/stream_numbers", query="count=3")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.body == b"0\n1\n2\n"
    answer = asks("POST", "/desk/lines", "a|b\nc\\|ü", "text/plain")
    assert answer.body == "a\nb\\nc\\\\\nü\n".encode(), "an item is one line"


@pytest.mark.parametrize(
    ("path", "accept", "expected"),
    [
        ("/stream_numbers", None, "text/plain"),
        ("/stream_numbers", "*/*", "text/plain"),
        ("/stream_numbers", "text/event-stream", "text/event-stream"),
        ("/stream_numbers", "application/*", "application/x-ndjson"),
        ("/stream_numbers", "text/plain;q=0.1, */*;q=0.9", "text/event-stream"),
        ("/stream_numbers", "application/json", ""),
        ("/stream_numbers", "text/plain;q=0", ""),
    ],
)
def test_the_form_is_the_clients_choice(asks: Any, path: str, accept: str, expected: str) -> None:
    answer = asks("GET", path, accept=accept)
    if expected:
        assert answer.headers["content-type"].split(";")[0] == expected
    else:
        assert answer.status == 406
        assert answer.problem["supported"] == [
            "text/plain", "text/event-stream", "application/x-ndjson",
        ]  # fmt: skip


def test_an_empty_stream_ends(asks: Any) -> None:
    assert events(asks("POST", "/desk/words", {"text": ""}).body) == [
        {"event": "end", "data": "{}"}
    ]
    assert asks("GET", "/stream_numbers", query="count=0").body == b""


def test_an_error_before_the_first_item_has_its_status(asks: Any) -> None:
    answer = asks("POST", "/desk/words", {"text": "busy"})
    assert (answer.status, answer.problem["type"]) == (503, "Busy")
    assert asks("POST", "/desk/words", {"text": "boom"}).status == 500
    assert asks("POST", "/desk/words", {}).status == 422
    assert asks("GET", "/stream_numbers", query="count=-1").status == 422
    assert asks("GET", "/stream_numbers", query="count=abc").status == 422


def test_an_error_after_it_is_the_last_event(asks: Any) -> None:
    found = events(asks("POST", "/desk/words", {"text": "a busy b"}).body)
    assert [e.get("event") for e in found] == [None, "error"]
    problem = json.loads(found[1]["data"])
    assert (problem["type"], problem["code"], problem["retry_after"]) == ("Busy", "unavailable", 1)
    answer = asks("POST", "/desk/words", {"text": "a boom"}, "application/x-ndjson")
    last = json.loads(answer.body.splitlines()[-1])
    assert last["error"]["type"] == "Internal"
    assert b"secret" not in answer.body


def test_plain_lines_break_off(run: Run) -> None:
    async def main() -> None:
        async with app() as made:
            exchange = Exchange(made, "GET", "/stream_numbers", query="count=13")
            before = _count("internal")
            with pytest.raises(BrokenOff):
                await exchange()
            assert exchange.answer.body == b"0\n1\n"
            assert not exchange.answer.is_whole, "what is cut short never looks whole"
            assert _count("internal") == before + 1

    run(main())


def _count(code: str) -> float:
    for line in exposition.render().decode().splitlines():
        if line.startswith(f'mothlight_requests_total{{code="{code}",method="Desk.numbers"}}'):
            return float(line.rsplit(" ", 1)[1])
    return 0.0


def test_heartbeats(run: Run) -> None:
    async def main() -> None:
        async with app(heartbeat=0.02) as made:
            headers = {"accept": "text/event-stream", "content-type": "application/json"}
            exchange = Exchange(made, "POST", "/desk/slow", b"2", headers=headers)
            task = asyncio.create_task(exchange())
            while exchange.answer.body.count(b": hb\n\n") < 2:
                await asyncio.sleep(0.005)
            desk.hold.go.set()
            answer = await task
            assert [e["data"] for e in events(answer.body)] == ["0", "1", "{}"]

    run(main())


@pytest.mark.parametrize("when", ["before the first item", "after it"])
def test_a_client_that_leaves_ends_the_stream(run: Run, when: str) -> None:
    async def main() -> None:
        async with app() as made:
            if when == "after it":
                desk.hold.go.set()
            headers = {"content-type": "application/json"}
            exchange = Exchange(made, "POST", "/desk/slow", b"1000000", headers=headers)
            task = asyncio.create_task(exchange())
            while not desk.hold.began.is_set() or (when == "after it" and not exchange.answer.body):
                await asyncio.sleep(0.002)
            exchange.leave()
            answer = await task
            assert not answer.is_whole
            assert not task.cancelled()
            while not desk.hold.ended.is_set():
                await asyncio.sleep(0.002)

    run(main())


def test_a_client_that_reads_no_more_and_leaves(run: Run) -> None:
    async def main() -> None:
        async with app() as made:
            desk.hold.go.set()
            headers = {"content-type": "application/json"}
            exchange = Exchange(made, "POST", "/desk/slow", b"1000000", headers=headers)
            exchange.flow.clear()  # send() waits, as it does on a full socket
            task = asyncio.create_task(exchange())
            await exchange.sent.wait()
            exchange.leave()
            await task
            while not desk.hold.ended.is_set():
                await asyncio.sleep(0.002)

    run(main())


@pytest.mark.parametrize("when", ["before the first item", "after it"])
def test_a_stream_that_the_server_cancels_ends_with_its_reason(run: Run, when: str) -> None:
    async def main() -> None:
        async with app() as made:
            if when == "after it":
                desk.hold.go.set()
            headers = {"content-type": "application/json", "accept": "text/event-stream"}
            exchange = Exchange(made, "POST", "/desk/slow", b"1000000", headers=headers)
            task = asyncio.create_task(exchange())
            while not desk.hold.began.is_set() or (when == "after it" and not exchange.answer.body):
                await asyncio.sleep(0.002)
            task.cancel()
            answer = await task
            assert answer.is_whole
            if when == "after it":
                problem = json.loads(events(answer.body)[-1]["data"])
            else:
                problem = answer.problem
            assert (problem["status"], problem["reason"]) == (503, "the server is stopping")

    run(main())


def test_a_stream_that_nobody_reads_may_be_cancelled_for_good(run: Run) -> None:
    async def main() -> None:
        async with app() as made:
            desk.hold.go.set()
            headers = {"content-type": "application/json", "accept": "text/event-stream"}
            exchange = Exchange(made, "POST", "/desk/slow", b"1000000", headers=headers)
            exchange.flow.clear()
            task = asyncio.create_task(exchange())
            await exchange.sent.wait()
            for _ in range(2):  # when the time to drain is over, and when the event loop ends
                task.cancel()
                await asyncio.sleep(0.01)
            assert task.done(), "the process would not end"
            assert isinstance(task.exception(), BrokenOff)

    run(main())


def test_a_deadline_ends_a_stream_with_an_error(run: Run) -> None:
    async def main() -> None:
        async with app(heartbeat=0.01) as made:
            headers = {
                "content-type": "application/json", "request-timeout": "0.1",
                "accept": "text/event-stream",
            }  # fmt: skip
            answer = await ask(made, "POST", "/desk/slow", b"9", headers=headers)
            (last,) = events(answer.body)
            assert last["event"] == "error"
            assert json.loads(last["data"])["code"] == "deadline_exceeded"

    run(main())
