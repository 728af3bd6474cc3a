"""An ASGI application called by hand: no socket, no client library, every event visible."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    pieces: list[bytes] = field(default_factory=list)
    is_whole: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        document: dict[str, Any] = self.json
        assert document["status"] == self.status
        return document


class Exchange:
    """One request. ``leave()`` is the client that goes away."""

    def __init__(
        self,
        app: Any,
        verb: str,
        path: str,
        body: bytes | Sequence[bytes] = b"",
        *,
        headers: dict[str, str] | None = None,
        query: str = "",
        root_path: str = "",
        is_stalled: bool = False,
    ) -> None:
        self.app, self.answer = app, Answer()
        self.scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": verb,
            "path": path,
            "raw_path": path.encode(),
            "root_path": root_path,
            "query_string": query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        pieces = [body] if isinstance(body, bytes) else list(body)
        self._events = [
            {"type": "http.request", "body": p, "more_body": i + 1 < len(pieces) or is_stalled}
            for i, p in enumerate(pieces)
        ]
        self._gone = asyncio.Event()
        self.sent = asyncio.Event()
        self.flow = asyncio.Event()
        self.flow.set()

    async def __call__(self) -> Answer:
        await self.app(self.scope, self._receive, self._send)
        return self.answer

    def leave(self) -> None:
        self._gone.set()

    async def _receive(self) -> dict[str, Any]:
        if self._events:
            return self._events.pop(0)
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, event: dict[str, Any]) -> None:
        answer = self.answer
        if event["type"] == "http.response.start":
            assert not answer.status, "the response was started twice"
            answer.status = event["status"]
            answer.headers = {k.decode().lower(): v.decode() for k, v in event["headers"]}
        else:
            assert answer.status and not answer.is_whole
            answer.pieces.append(event.get("body", b""))
            answer.is_whole = not event.get("more_body", False)
        self.sent.set()
        await self.flow.wait()


async def ask(app: Any, verb: str, path: str, body: Any = b"", **options: Any) -> Answer:
    """The answer to one request; a dict or list as body goes as JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
        options["headers"] = {"content-type": "application/json", **options.get("headers", {})}
    answer = await Exchange(app, verb, path, body, **options)()
    assert answer.is_whole
    if "content-length" in answer.headers and verb != "HEAD":
        assert int(answer.headers["content-length"]) == len(answer.body)
    return answer
