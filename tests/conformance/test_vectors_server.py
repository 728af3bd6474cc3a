"""A Mothlight server against the wire vectors: raw requests, byte by byte what comes back."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from conformance.vectors import Names, data, has, load
from live import Answer, Raw, multipart, request
from mothlight.testing import TestClient

sys.path.insert(0, str(Path(__file__).parents[1] / "services"))
from telegraph import Telegraph

VECTORS = load("server")
SECONDS = 15.0


@pytest.fixture(scope="module")
def server() -> Iterator[TestClient]:
    with TestClient(Telegraph) as client:
        yield client


def test_there_are_enough_of_them() -> None:
    names = [vector["name"] for vector in VECTORS]
    assert len(set(names)) == len(names) >= 90


@pytest.mark.timeout(40)
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_vector(vector: dict[str, Any], server: TestClient) -> None:
    names = Names()
    names.values["new"] = uuid4().hex
    for step in vector["steps"]:
        if "script" in step:
            talk(server.url, names, names.fill(step["socket"]), step["script"])
        elif "socket" in step:
            compare(refusal(server.url, names.fill(step["socket"])), step["response"], names)
        else:
            compare(ask(server.url, names.fill(step["request"])), step["response"], names)


# Requests


def ask(url: str, told: dict[str, Any]) -> Answer:
    headers = {name.replace("-", "_"): value for name, value in told.get("headers", {}).items()}
    body, kind = b"", headers.pop("content_type", "")
    if "json" in told:
        body, kind = data({"json": told["json"]}), kind or "application/json"
    elif "parts" in told:
        body, kind = multipart(*map(_part, told["parts"]))
    elif "chunks" in told:
        body = b"".join(map(data, told["chunks"]))
    elif "text" in told or "base64" in told:
        body = data(told.get("text", told))
    message = request(told["verb"], told["path"], body, type=kind, **headers)
    with socket.create_connection(_address(url), SECONDS) as raw:
        raw.sendall(message)
        connection = Raw(raw)
        if told["verb"] == "HEAD":
            head = connection.until(b"\r\n\r\n")
            return Answer(int(head.split(b" ")[1]), {}, b"", True)
        answer = connection.answer()
    assert answer is not None and answer.complete
    return answer


def _part(told: dict[str, Any]) -> tuple[str, bytes]:
    head = told.get("head")
    if head is None:
        head = f'Content-Disposition: form-data; name="{told["name"]}"'
        head += f'; filename="{told["filename"]}"' if "filename" in told else ""
        head += f"\r\nContent-Type: {told['type']}" if "type" in told else ""
    return head, data(told.get("text", told))


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


# Answers


def compare(answer: Answer, told: dict[str, Any], names: Names) -> None:
    status = told["status"]
    allowed = status if isinstance(status, list) else [status]
    assert answer.status in allowed, (answer.status, answer.body[:500])
    names.headers(told.get("headers", {}), answer.headers)
    match told.get("body"):
        case {"save": name}:
            names.values[name] = answer.body.decode()
        case str() as text:
            assert answer.body.decode() == names.fill(text)
    if answer.type == "application/problem+json":
        answer.problem()
    if "json" in told:
        assert repr_(answer.json()) == repr_(names.fill(told["json"]))
    if "has" in told:
        has(names.fill(told["has"]), answer.json())
    if "contains" in told:
        assert told["contains"] in answer.body.decode()
    if "lines" in told:
        assert [json.loads(line) for line in answer.body.splitlines()] == told["lines"]
    if "events" in told:
        assert events(answer.body) == told["events"]


def repr_(value: Any) -> str:
    """JSON in one order, in which 1 is not 1.0."""
    return json.dumps(value, sort_keys=True)


def events(body: bytes) -> list[dict[str, Any]]:
    found = []
    for block in body.decode().split("\n\n")[:-1]:
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        if lines:
            event: dict[str, Any] = dict(line.split(": ", 1) for line in lines)
            found.append({**event, "data": json.loads(event["data"])})
    return found


# Sockets


def open_(url: str, told: dict[str, Any]) -> ClientConnection:
    return connect(
        "ws" + url.removeprefix("http") + told["path"],
        additional_headers=told["headers"],
        subprotocols=["mothlight.v1"],  # type: ignore[list-item]
        compression=None,
        open_timeout=SECONDS,
        proxy=None,
    )


def refusal(url: str, told: dict[str, Any]) -> Answer:
    with pytest.raises(InvalidStatus) as caught:
        open_(url, told)
    response = caught.value.response
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return Answer(response.status_code, headers, bytes(response.body or b""), True)


def talk(url: str, names: Names, told: dict[str, Any], script: list[Any]) -> None:
    with open_(url, told) as connection:
        assert connection.subprotocol == "mothlight.v1"
        for step in script:
            match step:
                case {"send": {"raw": text}}:
                    connection.send(text)
                case {"send": value}:
                    connection.send(json.dumps(names.fill(value)))
                case {"receive": expected}:
                    _same(expected, _next(connection, expected), names)
                case {"receive_has": expected}:
                    has(expected, _next(connection, expected))
                case {"cut": True}:
                    connection.socket.shutdown(socket.SHUT_RDWR)
                    return
                case {"closed": code}:
                    with pytest.raises(ConnectionClosed) as caught:
                        connection.recv(SECONDS)
                    received = caught.value.rcvd
                    codes = code if isinstance(code, list) else [code]
                    assert received is not None and received.code in codes


def _next(connection: ClientConnection, expected: Any) -> Any:
    """The next frame; one that says how many messages it has is passed over."""
    while True:
        found = json.loads(connection.recv(SECONDS))
        if not isinstance(found, dict) or set(found) != {"received"} or found == expected:
            return found


def _same(expected: Any, found: Any, names: Names) -> None:
    if isinstance(expected, dict):
        assert isinstance(found, dict) and set(found) == set(expected), found
        for name, value in expected.items():
            if isinstance(value, str) and re.fullmatch(r"\$\w+", value):
                names.match(value, found[name], name)
            else:
                assert found[name] == names.fill(value), found
    else:
        assert repr_(found) == repr_(expected)
