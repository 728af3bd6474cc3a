"""Two servers that share a Redis, behind a proxy that asks them in turn."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from redis_server import RedisServer
from round_robin import RoundRobin
from world import Notes

from live import Live, wait_until

STAGE = Path(__file__).parent.parent / "services" / "stage.py"

SSE = "text/event-stream, */*"

pytestmark = pytest.mark.slow


class Pair:
    """The servers, and the proxy before them."""

    def __init__(self, one: Live, two: Live, proxy: RoundRobin, redis: RedisServer) -> None:
        self.one, self.two, self.proxy, self.redis = one, two, proxy, redis
        # One connection for each request, so that the proxy has a choice.
        self.client = httpx2.Client(base_url=proxy.url, timeout=20, headers={"connection": "close"})


def _settings(folder: Path, redis: RedisServer) -> dict[str, Any]:
    environment = {"STAGE": str(folder)}
    return {"calls": redis.url, "workers": 1, "drain": 5, "environment": environment}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replicas")


@pytest.fixture(scope="module")
def pair(folder: Path, session_redis: RedisServer) -> Iterator[Pair]:
    settings = _settings(folder, session_redis)
    lives = [Live(f"{STAGE}:Stage", folder / f"{n}.log", **settings) for n in ("one", "two")]
    try:
        for live in lives:
            live.wait()
        with RoundRobin(*(live.port for live in lives)) as proxy:
            pair = Pair(*lives, proxy, session_redis)
            yield pair
            pair.client.close()
    finally:
        for live in lives:
            live.stop()


@pytest.fixture
def third(serve: Callable[..., Live], pair: Pair, folder: Path) -> Live:
    """One more replica, which the proxy does not know: it will end."""
    return serve(f"{STAGE}:Stage", **_settings(folder, pair.redis))


@pytest.fixture
def notes(folder: Path) -> Notes:
    for path in ("notes", "go"):
        (folder / path).unlink(missing_ok=True)
    return Notes(folder)


def _key() -> str:
    return str(uuid4())


def _post(name: str, value: object, key: str, url: str = "", **headers: str) -> dict[str, Any]:
    return {
        "method": "POST",
        "url": f"{url}/stage/{name}",
        "json": value,
        "headers": {"idempotency-key": key, "connection": "close", "accept": SSE, **headers},
    }


def _events(response: httpx2.Response, most: int = 10**9) -> list[tuple[str, str, Any]]:
    """Server-sent events: (id, name, data); the first ones, where that is all that is wanted."""
    events: list[tuple[str, str, Any]] = []
    id = name = data = ""
    for line in response.iter_lines():
        field, _, value = line.partition(": ")
        if field == "id":
            id = value
        elif field == "event":
            name = value
        elif field == "data":
            data = value
        elif not line and data:
            events.append((id, name, json.loads(data)))
            id = name = data = ""
            if len(events) >= most:
                break
    return events


def _resume(pair: Pair, key: str, after: int) -> list[tuple[str, str, Any]]:
    headers = {"accept": SSE, **({"last-event-id": str(after)} if after else {})}
    with pair.client.stream("GET", f"/calls/{key}", headers=headers) as response:
        assert response.status_code == 200, response.read()
        return _events(response)


def test_a_stream_is_resumed_from_every_item_through_either(pair: Pair, notes: Notes) -> None:
    key, n = _key(), 16
    before = dict(pair.proxy.served)
    with pair.client.stream(**_post("drip", n, key)) as response:
        begun = _events(response, n // 2)
    assert [data for _, _, data in begun] == list(range(1, n // 2 + 1))
    with ThreadPoolExecutor(n) as threads:  # while it runs
        running = [threads.submit(_resume, pair, key, after) for after in range(n // 2 + 1)]
        wait_until(lambda: f"drip {n}" in notes.all(), "it runs")
        notes.cue()
        resumed = [future.result(15) for future in running]
    whole = [(str(x), "", x) for x in range(1, n + 1)] + [("", "end", {})]
    assert resumed == [whole[after:] for after in range(n // 2 + 1)]
    for after in range(n + 1):  # and when it has ended, at the one and at the other
        assert [_resume(pair, key, after) for _ in range(2)] == [whole[after:]] * 2
    assert notes.all().count(f"drip {n}") == 1
    assert all(pair.proxy.served[port] - before[port] > n for port in before), pair.proxy.served


def test_a_call_is_cancelled_through_the_other(pair: Pair, notes: Notes) -> None:
    for begins, stops in ((pair.one, pair.two), (pair.two, pair.one)):
        key, x = _key(), begins.port
        with ThreadPoolExecutor(1) as thread:
            post = _post("wait", x, key, begins.url)
            answer = thread.submit(httpx2.request, **post, timeout=20)
            wait_until(lambda: f"wait {x}" in notes.all(), "it runs")  # noqa: B023
            start = time.monotonic()
            assert pair.client.delete(f"{stops.url}/calls/{key}").status_code == 204
            wait_until(lambda: f"left {x}" in notes.all(), "the model is stopped")  # noqa: B023
            print(
                f"stopped through the other replica in {1000 * (time.monotonic() - start):.0f} ms"
            )
            assert answer.result(10).json()["type"] == "Cancelled"
        for live in (begins, stops):
            again = httpx2.get(f"{live.url}/calls/{key}", timeout=10)
            assert (again.status_code, again.json()["type"]) == (499, "Cancelled")


def test_a_call_is_superseded_through_the_other(pair: Pair, notes: Notes) -> None:
    latest = f"{uuid4().hex}/search-box"
    lives = [pair.one, pair.two]
    with ThreadPoolExecutor(6) as threads:
        answers = []
        for x in range(6):
            post = _post("wait", x, _key(), lives[x % 2].url, **{"supersede-key": latest})
            answers.append(threads.submit(httpx2.request, **post, timeout=20))
            wait_until(lambda: f"wait {x}" in notes.all(), f"{x} runs")  # noqa: B023
        for answer in answers[:-1]:
            assert (answer.result(10).status_code, answer.result().json()["type"]) == (
                409,
                "Superseded",
            )
        notes.cue()
        assert answers[-1].result(10).json() == 5


def test_the_same_key_to_both_at_once_runs_once(pair: Pair, notes: Notes) -> None:
    start = threading.Barrier(4)

    def ask(live: Live, x: int, key: str) -> Any:
        start.wait(10)
        return pair.client.request(**_post("double", x, key, live.url)).json()

    with ThreadPoolExecutor(4) as threads:
        for x in range(25):
            key = _key()
            answers = [
                threads.submit(ask, live, x, key)
                for live in (pair.one, pair.two, pair.one, pair.two)
            ]
            assert [answer.result(15) for answer in answers] == [2 * x] * 4
    assert sorted(notes.all()) == sorted(f"double {x}" for x in range(25))


def test_redis_is_told_neither_ids_nor_messages(pair: Pair, notes: Notes) -> None:
    key, latest = _key(), f"{uuid4().hex}/box"
    post = _post("double", 123_456_789, key, **{"supersede-key": latest})
    assert pair.client.request(**post).json() == 246_913_578
    names = wait_until(pair.redis.calls, "it is in Redis")
    assert not any(key in name or latest in name for name in names)


def test_a_replica_that_is_told_to_stop_leaves_its_answers(
    pair: Pair, third: Live, notes: Notes
) -> None:
    done, running = _key(), _key()
    assert httpx2.request(**_post("double", 4, done, third.url), timeout=10).json() == 8
    post = _post("wait", 4, running, third.url, prefer="respond-async")
    assert httpx2.request(**post, timeout=10).status_code == 202
    wait_until(lambda: "wait 4" in notes.all(), "it runs")
    third.process.send_signal(signal.SIGTERM)
    wait_until(lambda: _refuses(third), "it takes no more")
    notes.cue()
    assert third.process.wait(15) in (0, -signal.SIGTERM)
    for key, answer in ((done, 8), (running, 4)):
        found = pair.client.get(f"/calls/{key}", headers={"prefer": "wait=5"})
        assert (found.status_code, found.json()) == (200, answer)


def _refuses(live: Live) -> bool:
    try:
        httpx2.get(f"{live.url}/health/live", timeout=2)
    except httpx2.TransportError:
        return True
    return False


def test_a_replica_that_dies_leaves_its_calls_failed(pair: Pair, third: Live, notes: Notes) -> None:
    with ThreadPoolExecutor(4) as threads:
        stream, unary, alone, done = _key(), _key(), _key(), _key()
        assert httpx2.request(**_post("double", 4, done, third.url), timeout=10).json() == 8
        with httpx2.stream(**_post("drip", 4, stream, third.url), timeout=10) as response:
            assert len(_events(response, 2)) == 2
        for x, key in ((5, unary), (6, alone)):
            post = _post("wait", x, key, third.url, prefer="respond-async")
            assert httpx2.request(**post, timeout=10).status_code == 202
            wait_until(lambda: f"wait {x}" in notes.all(), "it runs")  # noqa: B023
        waits = threads.submit(
            lambda: httpx2.request(**_post("wait", 5, unary, pair.two.url), timeout=20)
        )
        reads = threads.submit(
            lambda: (
                httpx2.get(
                    f"{pair.two.url}/calls/{stream}", headers={"accept": SSE}, timeout=20
                ).text
            )
        )
        wait_until(lambda: not waits.done() and not reads.done(), "both wait")
        died = time.monotonic()
        os.kill(third.process.pid, signal.SIGKILL)

        assert waits.result(15).json()["reason"] == "the replica that ran it died"
        seconds = time.monotonic() - died
        text = reads.result(15)
        assert text.startswith("id: 1\n") and "event: error" in text and "Unavailable" in text
        status = pair.client.get(
            f"/calls/{alone}", headers={"accept": "application/vnd.mothlight.call+json"}
        ).json()
        assert (status["state"], status["problem"]["code"]) == ("failed", "unavailable")
        took = time.monotonic() - died
        print(f"a dead replica's calls have failed after {seconds:.1f} s, all after {took:.1f} s")
        assert took < 6
        # What had ended is answered, what ran is not run again, and new calls are served.
        assert pair.client.request(**_post("double", 4, done)).json() == 8
        assert pair.client.request(**_post("wait", 6, alone)).status_code == 503
        assert pair.client.request(**_post("double", 9, _key())).json() == 18
        assert [n for n in notes.all() if n.startswith("wait")] == ["wait 5", "wait 6"]
