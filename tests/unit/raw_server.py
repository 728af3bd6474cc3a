"""A server that answers bytes as it is told, and one call to it with either client."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

from mothlight import (
    AsyncClient,
    Client,
)

Answer = Callable[[socket.socket], None]


class Raw:
    """A server that answers each connection as it is told; ``heads`` are the requests' heads."""

    def __init__(self, *answers: bytes | Answer) -> None:
        self.heads: list[str] = []
        self._answers = list(answers)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        for answer in self._answers:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.heads.append(self._read(connection))
                try:
                    if isinstance(answer, bytes):
                        connection.sendall(answer)
                    else:
                        answer(connection)
                except OSError:
                    pass  # the client left

    def _read(self, connection: socket.socket) -> str:
        data = b""
        while b"\r\n\r\n" not in data:
            data += connection.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        text = head.decode().lower()
        length = int(text.partition("content-length: ")[2].partition("\r\n")[0] or 0)
        while len(body) < length:
            body += connection.recv(65536)
        return text

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)


def answer(status: str, body: bytes, kind: str = "application/json", *more: str) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"content-type: {kind}",
        f"content-length: {len(body)}",
        "connection: close",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def stream(*pieces: bytes) -> bytes:
    """A stream that ends with the connection."""
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + b"".join(pieces)


class Ask:
    """One call with either client."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def call(self, url: str, method: Any, message: Any = ..., **options: Any) -> Any:
        if self.kind == "sync":
            with Client(url, trust_env=False, **options) as client:
                return client.call(method, message)

        async def ask() -> Any:
            async with AsyncClient(url, trust_env=False, **options) as client:
                return await client.call(method, message)

        return asyncio.run(ask())

    def stream(self, url: str, method: Any, message: Any = ..., **options: Any) -> list[Any]:
        if self.kind == "sync":
            with Client(url, trust_env=False, **options) as client:
                return list(client.stream(method, message))

        async def ask() -> list[Any]:
            async with AsyncClient(url, trust_env=False, **options) as client:
                return [item async for item in client.stream(method, message)]

        return asyncio.run(ask())
