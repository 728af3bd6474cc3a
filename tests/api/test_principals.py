"""Principals: a stranger can neither read, resume, cancel, supersede nor learn of a call, over
whatever way he asks. On real servers: one with API keys, one with an asynchronous hook."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from live import Live, request, wait_until
from mothlight.keys import create, revoke
from services.users import TOKENS

VAULT = Path(__file__).parent.parent / "services" / "vault.py"

STATUS = "application/vnd.mothlight.call+json"

UNARY, STREAM, FAILED, HELD = "a-unary1", "a-stream", "a-failed", "a-held-1"
UNKNOWN = "nobodys1"  # as long as those, so that lengths are equal

Headers = dict[str, str]


class Door:
    """A server, and what its callers say of themselves."""

    def __init__(self, server: Live, tokens: dict[str, str]) -> None:
        self.server, self.tokens = server, tokens

    def headers(self, name: str, **more: str) -> Headers:
        token = self.tokens.get(name, name)
        given = {"authorization": f"Bearer {token}"} if token else {}
        return given | {k.replace("_", "-"): v for k, v in more.items()}

    def ask(
        self, name: str, verb: str, path: str, body: Any = None, **headers: str
    ) -> httpx2.Response:
        headers.setdefault("accept", "text/event-stream, */*;q=0.5")
        with self.server.client() as client:
            return client.request(verb, path, json=body, headers=self.headers(name, **headers))

    def raw(self, name: str, verb: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """The whole response as it stands on the wire, but for its date."""
        with self.server.connect() as connection:
            given = self.headers(name, connection="close", **headers)
            connection.send(request(verb, path, body, **given))
            data = b""
            while piece := connection.read():
                data += piece
        lines = data.split(b"\r\n")
        return b"\r\n".join(line for line in lines if not line.startswith(b"date:"))

    def socket(self, name: str, path: str) -> ClientConnection:
        return connect(
            f"ws://127.0.0.1:{self.server.port}{path}",
            additional_headers=self.headers(name),
            subprotocols=["mothlight.v1"],  # type: ignore[list-item]
            proxy=None,
            open_timeout=20,
        )


@pytest.fixture(scope="module", params=["API keys", "an async hook"])
def door(
    request: pytest.FixtureRequest,
    serve_all: Callable[..., Live],
    tmp_path_factory: pytest.TempPathFactory,
) -> Door:
    if request.param == "an async hook":
        return Door(serve_all(f"{VAULT}:hooked_async", max_log_items=200), TOKENS)
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    tokens = {name: create(path, name)[0] for name in ("alice", "bob")}
    return Door(serve_all(f"{VAULT}:app", max_log_items=200, keys=path), tokens)


@pytest.fixture(scope="module")
def mark(door: Door, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Alice's calls: one that is done, a stream, one that failed, and one that does not end, for
    nobody reads its items."""
    mark = tmp_path_factory.mktemp("marks") / "held"
    order = {"path": str(mark.with_name("count")), "count": 20}
    done = door.ask("alice", "POST", "/trade/echo", "hello", idempotency_key=UNARY)
    assert (done.status_code, done.json()) == (200, "hello")
    stream = door.ask("alice", "POST", "/trade/count", order, idempotency_key=STREAM)
    assert stream.text.count("data:") == 21
    failed = door.ask("alice", "POST", "/noisy/fail", 1, idempotency_key=FAILED)
    assert failed.status_code == 500
    held = door.ask(
        "alice", "POST", "/trade/count", {"path": str(mark)},
        idempotency_key=HELD, supersede_key="box", prefer="respond-async",
    )  # fmt: skip
    assert held.status_code == 202
    wait_until(Path(f"{mark}.made").exists, "the call runs")
    return mark


def assert_untouched(door: Door) -> None:
    """Alice's calls are as they were."""
    assert door.ask("alice", "GET", f"/calls/{UNARY}").json() == "hello"
    stream = door.ask("alice", "GET", f"/calls/{STREAM}", last_event_id="17")
    assert [line for line in stream.text.splitlines() if line.startswith("id:")] == [
        "id: 18", "id: 19", "id: 20",
    ]  # fmt: skip
    assert door.ask("alice", "GET", f"/calls/{FAILED}").status_code == 500
    held = door.ask("alice", "GET", f"/calls/{HELD}", accept=STATUS)
    assert held.json()["state"] == "running"


WAYS: dict[str, tuple[str, Headers]] = {
    "read": ("GET", {}),
    "its status": ("GET", {"accept": STATUS}),
    "its status as JSON": ("GET", {"accept": "application/json"}),
    "resume": ("GET", {"accept": "text/event-stream", "last_event_id": "3"}),
    "resume its lines": ("GET", {"accept": "application/x-ndjson", "last_event_id": "3"}),
    "wait": ("GET", {"prefer": "wait=1"}),
    "look": ("HEAD", {}),
    "cancel": ("DELETE", {}),
    "change": ("PUT", {}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("stranger", ["bob", "", "wrong", f"moth_00000000_{'A' * 43}"])
def test_a_strangers_id_is_as_one_that_nobody_has(
    door: Door, mark: Path, stranger: str, way: str
) -> None:
    verb, headers = WAYS[way]
    expected = door.raw(stranger, verb, f"/calls/{UNKNOWN}", **headers)
    status = 401 if stranger != "bob" else 405 if verb == "PUT" else 404
    assert expected.startswith(b"HTTP/1.1 %d" % status)
    for id in (UNARY, STREAM, FAILED, HELD):
        answer = door.raw(stranger, verb, f"/calls/{id}", **headers)
        assert answer.replace(id.encode(), UNKNOWN.encode()) == expected
    assert_untouched(door)


def test_who_has_no_key_learns_nothing_by_sending_a_known_one(door: Door, mark: Path) -> None:
    for path in ("/trade/echo", "/trade/count", "/noisy/say"):
        answers = {
            door.raw("", "POST", path, b"{", idempotency_key=id, **more)
            for id in (UNARY, STREAM, UNKNOWN)
            for more in ({}, {"prefer": "respond-async"}, {"last_event_id": "3"})
        }
        (answer,) = answers
        assert answer.startswith(b"HTTP/1.1 401"), "and not 400: the body is not looked at"
        assert b"\r\nwww-authenticate: Bearer\r\n" in answer


def test_a_stream_cannot_be_resumed_by_its_key(door: Door, mark: Path) -> None:
    order = json.dumps({"path": str(mark.with_name("count")), "count": 20}).encode()
    for form in ("text/event-stream", "application/x-ndjson"):
        headers = {"accept": form, "last_event_id": "3"}
        expected = door.raw(
            "bob", "POST", "/trade/count", order, idempotency_key=UNKNOWN, **headers
        )
        answer = door.raw("bob", "POST", "/trade/count", order, idempotency_key=STREAM, **headers)
        assert answer.replace(STREAM.encode(), UNKNOWN.encode()) == expected
        assert expected.startswith(b"HTTP/1.1 400") and b"ItemsGone" in expected
    assert_untouched(door)


@pytest.mark.parametrize("way", ["at once", "a moment later", "in the background"])
def test_the_same_key_of_two_principals_is_two_calls(door: Door, mark: Path, way: str) -> None:
    key = f"shared {way}".replace(" ", "-")
    prefer = {
        "at once": {},
        "a moment later": {"prefer": "wait=5"},  # not by the short way
        "in the background": {"prefer": "respond-async, wait=5"},
    }[way]
    for _ in range(2):  # the second time from memory
        for name in ("alice", "bob"):
            said = door.ask(name, "POST", "/trade/echo", name, idempotency_key=key, **prefer)
            assert (said.status_code, said.json()) == (200, name)
            assert said.headers["call-id"] == key
            assert door.ask(name, "GET", f"/calls/{key}").json() == name
    assert door.ask("bob", "DELETE", f"/calls/{key}").status_code == 204
    reused = door.ask("alice", "POST", "/trade/echo", "other", idempotency_key=key)
    assert (reused.status_code, reused.json()["type"]) == (422, "KeyReused")


def test_the_same_key_of_two_principals_is_two_streams(door: Door, mark: Path) -> None:
    for count, name in enumerate(("alice", "bob"), 2):
        order = {"path": str(mark.with_name(f"of-{name}")), "count": count}
        for _ in range(2):
            said = door.ask(name, "POST", "/trade/count", order, idempotency_key="shared")
            assert said.text.count("data:") == count + 1
        state = door.ask(name, "GET", "/calls/shared", accept=STATUS)
        assert state.json()["items"] == count


def test_a_stranger_supersedes_nothing(door: Door, mark: Path) -> None:
    for prefer in ("wait=5", "respond-async, wait=5"):
        said = door.ask("bob", "POST", "/trade/echo", "x", supersede_key="box", prefer=prefer)
        assert said.status_code == 200
    order = {"path": str(mark.with_name("superseding")), "count": 2}
    said = door.ask("bob", "POST", "/trade/count", order, supersede_key="box")
    assert said.status_code == 200
    assert_untouched(door)


def test_their_own_callers_supersede_and_stop_them(door: Door, mark: Path) -> None:
    def state(name: str) -> str:
        found: str = door.ask(name, "GET", "/calls/own-1", accept=STATUS).json()["state"]
        return found

    for name in ("alice", "bob"):
        order = {"path": str(mark.with_name(f"own-{name}"))}
        terms = {"idempotency_key": "own-1", "supersede_key": "own", "prefer": "respond-async"}
        assert door.ask(name, "POST", "/trade/count", order, **terms).status_code == 202
    assert door.ask("alice", "POST", "/trade/echo", "x", supersede_key="own").status_code == 200
    assert (state("alice"), state("bob")) == ("cancelled", "running")
    assert door.ask("bob", "DELETE", "/calls/own-1").status_code == 204
    assert state("bob") == "cancelled"


def _talk(socket: ClientConnection, *frames: dict[str, Any]) -> list[str | bytes]:
    """What is said until the server closes, or has answered the last frame."""
    for frame in frames:
        socket.send(json.dumps(frame))
    said = []
    for message in socket:
        said.append(message)
    return said


def test_a_stream_cannot_be_resumed_over_a_socket(door: Door, mark: Path) -> None:
    order = {"path": str(mark.with_name("count")), "count": 20}
    heard = {}
    for id in (STREAM, UNKNOWN):
        with door.socket("bob", f"/trade/count?key={id}&after=3") as socket:
            heard[id] = [str(said).replace(id, "ID") for said in _talk(socket, order)]
    assert heard[STREAM] == heard[UNKNOWN]
    assert "ItemsGone" in heard[STREAM][-1]
    with door.socket("alice", f"/trade/count?key={STREAM}&after=17") as socket:
        assert _talk(socket)[1:] == ["17", "18", "19", '{"end":true}']
    assert_untouched(door)


def test_the_same_key_of_two_principals_is_two_streams_over_sockets(door: Door, mark: Path) -> None:
    for count, name in enumerate(("alice", "bob"), 2):
        order = {"path": str(mark.with_name(f"socket-{name}")), "count": count}
        path = "/trade/count?key=by-socket" + ("&supersede=box" if name == "bob" else "")
        with door.socket(name, path) as socket:
            assert len(_talk(socket, order)) == count + 2
        if name == "bob":
            assert door.ask("alice", "GET", "/calls/by-socket", accept=STATUS).json()["items"] == 2
    assert_untouched(door)


def test_a_stranger_finds_no_call_through_the_multiplex(door: Door, mark: Path) -> None:
    heard = {}
    for id in (UNARY, STREAM, FAILED, HELD, UNKNOWN):
        with door.socket("bob", "/calls") as socket:
            for after in (0, 3):
                socket.send(json.dumps({"open": 7, "key": id, "after": after}))
                heard.setdefault(id, []).append(str(socket.recv(timeout=20)).replace(id, "ID"))
            path = {"open": 8, "path": "/trade/count", "key": id, "after": 3, "supersede": "box"}
            order = {"path": str(mark.with_name("count")), "count": 20}
            socket.send(json.dumps({**path, "message": order}))
            said = ""
            while not said.startswith(('{"failed"', '{"ended"')):
                said = str(socket.recv(timeout=20))
                heard[id].append(said.replace(id, "ID"))
    assert all(said == heard[UNKNOWN] for said in heard.values()), heard
    assert "CallNotFound" in heard[UNKNOWN][0] and "ItemsGone" in heard[UNKNOWN][-1]
    with door.socket("alice", "/calls") as socket:
        socket.send(json.dumps({"open": 1, "key": STREAM, "after": 19}))
        assert json.loads(socket.recv(timeout=20)) == {"opened": 1, "id": STREAM}
        assert json.loads(socket.recv(timeout=20)) == {"item": 1, "n": 20, "value": 19}
    assert_untouched(door)


@pytest.mark.parametrize("path", ["/trade/count", f"/trade/count?key={STREAM}", "/calls"])
def test_who_has_no_key_gets_no_socket(door: Door, mark: Path, path: str) -> None:
    for name in ("", "wrong"):
        with pytest.raises(InvalidStatus) as caught:
            door.socket(name, path)
        answer = caught.value.response
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_browser_sends_its_key_as_a_subprotocol(door: Door, mark: Path) -> None:
    order = json.dumps({"path": str(mark.with_name("browser")), "count": 2})
    for name, known in (("alice", True), ("wrong", False)):
        token = door.tokens.get(name, name)
        offered: Any = ["mothlight.v1", f"mothlight.bearer.{token}"]
        url = f"ws://127.0.0.1:{door.server.port}/trade/count"
        if not known:
            with pytest.raises(InvalidStatus):
                connect(url, subprotocols=offered, proxy=None)
            continue
        with connect(url, subprotocols=offered, proxy=None) as socket:
            assert socket.subprotocol == "mothlight.v1", "the token is not sent back"
            socket.send(order)
            assert list(socket)[-1] == '{"end":true}'


# A large body


@pytest.mark.parametrize("how", ["a length", "chunks", "a question first"])
def test_who_may_not_call_is_told_before_he_has_sent_his_file(door: Door, how: str) -> None:
    head = {
        "a length": "content-length: 20000000",
        "chunks": "transfer-encoding: chunked",
        "a question first": "content-length: 20000000\r\nexpect: 100-continue",
    }[how]
    with door.server.connect() as connection:
        connection.send(
            b"POST /trade/echo HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
            b"authorization: Bearer wrong\r\n%s\r\n\r\n" % head.encode()
        )
        if how == "chunks":
            connection.send(b"5\r\n[1234\r\n")
        elif how == "a length":
            connection.send(b"[" + b" " * 100_000)
        answer = connection.answer()
        assert answer and answer.complete and answer.problem()["type"] == "Unauthenticated"
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["connection"] == "close"
        assert connection.closed(), "what follows cannot be taken for a request"


def test_a_small_refused_call_keeps_its_connection(door: Door) -> None:
    with door.server.connect() as connection:
        for name, status in (("wrong", 401), ("alice", 200), ("", 401), ("bob", 200)):
            connection.send(request("POST", "/trade/echo", b'"x"', **door.headers(name)))
            answer = connection.answer()
            assert answer and answer.status == status, (name, answer)


# Keys


def test_a_key_counts_while_it_is_in_the_file(serve: Callable[..., Live], tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    first = create(path, "alice")[0]
    door = Door(serve(f"{VAULT}:app", keys=path), {"alice": first})
    assert door.ask("alice", "POST", "/trade/echo", "x").status_code == 200
    door.tokens["bob"] = create(path, "bob", rate=0.01)[0]
    wait_until(
        lambda: door.ask("bob", "POST", "/trade/echo", "x").status_code == 200, "it is seen", 3
    )
    over = door.ask("bob", "POST", "/trade/echo", "x")
    assert (over.status_code, over.json()["code"]) == (429, "resource_exhausted")
    assert 0 < int(over.headers["retry-after"]) <= 100
    stream = door.ask("bob", "POST", "/trade/count", {"path": str(tmp_path / "x"), "count": 1})
    assert stream.status_code == 429
    assert door.server.metric("mothlight_refused_total", reason="rate") == 2
    for _ in range(5):  # another's quota is another's
        assert door.ask("alice", "POST", "/trade/echo", "x").status_code == 200
    revoke(path, "alice")
    wait_until(
        lambda: door.ask("alice", "POST", "/trade/echo", "x").status_code == 401, "it is gone", 3
    )


def test_a_server_without_its_file_of_keys_does_not_start(tmp_path: Path) -> None:
    server = Live(f"{VAULT}:app", tmp_path / "log", keys=tmp_path / "none.toml")
    try:
        assert server.process.wait(60) != 0
        assert "there is no file of API keys" in server.text()
        assert "mothlight keys new NAME" in server.text()
        assert "Traceback" not in server.text()
    finally:
        server.stop()
