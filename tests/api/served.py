"""A server of the loom, in this process and over a real socket, and plain HTTP to it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2

from live import Raw
from mothlight import App
from mothlight.testing import TestClient


class Served:
    """A server of the loom, and plain HTTP to it. ``app``: what is served."""

    def __init__(self, client: TestClient) -> None:
        self.app: App = client.app
        self.url = client.url
        self.port = int(self.url.rpartition(":")[2])
        self.http = httpx2.Client(base_url=self.url, timeout=30, trust_env=False)

    @contextmanager
    def connect(self, data: bytes) -> Iterator[Raw]:
        """A connection on which this is sent."""
        with socket.create_connection(("127.0.0.1", self.port), 20) as sock:
            sock.sendall(data)
            yield Raw(sock)

    def post(self, name: str, message: Any, key: str = "", **headers: str) -> httpx2.Response:
        """A call; header names take _ for -."""
        return self.http.post(f"/loom/{name}", json=message, headers=heads(key, headers))

    def get(self, id: str, **headers: str) -> httpx2.Response:
        return self.http.get(f"/calls/{id}", headers=heads("", headers))

    def state(self, id: str) -> dict[str, Any]:
        """The status document of a call."""
        found = self.get(id, accept="application/vnd.mothlight.call+json")
        assert found.headers["content-type"] == "application/vnd.mothlight.call+json"
        document: dict[str, Any] = found.json()
        return document

    def knows(self, id: str) -> bool:
        return self.get(id, accept="application/vnd.mothlight.call+json").status_code == 200


def heads(key: str, more: dict[str, str]) -> dict[str, str]:
    found = {name.replace("_", "-"): value for name, value in more.items()}
    return {"idempotency-key": key, **found} if key else found
