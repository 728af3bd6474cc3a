"""One call over one socket, with a real client and a real server: every kind, every cut, every
error."""

from __future__ import annotations

import base64
import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
import sockets
from sockets import Post, code, cut, failure, items, opened, read, refused, rest
from websockets.exceptions import ConnectionClosed

from live import wait_until
from mothlight import App, Unauthenticated
from mothlight.principal import Credentials, Principal
from mothlight.testing import TestClient
from services import booth, loom

WORDS = [f"word {number}" for number in range(12)]


def order(**fields: Any) -> str:
    return json.dumps(fields)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(loom.Loom, booth.Booth, Post, grace=10, max_json=50_000, max_body=200_000) as c:
        yield c


@pytest.fixture
def url(client: TestClient) -> str:
    return client.url


# All kinds


def test_a_server_stream(url: str, name: str) -> None:
    with opened(url, "/loom/weave") as ready:
        ready.send(order(name=name, count=3))
        head = read(ready)
        assert head == {"call": head["call"], "received": 0}
        assert items(ready) == ["1:ünï\n", "2:ünï\n", "3:ünï\n"]
    assert loom.ENDED[name] == 1


def test_methods_without_a_message_and_with_a_default(url: str) -> None:
    with opened(url, "/post/ticks") as ready:
        assert items(ready)[1:] == [0, 1, 2]
    for message, count in (('{"end":true}', 3), ("2", 2), ('{"count":1}', 1), ("{}", 3)):
        with opened(url, "/post/numbers") as ready:
            ready.send(message)
            assert items(ready)[1:] == list(range(count)), message


def test_files_are_binary_frames(url: str) -> None:
    with opened(url, "/post/pages") as ready:
        ready.send("3")
        assert items(ready)[1:] == [b"\0\0\0", b"\1\1\1", b"\2\2\2"]
    with opened(url, "/post/unpack") as ready:  # whose only required field is a file
        ready.send(b"%PDF-1.7 abc")
        assert items(ready)[1:] == ["none 12 application/pdf"]
    with opened(url, "/booth/copy") as ready:
        ready.send(b"abc")
        ready.send(json.dumps(base64.b64encode(b"xyz").decode()))
        ready.send('{"end": true}')
        assert items(ready)[1:] == [b"cba", b"zyx"]


def test_files_in_messages_are_inline(url: str) -> None:
    inside = base64.b64encode(b"abc").decode()
    with opened(url, "/post/both") as ready:
        ready.send(json.dumps({"file": inside, "note": "x"}))
        ready.send(b"def")
        ready.send('{"end": true}')
        found = items(ready)[1:]
    assert [item["note"] for item in found] == ["x", "none"]
    assert [base64.b64decode(item["file"]) for item in found] == [b"abc", b"def"]


@pytest.mark.parametrize("path", ["/booth/sum", "/booth/sum_async"])
def test_a_client_stream(url: str, path: str) -> None:
    with opened(url, path) as ready:
        for number in range(1000):
            ready.send(str(number))
        ready.send('{"end":true}')
        assert items(ready)[1:] == [499500]


@pytest.mark.parametrize("path", ["/booth/echo", "/booth/echo_async", "/booth/echo_delegated"])
def test_both_ways_an_item_comes_back_before_the_next_message(url: str, path: str) -> None:
    with opened(url, path) as ready:
        assert read(ready)["received"] == 0
        for word in WORDS:
            ready.send(json.dumps(word))
            while (frame := read(ready)) != word.upper():
                assert {*frame} == {"received"}
        ready.send('{"end": true}')
        assert items(ready) == []


def test_received_tells_how_many_have_come(url: str) -> None:
    with opened(url, "/booth/echo") as ready:
        for word in WORDS:
            ready.send(json.dumps(word))
        while read(ready) != {"received": len(WORDS)}:
            pass


def test_a_method_that_ends_before_its_client(url: str) -> None:
    with opened(url, "/booth/first") as ready:
        with suppress(ConnectionClosed):  # it may end before it has been sent them all
            for number in range(3):
                ready.send(str(number))
        assert items(ready)[1:] == [0]


def test_ten_thousand_items(url: str, name: str) -> None:
    with opened(url, "/loom/weave") as ready:
        ready.send(order(name=name, count=10_000))
        assert items(ready)[1:] == [f"{number}:ünï\n" for number in range(1, 10_001)]


# Cuts


@pytest.mark.parametrize("after", range(8))
def test_a_stream_that_is_cut_goes_on_where_it_was(url: str, key: str, after: int) -> None:
    name, found = uuid4().hex, []
    with opened(url, "/loom/weave", {"key": key}) as ready:
        ready.send(order(name=name, count=7))
        assert read(ready) == {"call": key, "received": 0}
        for _ in range(after):
            found.append(read(ready))
        cut(ready)
    with opened(url, "/loom/weave", {"key": key, "after": len(found)}) as ready:
        if after % 2:  # the message again is not needed, and does not harm
            with suppress(ConnectionClosed):  # it may have ended already
                ready.send(order(name=name, count=7))
        assert read(ready) == {"call": key, "received": 0}
        found += items(ready)
    assert found == [f"{number}:ünï\n" for number in range(1, 8)]
    assert loom.RAN[name] == 1


@pytest.mark.parametrize("after", range(len(WORDS) + 1))
def test_both_ways_a_cut_loses_and_doubles_nothing(url: str, key: str, after: int) -> None:
    found: list[str] = []

    def keep(frame: Any) -> None:
        if isinstance(frame, str):
            found.append(frame)

    with opened(url, "/booth/echo", {"key": key}) as ready:
        assert read(ready)["received"] == 0
        for word in WORDS[: after + 3]:
            ready.send(json.dumps(word))
        while len(found) < after:
            keep(read(ready))
        cut(ready)
    with opened(url, "/booth/echo", {"key": key, "after": len(found)}) as ready:
        had = read(ready)["received"]
        assert after <= had <= after + 3
        for word in WORDS[had:]:
            ready.send(json.dumps(word))
        ready.send('{"end": true}')
        found += [frame for frame in items(ready) if isinstance(frame, str)]
    assert found == [word.upper() for word in WORDS]


@pytest.mark.parametrize("seed", range(3))
def test_both_ways_many_cuts_anywhere(url: str, key: str, seed: int) -> None:
    chance, words = random.Random(seed), [f"{number}:" + "x" * 700 for number in range(400)]
    found: list[str] = []
    cuts = 0
    while True:
        with opened(url, "/booth/echo_async", {"key": key, "after": len(found)}) as ready:
            had = read(ready)["received"]
            sender = threading.Thread(target=_send_all, args=(ready, words[had:]))
            sender.start()
            left = chance.randrange(80) if cuts < 30 else -1
            ended = False
            with suppress(ConnectionClosed):
                while left != 0 and not ended:
                    frame = read(ready)
                    if isinstance(frame, str):
                        found.append(frame)
                        left -= 1
                    ended = frame == {"end": True}
            cut(ready)
            sender.join(20)
            assert not sender.is_alive()
        if ended:
            break
        cuts += 1
    assert found == [word.upper() for word in words]
    assert cuts > 5


def _send_all(ready: Any, words: list[str]) -> None:
    with suppress(ConnectionClosed):
        for word in words:
            ready.send(json.dumps(word))
        ready.send('{"end":true}')


def test_a_newer_socket_takes_the_messages_of_a_call(url: str, key: str) -> None:
    with opened(url, "/booth/echo", {"key": key}) as older:
        older.send('"a"')
        while read(older) != "A":
            pass
        with opened(url, "/booth/echo", {"key": key, "after": 1}) as newer:
            assert read(newer)["received"] == 1
            assert code(older) == 1008
            newer.send('"b"')
            newer.send('{"end":true}')
            assert [frame for frame in items(newer) if isinstance(frame, str)] == ["B"]


def test_without_a_key_a_call_ends_with_its_socket(url: str, name: str) -> None:
    loom.gate(name)
    with opened(url, "/loom/weave") as ready:
        ready.send(order(name=name, count=7, hold_at=3))
        for _ in range(3):
            read(ready)
        cut(ready)
    wait_until(lambda: loom.LEFT[name], "the call is cancelled")
    assert loom.ENDED[name] == 0


def test_an_expired_key_does_not_run_again(url: str, key: str, name: str) -> None:
    with opened(url, "/loom/weave", {"key": key, "after": 5}) as ready:
        ready.send(order(name=name, count=7))
        assert failure(ready)["type"] == "ItemsGone"
    assert loom.RAN[name] == 0


def test_a_key_is_of_one_message_and_one_method(url: str, key: str, name: str) -> None:
    with opened(url, "/loom/weave", {"key": key}) as ready:
        ready.send(order(name=name, count=2))
        items(ready)
    loom.gate(name)
    other = uuid4().hex
    with opened(url, "/loom/weave", {"key": other}) as ready:
        ready.send(order(name=name, count=2, hold_at=1))
        read(ready)
        with opened(url, "/loom/weave", {"key": other}) as again:
            again.send(order(name=name, count=3))
            assert failure(again)["type"] == "KeyReused"
    with opened(url, "/post/ticks", {"key": key}) as ready:
        assert failure(ready)["type"] == "KeyReused"


def test_cancel_stops_the_call(url: str, key: str, name: str) -> None:
    loom.gate(name)
    with opened(url, "/loom/weave", {"key": key}) as ready:
        ready.send(order(name=name, count=7, hold_at=3))
        assert [read(ready) for _ in range(3)][-1] == "2:ünï\n"
        ready.send('{"cancel": true}')
        assert failure(ready)["type"] == "Cancelled"
    wait_until(lambda: loom.LEFT[name], "the call is cancelled")


def test_supersede(url: str, name: str) -> None:
    loom.gate(name)
    query = {"supersede": f"{uuid4().hex}/search"}
    with opened(url, "/loom/weave", query) as older:
        older.send(order(name=name, count=7, hold_at=3))
        for _ in range(3):
            read(older)
        with opened(url, "/loom/weave", query) as newer:
            newer.send(order(count=2))
            assert failure(older)["type"] == "Superseded"
            assert len(items(newer)) == 3


def test_a_deadline(url: str, name: str) -> None:
    loom.gate(name)
    with opened(url, "/loom/weave", {"timeout": 0.2}) as ready:
        ready.send(order(name=name, count=7, hold_at=3))
        assert failure(ready)["type"] == "DeadlineExceeded"


# Errors


@pytest.mark.parametrize(
    ("path", "message", "error"),
    [
        ("/loom/weave", "{", "MalformedRequest"),
        ("/loom/weave", '{"count":1,"count":2}', "MalformedRequest"),
        ("/loom/weave", '{"count":"many"}', "InvalidRequest"),
        ("/loom/weave", '{"name":"' + "x" * 50_000 + '"}', "PayloadTooLarge"),
        ("/loom/weave", b"binary", "UnsupportedMedia"),
        ("/loom/weave", '{"end":true}', "MalformedRequest"),
        ("/loom/weave", '{"cancel":true}', "Cancelled"),
        ("/loom/weave", '{"fail_at":2}', "Torn"),
        ("/post/boom", "3", "Internal"),
        ("/booth/sum", '"three"', "InvalidRequest"),
        ("/booth/echo", "[", "MalformedRequest"),
        ("/booth/echo", b"binary", "UnsupportedMedia"),
        ("/booth/tire", "-1", "Tired"),
        ("/booth/tire_async", "-1", "Tired"),
    ],
)
def test_a_call_ends_with_its_problem(url: str, path: str, message: Any, error: str) -> None:
    with opened(url, path) as ready:
        ready.send(message)
        assert failure(ready)["type"] == error


def test_a_wrong_message_fails_the_call_where_it_comes_to_it(url: str) -> None:
    with opened(url, "/booth/echo") as ready:
        ready.send('"a"')
        ready.send("1")
        frames = [frame for frame in rest(ready) if {*frame} != {"received"}]
    assert [frame for frame in frames if isinstance(frame, str)] == ["A"]
    assert frames[-1]["error"]["errors"][0]["path"] == "words"


def test_a_second_message(url: str, name: str) -> None:
    loom.gate(name)
    with opened(url, "/loom/weave") as ready:
        ready.send(order(name=name, count=7, hold_at=3))
        ready.send(order(name=name))
        assert failure(ready)["type"] == "MalformedRequest"


@pytest.mark.parametrize("path", ["/loom/weave", "/booth/echo"])
def test_a_frame_over_every_bound(url: str, path: str) -> None:
    with opened(url, path) as ready:
        with suppress(ConnectionClosed):
            ready.send(b"x" * 200_001)
        assert code(ready) in (1009, None)  # a reset may swallow what was said before it
    with opened(url, path) as ready:
        with suppress(ConnectionClosed):
            ready.send("" for _ in range(2000))
        assert code(ready) in (1008, None)


@pytest.mark.parametrize(
    ("path", "query", "options", "error"),
    [
        ("/nowhere", {}, {}, (404, "RouteNotFound")),
        ("/loom/hold", {}, {}, (405, "MethodNotAllowed")),  # one answer: by POST, or over /calls
        ("/docs", {}, {}, (404, "RouteNotFound")),
        ("/loom/weave", {"key": "weak"}, {}, (400, "MalformedRequest")),
        ("/loom/weave", {"supersede": "search"}, {}, (400, "MalformedRequest")),
        ("/loom/weave", {"after": "-1"}, {}, (400, "MalformedRequest")),
        ("/loom/weave", {"timeout": "soon"}, {}, (400, "MalformedRequest")),
        ("/loom/weave", {}, {"origin": "http://evil.example"}, (403, "ForeignOrigin")),
        ("/loom/weave", {}, {"origin": "null"}, (403, "ForeignOrigin")),
        ("/calls", {}, {"origin": "http://evil.example"}, (403, "ForeignOrigin")),
    ],
)
def test_what_is_refused_before_the_upgrade(
    url: str, path: str, query: Any, options: Any, error: tuple[int, str]
) -> None:
    status, problem = refused(url, path, query, **options)
    assert (status, problem["type"]) == error


def test_the_own_origin_and_those_of_the_settings_may_connect(url: str) -> None:
    for origin in (url, url.replace("http", "https")):
        with opened(url, "/post/ticks", origin=origin) as ready:
            assert len(items(ready)) == 4
    with TestClient(Post, cors=("https://app.example",)) as other:
        with opened(other.url, "/post/ticks", origin="https://app.example") as ready:
            assert len(items(ready)) == 4
        assert refused(other.url, "/post/ticks", origin="https://b.example")[0] == 403


def test_http_to_a_method_that_takes_a_stream(url: str, client: TestClient) -> None:
    import httpx2

    for verb in ("GET", "POST"):
        answer = httpx2.request(verb, f"{url}/booth/echo", trust_env=False, json="a")
        assert (answer.status_code, answer.json()["type"]) == (426, "UpgradeRequired")
        assert answer.headers["upgrade"] == "websocket"
        assert "upgrade" in answer.headers["connection"].lower()  # RFC 9110, 7.8


def _authenticate(who: Credentials) -> Principal:
    if who.bearer in ("ann", "bob"):
        return Principal(who.bearer)
    raise Unauthenticated


def test_who_connects() -> None:
    with TestClient(App(loom.Loom, booth.Booth, workers=0, authenticate=_authenticate)) as server:
        url = server.url
        for path in ("/booth/whose_stream", "/calls"):
            assert refused(url, path)[1]["type"] == "Unauthenticated"
            assert refused(url, path, subprotocols=["mothlight.bearer.eve"])[0] == 401
        offered: Any = ["mothlight.v1", "mothlight.bearer.ann"]
        with opened(url, "/booth/whose_stream", {"key": "short"}, subprotocols=offered) as ready:
            assert ready.subprotocol == "mothlight.v1"
            assert read(ready) == {"call": "short", "received": 0}
            ready.send("1")
            while (frame := read(ready)) != "ann":
                assert {*frame} == {"received"}
            bearer = {"authorization": "Bearer bob"}
            with opened(
                url, "/booth/whose_stream", {"key": "short"}, additional_headers=bearer
            ) as other:  # the same key of another principal is another call
                other.send("1")
                other.send('{"end":true}')
                assert "bob" in items(other)


# Room


def test_who_reads_slowly_slows_the_method(url: str, name: str) -> None:
    with opened(
        url, "/loom/weave", sock=sockets.small(url), max_queue=1, compression=None
    ) as ready:
        ready.send(order(name=name, count=2000, width=50_000))
        wait_until(lambda: _rests(name), "the method waits")
        assert loom.MADE[name] < 400, "100 MB were to be made, and about 20 are"
        assert len(items(ready)) == 2001
    assert loom.MADE[name] == 2000


def _rests(name: str) -> bool:
    made, until = loom.MADE[name], time.monotonic() + 0.4
    while time.monotonic() < until:
        if loom.MADE[name] != made:
            return False
        time.sleep(0.01)
    return made > 0


def test_who_reads_nothing_is_dropped(name: str) -> None:
    with (
        TestClient(loom.Loom, send_timeout=0.5) as server,
        opened(
            server.url,
            "/loom/weave",
            sock=sockets.small(server.url),
            max_queue=1,
            close_timeout=0.1,
        ) as ready,
    ):
        ready.send(order(name=name, count=2000, width=50_000))
        wait_until(lambda: loom.LEFT[name], "the call is cancelled")
        assert loom.ENDED[name] == 0


def test_who_sends_fast_is_slowed(url: str) -> None:
    sockets.TAKEN.clear()
    sockets.GATE.clear()
    with opened(url, "/post/slowly", sock=sockets.small(url), close_timeout=1) as ready:
        ready.socket.settimeout(1.0)
        line, sent = json.dumps("x" * 40_000), 0
        with suppress(TimeoutError, ConnectionClosed):
            while sent < 2000:  # 80 MB
                ready.send(line)
                sent += 1
        assert 1 < sent < 600, "it waits for the method, which has taken one"
    sockets.GATE.set()


def test_many_small_messages_are_taken(url: str) -> None:
    with opened(url, "/post/count") as ready:
        for _ in range(20_000):
            ready.send('"x"')
        ready.send('{"end":true}')
        assert 20_000 in items(ready)


def test_keys_and_tokens_stand_in_no_log(
    url: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level("DEBUG"),
        opened(url, "/post/ticks", {"key": key}, subprotocols=["mothlight.bearer.t0ken"]) as ready,  # type: ignore[list-item]
    ):
        items(ready)
    ours = [r.getMessage() for r in caplog.records if not r.name.startswith("websockets.client")]
    assert not [line for line in ours if key in line or "t0ken" in line]
