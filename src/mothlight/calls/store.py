"""Store: Redis as the calls know it. Each command has a bound in time; who cannot reach it is told
so by Unavailable."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from hashlib import sha256
from typing import Any

from ..errors import DefinitionError, Unavailable

log = logging.getLogger("mothlight")

SECONDS = 2.0
"""What a command may take."""

_CONNECTIONS = 32

Word = str | bytes | int | float


def place(owner: str, id: str) -> str:
    """What a call is called in Redis: nobody finds its id, which may be a secret, from that."""
    return sha256(f"{len(owner)} {owner}{id}".encode()).hexdigest()[:40]


def call_key(place: str) -> str:
    return f"mothlight:call:{place}"


def items_key(place: str) -> str:
    return f"mothlight:items:{place}"


def latest_key(owner: str, supersede: str) -> str:
    return f"mothlight:latest:{place(owner, supersede)}"


def replica_key(id: str) -> str:
    return f"mothlight:replica:{id}"


def channel(id: str) -> str:
    return f"mothlight:to:{id}"


class Store:
    """One Redis, for one event loop. ``is_up``: whether it answered last; where it did not, nobody
    waits for it but ``beat``."""

    def __init__(self, url: str) -> None:
        try:
            from redis import asyncio as client
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
            from redis.exceptions import RedisError, ResponseError
        except ImportError as error:
            raise DefinitionError(
                'Redis needs: pip install "mothlight[redis]"', 'or write   calls="memory"'
            ) from error
        self._failures = (RedisError, OSError, TimeoutError)
        self._answers = ResponseError
        try:
            pool = client.BlockingConnectionPool.from_url(
                url,
                max_connections=_CONNECTIONS,
                timeout=SECONDS,
                socket_timeout=None,  # its wait_for loses a cancel, in Python 3.11; ours does not
                socket_connect_timeout=SECONDS,
                retry=Retry(NoBackoff(), 1),  # a connection of before Redis was started anew
            )
        except ValueError as error:
            raise DefinitionError(
                f"calls={url!r} is no address of Redis: {error}",
                'write   calls="memory"   or   calls="redis://host:6379"',
            ) from None
        self._client: Any = client.Redis.from_pool(pool)
        self._scripts: dict[str, Any] = {}
        self.is_up = False
        self._was_told: str | None = None

    async def close(self) -> None:
        self.is_up = False
        try:
            async with asyncio.timeout(SECONDS):
                await self._client.aclose()
        except self._failures:
            pass

    async def run(self, script: str, keys: Sequence[str], words: Sequence[Word] = ()) -> Any:
        """The result of a script. Raises Unavailable."""
        if not self.is_up:
            raise lost()
        return await self._run(script, keys, words)

    async def beat(self, script: str, keys: Sequence[str], words: Sequence[Word]) -> Any:
        """The same, where nobody knows whether Redis is there."""
        found = await self._run(script, keys, words)
        self.is_up = True
        self._say("the store of calls is reached")
        return found

    async def _run(self, script: str, keys: Sequence[str], words: Sequence[Word]) -> Any:
        known = self._scripts.get(script)
        if known is None:
            known = self._scripts[script] = self._client.register_script(script)
        return await self._bounded(known(keys, words))

    async def tell(self, replica: str, *words: Word) -> bool:
        """Tells a replica something; whether it listens. Raises Unavailable."""
        if not self.is_up:
            raise lost()
        said = " ".join(map(str, words))
        return bool(await self._bounded(self._client.publish(channel(replica), said)))

    async def _bounded(self, command: Awaitable[Any]) -> Any:
        """What Redis answers, in time. Raises Unavailable."""
        try:
            async with asyncio.timeout(SECONDS):
                return await command
        except self._failures as error:
            self._failed(error)
            raise lost() from None

    async def listen(self, replica: str) -> AsyncIterator[list[str]]:
        """What the replica is told, word by word; [] first, and when nothing came for a second.
        Ends when the connection does."""
        try:
            async with self._client.pubsub() as heard:
                async with asyncio.timeout(SECONDS):
                    await heard.subscribe(channel(replica))
                yield []
                while True:
                    message = await heard.get_message(ignore_subscribe_messages=True, timeout=1.0)
                    yield message["data"].decode().split(" ") if message else []
        except self._failures as error:
            log.debug("the store of calls does not tell us anything: %r", error)

    def _failed(self, error: BaseException) -> None:
        if not isinstance(error, self._answers):  # it is there, and has no room, say
            self.is_up = False
        why = str(error) or type(error).__name__
        self._say("the store of calls cannot be reached: %s", why)

    def _say(self, message: str, *values: object) -> None:
        """Logs what has changed, once."""
        if message != self._was_told:
            level = logging.ERROR if values else logging.INFO
            self._was_told = message
            log.log(level, message, *values)


def lost() -> Unavailable:
    return Unavailable(reason="the store of calls cannot be reached")
