"""The App around its methods: pages, paths, mounts, CORS, its life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any, ClassVar

import pytest
from asgi import ask
from broken import NoWeights
from desk import Desk

from mothlight import App, method, service
from mothlight.calls.local import LocalCalls
from mothlight.errors import DefinitionError
from mothlight.services import Service

Run = Callable[[Coroutine[Any, Any, Any]], Any]


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


def test_404_and_405(asks: Any) -> None:
    answer = asks("POST", "/desk/nowhere", headers={"host": "["})
    assert (answer.status, answer.problem["path"]) == (404, "/desk/nowhere")
    answer = asks("GET", "/desk/echo")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    answer = asks("PUT", "/desk/find")
    assert answer.headers["allow"] == "DELETE, GET"
    answer = asks("POST", "/health/live")
    assert answer.status == 405
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}
    assert answer.problem["type"] == "MethodNotAllowed"


def test_a_mounted_app_finds_its_paths(asks: Any) -> None:
    for root, path in (("/ml", "/ml/desk/bell"), ("", "/desk/bell"), ("/de", "/desk/bell")):
        answer = asks("POST", path, root_path=root)
        assert (answer.status, answer.body) == (200, b'"ding"')
    assert asks("POST", "/desk/bell/", root_path="").status == 404


def test_pages(asks: Any) -> None:
    assert asks("GET", "/health/live").json == {"status": "live"}
    assert asks("GET", "/health/ready").json["status"] == "ready"
    contract = asks("GET", "/contract")
    etag = contract.headers["etag"]
    assert etag == f'"{contract.json["hash"]}"'
    for known in (etag, f"W/{etag}", f'"other", W/{etag}', "*"):  # RFC 9110, 13.1.2
        again = asks("GET", "/contract", headers={"if-none-match": known})
        assert (again.status, again.body) == (304, b"")
    for other in ('"other"', etag.strip('"'), ""):
        assert asks("GET", "/contract", headers={"if-none-match": other}).status == 200
    assert asks("GET", "/openapi.json").json["openapi"] == "3.2.0"
    assert asks("GET", "/openapi.json", query="version=1").status == 400
    assert asks("GET", "/docs").headers["content-type"].startswith("text/html")
    for path in ("/docs", "/contract", "/openapi.json"):
        assert asks("GET", path, settings={"docs": False}).status == 404
    asks("POST", "/desk/bell")
    asks("POST", "/desk/echo", {"text": "x"})
    metrics = asks("GET", "/metrics").body.decode()
    assert 'mothlight_requests_total{code="ok",method="Desk.bell"}' in metrics
    assert 'mothlight_batch_size_count{method="Desk.echo"}' in metrics


def test_cors(asks: Any) -> None:
    origin = {"origin": "https://app.example"}
    preflight = {**origin, "access-control-request-method": "POST",
                 "access-control-request-headers": "content-type, idempotency-key"}  # fmt: skip
    on = {"cors": ("https://app.example",)}
    answer = asks("OPTIONS", "/desk/echo", headers=preflight, settings=on)
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert "idempotency-key" in answer.headers["access-control-allow-headers"]
    answer = asks("POST", "/desk/echo", {"text": "x"}, headers=origin, settings=on)
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    exposed = answer.headers["access-control-expose-headers"]
    assert {"Call-Id", "Server-Timing", "Retry-After"} <= set(exposed.split(", "))
    other = {"origin": "https://other.example"}
    answer = asks("POST", "/desk/echo", {"text": "x"}, headers=other, settings=on)
    assert "access-control-allow-origin" not in answer.headers
    answer = asks("POST", "/desk/echo", {"text": "x"}, headers=other, settings={"cors": "*"})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert asks("OPTIONS", "/desk/echo", headers=preflight).status == 405


def test_an_app_that_was_never_started_says_so(caplog: pytest.LogCaptureFixture) -> None:
    made = App(Desk, workers=0)
    answer = asyncio.run(ask(made, "POST", "/desk/bell"))
    assert (answer.status, answer.problem["detail"]) == (503, "the server has not started")
    assert "FastAPI(lifespan=app.lifespan)" in caplog.text
    assert asyncio.run(ask(made, "GET", "/health/ready")).status == 503


def test_an_app_needs_a_service() -> None:
    with pytest.raises(DefinitionError, match="an App needs a service"):
        App()


def small(http: str | None = None, name: str = "Small") -> type:
    def say(self: Any, x: int) -> int:
        return x

    return service(name=name)(type(name, (), {"say": method(http=http)(say)}))


def test_two_methods_cannot_have_one_place() -> None:
    with pytest.raises(DefinitionError, match="are both POST /say") as caught:
        App(small("POST /say", "A"), small("POST /say", "B"), workers=0)
    assert 'http="POST /..."' in caught.value.mend
    App(small("POST /say", "A"), small("GET /say", "B"), workers=0)


def test_two_streams_cannot_have_one_path() -> None:
    @service
    class Chat:
        @method(http="GET /chat")
        def history(self, x: int) -> Iterator[int]:
            yield x

        @method(http="POST /chat")
        def talk(self, xs: Iterator[int]) -> Iterator[int]:
            yield from xs

    with pytest.raises(DefinitionError, match="both stream at /chat") as caught:
        App(Chat, workers=0)
    line = Chat.talk.func.__code__.co_firstlineno + 1  # below its decorator
    assert caught.value.location == f"{__file__}:{line}"
    assert 'http="POST /chat/talk"' in caught.value.mend


def test_two_services_cannot_have_one_name() -> None:
    with pytest.raises(DefinitionError, match="two services are called Small") as caught:
        App(small("POST /a"), small("POST /b"), workers=0)
    assert '@service(name="...")' in caught.value.mend


def test_lifespan_events(run: Run) -> None:
    async def live(made: App) -> list[dict[str, Any]]:
        received = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return next(received)

        async def send(event: Any) -> None:
            sent.append(event)

        await made({"type": "lifespan"}, receive, send)
        return sent

    events = run(live(App(Desk, workers=0)))
    assert [e["type"] for e in events] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    (failed,) = run(live(App(NoWeights, workers=0)))
    assert failed["type"] == "lifespan.startup.failed"
    assert "weights.safetensors is not here" in failed["message"]


def test_a_start_that_fails_leaves_no_workers(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_store() -> None:
        raise ConnectionError("no Redis")

    async def main() -> None:
        made = App(Desk, workers=1)
        with monkeypatch.context() as broken:
            broken.setattr(made.calls, "start", no_store)
            with pytest.raises(ConnectionError):
                await made.start()
        assert made.backend.states == {"Desk": "stopping"}
        assert made.backend._crews[Service.of(Desk)]._processes == []  # type: ignore[attr-defined]
        async with made:
            assert await made.call(Desk.bell) == "ding"

    run(main())


def test_starts_at_the_same_time_make_one_set_of_workers(run: Run) -> None:
    async def main() -> None:
        made = App(Desk, workers=1)
        await asyncio.gather(made.start(), made.start())
        try:
            assert len(made.backend._crews[Service.of(Desk)]._processes) == 1  # type: ignore[attr-defined]
            await made.stop()
            assert await made.call(Desk.bell) == "ding", "who started it second still has it"
        finally:
            await made.stop()

    run(main())


def test_a_websocket_is_turned_away(run: Run) -> None:
    async def main() -> list[Any]:
        sent: list[Any] = []

        async def send(event: Any) -> None:
            sent.append(event)

        async def receive() -> dict[str, Any]:
            return {"type": "websocket.connect"}

        async with App(Desk, workers=0) as app:
            await app({"type": "websocket", "path": "/"}, receive, send)
        return sent

    assert [e["type"] for e in run(main())] == ["websocket.close"]  # 403, from older servers


def test_sockets_are_taken_again_after_a_restart(run: Run) -> None:
    async def main() -> None:
        made = App(Desk, workers=0)
        for _ in range(2):
            seen: list[str] = []

            async def send(event: Any, seen: list[str] = seen) -> None:
                seen.append(event["type"])

            async def receive(seen: list[str] = seen) -> dict[str, Any]:
                return {"type": "websocket.disconnect" if seen else "websocket.connect"}

            scope = {"type": "websocket", "path": "/desk/words", "headers": [], "query_string": b""}
            async with made:
                await made(scope, receive, send)
                made.site.drain()
            assert seen[0] == "websocket.accept"

    run(main())


def test_where_a_call_is_has_the_mount_in_it(asks: Any) -> None:
    told = {"prefer": "respond-async"}
    answer = asks("POST", "/a é\r\n/desk/bell", root_path="/a é\r\n", headers=told)
    assert answer.status == 202
    id = answer.headers["call-id"]
    assert answer.headers["location"] == f"/a%20%C3%A9%0D%0A/calls/{id}"


def test_a_wildcard_asks_for_the_answer_of_a_call(run: Run) -> None:
    async def main() -> None:
        key = "9f86d081-884c-4d65-9a2f-eaa0c55ad015"
        async with app() as made:
            await ask(made, "POST", "/desk/bell", headers={"idempotency-key": key})
            for wanted in ("application/*", "*/*", "text/html, application/*;q=0.5", ""):
                answer = await ask(made, "GET", f"/calls/{key}", headers={"accept": wanted})
                assert (answer.headers["content-type"], answer.json) == ("application/json", "ding")
            status = "application/vnd.mothlight.call+json"
            answer = await ask(made, "GET", f"/calls/{key}", headers={"accept": status})
            assert answer.headers["content-type"] == status

    run(main())


def test_who_observes_a_kept_call_leaves_no_frames_behind(run: Run) -> None:
    async def main() -> None:
        key = "9f86d081-884c-4d65-9a2f-eaa0c55ad015"
        async with app(access_log=True) as made:
            headers = {"idempotency-key": key}
            answer = await ask(made, "POST", "/desk/boom", {"text": "a"}, headers=headers)
            assert answer.status == 500
            assert isinstance(made.calls, LocalCalls)
            record = made.calls.records["", key]
            assert record.timeline is None
            assert record.error is not None and record.error.__traceback__ is None

    run(main())


class Errand:
    """Made a service below: what it has done is asked when the server is gone."""

    begun = asyncio.Event()
    done: ClassVar[list[str]] = []

    @method
    async def run(self, what: str) -> None:
        Errand.begun.set()
        await asyncio.sleep(0.3)
        Errand.done.append(what)


def test_the_time_to_drain_is_counted_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        made = App(Desk, workers=0, drain=10)
        given: list[float] = []
        for part in (made.calls, made.backend):
            stop = part.stop

            async def stops(grace: float, stop: Any = stop) -> None:
                given.append(grace)
                await asyncio.sleep(0.1)
                await stop(grace)

            monkeypatch.setattr(part, "stop", stops)
        async with made:
            pass
        assert given[0] == pytest.approx(10, abs=0.05) and given[1] < 9.95
        async with made:
            made.drain()  # the server, which waits for its connections
            await asyncio.sleep(0.1)
        assert given[2] < 9.95 and given[3] < 9.85
        async with made:
            pass
        assert given[4] == pytest.approx(10, abs=0.05), "it was started again"

    run(main())


def test_a_drain_lets_calls_in_the_background_end(run: Run) -> None:
    async def main() -> None:
        Errand.begun = asyncio.Event()
        async with App(service(Errand), workers=0, drain=10) as made:
            for name, headers in (
                ("in the background", {"prefer": "respond-async"}),
                ("left", {"idempotency-key": token_hex(16)}),
            ):
                asked = asyncio.create_task(ask(made, "POST", "/errand/run", name, headers=headers))
                async with asyncio.timeout(10):
                    await Errand.begun.wait()
                Errand.begun.clear()
                if name == "left":
                    asked.cancel()
                await asyncio.wait([asked])

    run(main())
    assert Errand.done == ["in the background"]
