"""Calls in memory, in Redis, and in Redis through another replica: what the suites ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from redis_server import RedisServer
from stage import Stage

from mothlight import App
from mothlight.backend.base import Reply, Request
from mothlight.calls.base import Calls, State, Status, Terms
from mothlight.errors import CallNotFound
from mothlight.principal import Principal
from mothlight.schema import Payload

SECONDS = 15.0


class Notes:
    """What the stage has written down; and its cues."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[str]:
        path = self.folder / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def cue(self, name: str = "go") -> None:
        (self.folder / name).touch()


class Site:
    """One replica, and typed calls of it."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.calls: Calls = app.calls
        self.methods = app.services[0].methods

    def request(self, name: str, value: object, owner: str = "ada") -> Request:
        method = self.methods[name]
        return Request(method, method.input.encode(value), "public", quota=Principal(owner))

    def value(self, name: str, reply: Reply) -> Any:
        return self.methods[name].output.decode(reply.payload)

    async def unary(self, name: str, value: object, terms: Terms) -> Any:
        return self.value(
            name, await self.calls.unary(self.request(name, value, terms.owner), terms)
        )

    def stream(
        self, name: str, value: object, terms: Terms, after: int = 0
    ) -> AsyncIterator[Sequence[Payload]]:
        return self.calls.stream(self.request(name, value), terms, after)

    async def read(
        self, name: str, items: AsyncIterator[Sequence[Payload]], most: int = 10**9
    ) -> list[Any]:
        """The items of a stream; its first ones, and then the reader leaves."""
        found: list[Any] = []
        async with aclosing(items) as pieces:  # type: ignore[type-var]
            async for payloads in pieces:
                found += [self.methods[name].output.decode(p) for p in payloads]
                if len(found) >= most:
                    break
        return found[:most]

    async def state(self, terms: Terms) -> State | None:
        """Where a call is; None where nobody knows it."""
        try:
            return (await self.calls.status(terms.owner, terms.id)).state
        except CallNotFound:
            return None

    async def status(self, terms: Terms) -> Status:
        return await self.calls.status(terms.owner, terms.id)


class World:
    """``here``, where calls begin, and ``there``, where they are asked for: another replica, or the
    same."""

    def __init__(self, kind: str, redis: RedisServer | None, notes: Notes) -> None:
        self.kind, self.redis, self.notes = kind, redis, notes
        self.here: Site
        self.there: Site
        self._count = 0

    @asynccontextmanager
    async def open(self, **options: Any) -> AsyncIterator[World]:
        calls = self.redis.url if self.redis else "memory"
        defaults: dict[str, Any] = {"workers": 0, "calls": calls, "drain": 0}
        apps = [
            App(Stage, **{**defaults, **options})
            for _ in range(2 if self.kind == "replicas" else 1)
        ]
        for app in apps:
            await app.start()
        self.here, self.there = Site(apps[0]), Site(apps[-1])
        try:
            yield self
        finally:
            for app in apps:
                await app.stop()

    def terms(self, **options: Any) -> Terms:
        """Those of a new call of Ada's, which is kept."""
        self._count += 1
        return Terms("ada", f"call-{self._count}", **{"is_kept": True, **options})

    async def until(self, found: Callable[[], Any], what: str) -> Any:
        """The first true value of ``found``, awaited where it is a coroutine's; bounded."""
        end = asyncio.get_running_loop().time() + SECONDS
        while True:
            value = found()
            if isinstance(value, Awaitable):
                value = await value
            if value:
                return value
            assert asyncio.get_running_loop().time() < end, f"not within {SECONDS:g} s: {what}"
            await asyncio.sleep(0.005)

    async def noted(self, what: str) -> None:
        await self.until(lambda: what in self.notes.all(), what)
