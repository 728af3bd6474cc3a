"""Keys, tokens and ids that are secrets never stand in a log: a real server with everything on that
writes, asked for everything, broken in every way; then its whole output is searched."""

from __future__ import annotations

import json
import signal
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx2
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from live import Live, request, wait_until
from mothlight.keys import create, read
from services.users import TOKENS

VAULT = Path(__file__).parent.parent / "services" / "vault.py"


class Secrets:
    """What a test has told a server; ``ids`` are of calls that it must have told its log of."""

    def __init__(self) -> None:
        self.all: set[str] = set()
        self.ids: list[str] = []

    def key(self) -> str:
        """A new idempotency key."""
        self.ids.append(token_hex(16))
        self.all.add(self.ids[-1])
        return self.ids[-1]

    def other(self) -> str:
        """A new secret that names nothing."""
        self.all.add(found := token_hex(16))
        return found


def ask_everything(server: Live, token: str, secrets: Secrets, folder: Path) -> None:
    """Calls that end well and badly, over every way, and requests that are none."""
    login = {"authorization": f"Bearer {token}"} if token else {}
    order = {"path": str(folder / "count"), "count": 5}
    posts: list[tuple[str, Any]] = [
        ("/trade/echo", "hello"),
        ("/trade/echo", "no"),  # a declared error
        ("/trade/echo", 5),  # not the message
        ("/trade/count", order),
        ("/trade/stumble", "exit"),
        ("/noisy/say", "hello"),
        ("/noisy/fail", 1),  # the model's log has it
        ("/trade/stumble", "undeclared"),
        ("/trade/die", 9),  # the worker's end is logged
        ("/no/such/path", 1),
    ]
    with server.client(headers=login) as client:
        for path, body in posts:
            is_fatal = path == "/trade/die" or body == "exit"
            for prefer in ("",) if is_fatal else ("wait=9", "respond-async, wait=9", ""):
                key, box = secrets.key(), secrets.other()
                headers = {"idempotency-key": key, "supersede-key": box, "prefer": prefer}
                with suppress(httpx2.TransportError):  # a form that ends so when it fails
                    client.post(path, json=body, headers=headers)
                with suppress(httpx2.TransportError):
                    client.get(f"/calls/{key}")
                    client.post(path, json=[body], headers=headers)
                client.delete(f"/calls/{key}", headers={"prefer": "wait=1"})
                client.put(f"/calls/{key}", content=key)
                client.get(f"/calls/{key}/{key}?key={key}")
                if is_fatal:
                    wait_until(server._is_ready, "a new worker", 30)
        # Who calls is not known, or says it wrong.
        for wrong in (f"moth_01234567_{secrets.other()[:43]}", secrets.other()):
            for scheme in ("Bearer", "Basic", "Own"):
                bad = {"authorization": f"{scheme} {wrong}", "x-api-key": secrets.other()}
                bad |= {"cookie": f"session={secrets.other()}", "idempotency-key": secrets.other()}
                client.post("/trade/echo", json="x", headers=bad)
                client.get(f"/calls/{secrets.other()}", headers=bad)
    _ask_badly(server, token, secrets)
    _ask_over_sockets(server, token, secrets, order)


def _ask_badly(server: Live, token: str, secrets: Secrets) -> None:
    said = f"authorization: Bearer {token}\r\nidempotency-key: {secrets.other()}\r\n".encode()
    for head in (
        b"POST /trade/echo HTTP/1.1\r\nhost: a\r\n%sa bad header\r\n\r\n" % said,
        b"POST /trade/echo HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n%s\r\n" % said,
        b"POST /trade/echo HTTP/1.1\r\nhost: a\r\n%scontent-length: 90000000\r\n\r\n[" % said,
        b"POST /trade/echo HTTP/1.1\r\nhost: a\r\n%sprefer: %s\r\n\r\n" % (said, b"x" * 70_000),
        b"%s\r\n" % said,
    ):
        server.send(head)
    with server.connect() as connection:  # a client that leaves
        connection.send(b"POST /trade/echo HTTP/1.1\r\nhost: a\r\n%scontent-length: 9\r\n" % said)
    for name in ("idempotency_key", "supersede_key"):
        bad = {name: f"{secrets.other()} {secrets.other()}"}
        given = {"authorization": f"Bearer {token}"} if token else {}
        server.send(request("POST", "/trade/echo", b'"x"', **bad, **given))


def _ask_over_sockets(server: Live, token: str, secrets: Secrets, order: dict[str, Any]) -> None:
    url = f"ws://127.0.0.1:{server.port}"
    login: Any = [f"mothlight.bearer.{token}"] if token else []
    for path, message in (("/trade/count", order), ("/trade/stumble", "no"), ("/trade/count", 5)):
        query = f"?key={secrets.key()}&supersede={secrets.other()}"
        with connect(url + path + query, subprotocols=["mothlight.v1", *login], proxy=None) as one:
            one.send(json.dumps(message))
            assert list(one)
    wrong: Any = ["mothlight.v1", f"mothlight.bearer.{secrets.other()}"]
    for options in ({"subprotocols": wrong}, {"origin": "https://elsewhere.example"}):
        query = f"?key={secrets.other()}"
        with suppress(InvalidStatus), connect(f"{url}/trade/count{query}", proxy=None, **options):
            pass
    for ending in ('{"open": 1, "key": "%s"', '{"open": 3, "unknown": "%s"}', "%s"):
        with connect(f"{url}/calls", subprotocols=["mothlight.v1", *login], proxy=None) as many:
            for number, (path, message) in enumerate((("/trade/count", order), ("/trade/echo", 1))):
                frame = {"open": number, "path": path, "message": message, "key": secrets.key()}
                many.send(json.dumps({**frame, "supersede": secrets.other()}))
            many.send(json.dumps({"open": 9, "key": secrets.other(), "after": 3}))
            for _ in range(4):
                many.recv(timeout=20)
            many.send(ending % secrets.other())
            with suppress(Exception):
                while True:
                    many.recv(timeout=20)


@contextmanager
def served(
    serve: Callable[..., Live], name: str, form: str, level: str, **options: Any
) -> Iterator[Live]:
    """A server that writes all that it can, which is told to stop while a call runs."""
    server = serve(
        f"{VAULT}:{name}",
        environment={"MOTHLIGHT_ACCESS_LOG": "true", "MOTHLIGHT_LOG": form},
        trace="console", log_level=level, drain=1, **options,
    )  # fmt: skip
    yield server
    assert server.stop() in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "form", "level"),
    [
        ("app", "text", "debug"),
        ("app", "json", "info"),
        ("hooked", "text", "info"),
        ("hooked_async", "json", "debug"),
        ("nobody is asked", "json", "debug"),
    ],
)
def test_no_secret_stands_in_the_log(
    serve: Callable[..., Live], tmp_path: Path, name: str, form: str, level: str
) -> None:
    secrets, options, token = Secrets(), {}, ""
    if name == "app":
        path = tmp_path / "keys.toml"
        token = create(path, "alice")[0]
        secrets.all |= {token, token[14:], read(path)[0].hash}
        options["keys"] = path
    elif name != "nobody is asked":
        token = TOKENS["alice"]
        secrets.all.add(token)
    target = "app" if name == "nobody is asked" else name
    with served(serve, target, form, level, **options) as server:
        ask_everything(server, token, secrets, tmp_path)
        with server.client() as client:  # a call that the server's stop ends
            held = {"authorization": f"Bearer {token}", "prefer": "respond-async"}
            mark = tmp_path / "held"
            headers = {**held, "idempotency-key": secrets.key()}
            if token:
                assert client.post("/trade/hold", json=str(mark), headers=headers).is_success
                wait_until(Path(f"{mark}.began").exists, "it runs", 30)
    text = server.text()
    found = {secret for secret in secrets.all if secret in text or secret in text.replace("\n", "")}
    found |= {s for s in secrets.all if b64encode(s.encode()).decode().rstrip("=") in text}
    assert not found, [line[:300] for line in text.splitlines() if any(s in line for s in found)]
    # It did log: the calls, by the names that are no secrets, the model's failures, the traces.
    named = sum(sha256(id.encode()).hexdigest()[:24] in text for id in secrets.ids)
    assert named > len(secrets.ids) / 2
    for expected in ("ZeroDivisionError", "mothlight.call.id", "Trade.echo", "said hello"):
        assert expected in text
    if name == "hooked":
        assert "authenticate failed" in text and "KeyError: '[hidden]'" in text
