"""A client that nobody generated: HTTP/1.1 by hand, one connection for each try, that does what the
protocol says. It sends the same key again until it has an answer, and resumes streams by number."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from live import multipart, request

SSE, NDJSON = "text/event-stream", "application/x-ndjson"
_PATIENCE = 30.0
_TRIES = 100


@dataclass
class Reply:
    """A response, as far as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_whole: bool


def parse(data: bytes) -> Reply | None:
    """None where not even the head is whole."""
    head, mark, rest = data.partition(b"\r\n\r\n")
    if not mark:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    status = int(first.split(" ")[1])
    if headers.get("transfer-encoding") != "chunked":
        size = int(headers.get("content-length", "0"))
        return Reply(status, headers, rest[:size], len(rest) >= size)
    body = b""
    while True:
        line, mark, rest = rest.partition(b"\r\n")
        if not mark:
            return Reply(status, headers, body, False)
        size = int(line, 16)
        body += rest[:size]
        if size == 0 or len(rest) < size + 2:
            return Reply(status, headers, body, size == 0 and rest.startswith(b"\r\n"))
        rest = rest[size + 2 :]


async def send(port: int, data: bytes) -> Reply | None:
    """One try on a connection of its own; what came before it broke."""
    got = b""
    reply: Reply | None = None
    try:
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(data)
                while piece := await reader.read(65536):
                    got += piece
                    if (reply := parse(got)) is not None and reply.is_whole:
                        break
            finally:
                writer.transport.abort()
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise AssertionError(f"silence for {_PATIENCE} s after {got[-300:]!r}") from None
        reply = parse(got)
    return reply


@dataclass
class Outcome:
    """What became of a call: its result, or the problem that it ended with."""

    kind: str
    message: int
    key: str
    result: list[bytes] = field(default_factory=list)
    problem: dict[str, Any] | None = None
    tries: int = 0

    @property
    def name(self) -> str:
        """What the model is told of its id."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:24]


def file_of(message: int) -> bytes:
    """200 kB that belong to a message."""
    return random.Random(message).randbytes(200_000 + message)


def _order(path: str, message: int, key: str, **headers: str) -> bytes:
    body = b'{"number": %d, "count": 200}' % (message * 1000)
    return request("POST", f"/ledger/{path}", body, idempotency_key=key, **headers)


def _parcel(message: int, key: str) -> bytes:
    body, kind = multipart(
        ('content-disposition: form-data; name="number"', b"%d" % message),
        ('content-disposition: form-data; name="file"; filename="a"', file_of(message)),
        boundary=b"b" + key[:20].encode(),
    )
    return request("POST", "/ledger/post", body, type=kind, idempotency_key=key)


def _stamp(message: int, key: str) -> bytes:
    kind = "application/octet-stream"
    return request("POST", "/ledger/stamp", file_of(message), type=kind, idempotency_key=key)


UNARY = {
    "json": lambda message, key: _order("enter", message, key),
    "multipart": _parcel,
    "raw file": _stamp,
}
STREAMS = {
    "SSE": ("read", SSE),
    "NDJSON": ("read", NDJSON),
    "slow SSE": ("dictate", SSE),
    "slow NDJSON": ("dictate", NDJSON),
}
KINDS = [*UNARY, *STREAMS]
MESSAGES = 6
"""Messages of each kind: what their calls give is asked once, undisturbed."""


class Driver:
    """Calls through ``port``; ``seed`` decides by which of two ways a stream is resumed."""

    def __init__(self, port: int, seed: int = 0) -> None:
        self.port, self._random = port, random.Random(seed)

    async def call(self, kind: str, message: int, key: str) -> Outcome:
        """Tries until the call has ended, and says how."""
        outcome = Outcome(kind, message, key)
        ask = self._unary if kind in UNARY else self._stream
        for _ in range(_TRIES):
            outcome.tries += 1
            if await ask(outcome):
                return outcome
            await asyncio.sleep(self._random.uniform(0, 0.01))
        raise AssertionError(f"{outcome} has no end after {_TRIES} tries")

    async def _unary(self, outcome: Outcome) -> bool:
        reply = await send(self.port, UNARY[outcome.kind](outcome.message, outcome.key))
        if reply is None or not reply.is_whole:
            return False
        if reply.status != 200:
            return self._failed(outcome, json.loads(reply.body))
        outcome.result = [reply.headers["content-type"].encode(), reply.body]
        return True

    async def _stream(self, outcome: Outcome) -> bool:
        path, accept = STREAMS[outcome.kind]
        after = len(outcome.result)
        more = {"accept": accept, **({"last_event_id": str(after)} if after else {})}
        if after and self._random.random() < 0.5:
            data = request("GET", f"/calls/{outcome.key}", **more)
        else:
            data = _order(path, outcome.message, outcome.key, **more)
        reply = await send(self.port, data)
        if reply is None:
            return False
        if reply.status != 200:
            return reply.is_whole and self._failed(outcome, json.loads(reply.body))
        for event in reply.body.split(b"\n\n" if accept == SSE else b"\n")[:-1]:
            if accept == SSE:
                first, _, rest = event.partition(b"\n")
                if first == b"event: error":
                    return self._failed(outcome, json.loads(rest.removeprefix(b"data: ")))
                if first == b"event: end":
                    return True
                assert first == b"id: %d" % (len(outcome.result) + 1), (outcome, event)
            else:
                if event == b'{"end":true}':
                    return True
                if event.startswith(b'{"error":'):
                    return self._failed(outcome, json.loads(event)["error"])
            outcome.result.append(event)
        assert not reply.is_whole, f"a silent end: {outcome}"
        return False

    def _failed(self, outcome: Outcome, problem: dict[str, Any]) -> bool:
        """Whether that is the end: a call that was refused may be sent again."""
        assert {"type", "code", "status", "detail"} <= set(problem), problem
        if problem["type"] == "Overloaded":
            return False
        outcome.problem = problem
        return True


async def undisturbed(port: int) -> dict[tuple[str, int], list[bytes]]:
    """What each call gives where nothing is in its way, by kind and message."""
    driver = Driver(port)
    found = {}
    for kind in KINDS:
        for message in range(MESSAGES):
            outcome = await driver.call(kind, message, uuid4().hex)
            assert outcome.problem is None and outcome.tries == 1
            found[kind, message] = outcome.result
    return found
