"""The least that uvicorn can do, the limit of ours: ``python -m bench.bare noop PORT``."""

from __future__ import annotations

import json
import sys
from typing import Any

import uvicorn

from bench import models


async def noop(scope: Any, receive: Any, send: Any) -> None:
    """Parses the JSON of a request and writes the JSON of an answer."""
    event = await receive()
    body: bytes = event["body"]
    while event["more_body"]:
        event = await receive()
        body += event["body"]
    json.loads(body)
    await _start(send, b"application/json")
    await send({"type": "http.response.body", "body": json.dumps({"score": 0.5}).encode()})


async def stream(scope: Any, receive: Any, send: Any) -> None:
    """Sends 200 lines, each in a chunk of its own."""
    await _start(send, b"application/x-ndjson")
    for index, text in models.tokens(models.ITEMS):
        line = json.dumps({"index": index, "text": text}).encode() + b"\n"
        await send({"type": "http.response.body", "body": line, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _start(send: Any, kind: bytes) -> None:
    headers = [(b"content-type", kind)]
    if kind == b"application/json":
        headers.append((b"content-length", b"%d" % len(json.dumps({"score": 0.5}))))
    await send({"type": "http.response.start", "status": 200, "headers": headers})


APPS = {"noop": noop, "stream": stream}

if __name__ == "__main__":
    uvicorn.run(
        APPS[sys.argv[1]],
        port=int(sys.argv[2]),
        lifespan="off",
        log_level="warning",
        access_log=False,
    )
