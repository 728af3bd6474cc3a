"""A TCP proxy that behaves as a bad network does: it resets, closes, stalls and delays connections,
and tears what it carries at random bytes, in either direction. It doubles and reorders nothing."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

_PIECE = 16 * 1024


class End(StrEnum):
    """What becomes of a connection: nothing bad; a TCP reset; an orderly close in the middle; or
    silence, and a close after it."""

    NONE = "none"
    RESET = "reset"
    CLOSE = "close"
    STALL = "stall"


@dataclass(frozen=True)
class Fate:
    """What a connection meets when ``at`` bytes have gone ``up`` (to the server) or down. ``lag``:
    seconds that the other side learns of it later; ``is_crumbled``: small pieces, with pauses."""

    end: End
    up: bool
    at: int
    lag: float
    is_crumbled: bool


def fate(rnd: random.Random, tears: float) -> Fate:
    """One of them; ``tears``: how many of the connections are torn (if they carry so much)."""
    end = rnd.choice([End.RESET, End.CLOSE, End.STALL]) if rnd.random() < tears else End.NONE
    most = rnd.choice([300, 700, 700, 5000, 20_000, 200_000])
    return Fate(
        end, rnd.random() < 0.4, rnd.randrange(most), rnd.choice([0, 0, 0.1]), rnd.random() < 0.2
    )


class _Torn(Exception):
    """A connection has met its end."""


class Proxy:
    """Between the clients on ``port`` and the server on ``target``. ``torn`` counts what happened
    to connections, ``up`` and ``down``."""

    def __init__(self, target: int, seed: int, tears: float = 0.7) -> None:
        self.target, self.tears = target, tears
        self.torn: Counter[str] = Counter()
        self.connections = self.port = 0
        self._random = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.sleep(0.01)  # in which those begin that were just accepted
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # in which transports that were aborted close

    @property
    def count(self) -> int:
        """How many connections were torn."""
        return self.torn["up"] + self.torn["down"]

    def __str__(self) -> str:
        how = ", ".join(f"{number} {name}" for name, number in sorted(self.torn.items()))
        return f"{self.count} tears of {self.connections} connections ({how})"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        with contextlib.suppress(asyncio.CancelledError):  # only __aexit__ cancels it
            await self._carry(reader, writer, fate(self._random, self.tears))

    async def _carry(
        self, reader: asyncio.StreamReader, client: asyncio.StreamWriter, fate: Fate
    ) -> None:
        pumps: list[asyncio.Future[None]] = []
        sides = [client]
        try:
            answers, server = await asyncio.open_connection("127.0.0.1", self.target)
            sides.append(server)
            pumps += [
                asyncio.ensure_future(self._pump(reader, server, fate, up=True)),
                asyncio.ensure_future(self._pump(answers, client, fate, up=False)),
            ]
            done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            if any(isinstance(one.exception(), _Torn) for one in done):
                self.torn[fate.end.value] += 1
                self.torn["up" if fate.up else "down"] += 1
                await self._tear(sides, pumps, fate)
        except OSError:
            client.transport.abort()  # the server takes no connections
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for writer in sides:
                writer.close()
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1):
                        await writer.wait_closed()
                writer.transport.abort()

    async def _tear(
        self,
        sides: list[asyncio.StreamWriter],
        pumps: list[asyncio.Future[None]],
        fate: Fate,
    ) -> None:
        for pump in pumps:
            pump.cancel()
        if fate.end is End.STALL:
            await asyncio.sleep(0.15)
        for number, writer in enumerate(sides):  # the client is the one that notices first
            if number and fate.lag:
                await asyncio.sleep(fate.lag)
            if fate.end is End.RESET:
                sock: socket.socket = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    linger = struct.pack("ii", 1, 0)
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
            else:
                writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fate: Fate, *, up: bool
    ) -> None:
        """Carries one direction until it ends, or raises _Torn."""
        left = fate.at if fate.end is not End.NONE and fate.up is up else None
        crumbs = 40 if fate.is_crumbled else 0
        try:
            while True:
                if left == 0:
                    raise _Torn
                most = _PIECE if not crumbs else 1 + (crumbs * 7) % 50
                data = await reader.read(most if left is None else min(most, left))
                if not data:
                    return
                writer.write(data)
                await writer.drain()
                if left is not None:
                    left -= len(data)
                if crumbs:
                    crumbs -= 1
                    await asyncio.sleep(0.0005)
        except OSError:
            return
