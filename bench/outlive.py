"""Calls that are stopped by their ids, left by their clients, and superseded.

When a call begins, is closed or is whole is told by the models themselves (``ledger``).
"""

from __future__ import annotations

import contextlib
import http.client
import random
import secrets
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import models
from .departures import reading, send
from .figures import Figures, Row, percentile
from .load import Request
from .servers import Server
from .works import OneRow, Stage

GRACE = 0.2
"""Seconds that a call is left, where that is measured."""

SUPERSEDES = 50
_PAUSE = 0.005  # seconds between two of them
_ABREAST = 16  # streams of which one after the other is stopped
_PATIENCE = 30.0
_draw = random.Random(0)


def fresh_key() -> str:
    """A key that nobody can guess."""
    return secrets.token_hex(16)


def keyed(key: str) -> tuple[tuple[str, str], ...]:
    """The header of a call with this key."""
    return (("Idempotency-Key", key),)


def answer(sock: socket.socket) -> tuple[int, bytes]:
    """The status and the body of the answer on a connection."""
    sock.settimeout(_PATIENCE)
    response = http.client.HTTPResponse(sock)
    response.begin()
    with contextlib.closing(response):
        return response.status, response.read()


class Stopper:
    """A kept-alive connection on which calls are stopped."""

    def __init__(self, server: Server) -> None:
        self._sock = socket.create_connection(("127.0.0.1", server.port), _PATIENCE)

    def stop(self, key: str) -> float:
        """Sends the DELETE; the monotonic time before it, when it was answered."""
        start = time.monotonic()
        self._sock.sendall(f"DELETE /calls/{key} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        if (found := answer(self._sock)) != (204, b""):
            raise RuntimeError(f"DELETE was answered by {found!r:.300}")
        return start

    def __enter__(self) -> Stopper:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()


def _spread(row: Row, seconds: Sequence[float], beyond: Sequence[float] = ()) -> Figures:
    """The p50 and p99 in milliseconds; ``beyond`` what ran already."""
    found = {
        "p50": percentile(seconds, 0.5) * 1000,
        "p99": percentile(seconds, 0.99) * 1000,
    }
    if beyond:
        found["p99 beyond what ran"] = percentile(beyond, 0.99) * 1000
    return {row.title: found}


def _tries(stage: Stage, most: int) -> int:
    """How many of the tries of a round of two seconds one has; a quarter of them in one of half."""
    return max(1, round(most * min(1.0, stage.seconds / 2) ** 2))


@dataclass(frozen=True)
class StopCalls(OneRow):
    """Unary calls are stopped by their ids: milliseconds from the last DELETE until the next
    caller's begins, whose call waits behind them. ``running`` are in the worker, ``waiting`` behind
    them; those are stopped where there are any, else the running ones."""

    path: str
    running: int
    waiting: int
    of: str

    def run(self, stage: Stage) -> Figures:
        server = stage.server(self.of)
        with Stopper(server) as stopper:
            tries = (self._once(server, stopper) for _ in range(_tries(stage, 100)))
            found = list(filter(None, tries))
        return _spread(self.row, [free for free, _ in found], [beyond for _, beyond in found])

    def _once(self, server: Server, stopper: Stopper) -> tuple[float, float] | None:
        """Seconds from the DELETE, and from the end of what ran where that came later; None where
        it came too late."""
        server.ledger.skip()
        with contextlib.ExitStack() as stack:
            running = [fresh_key() for _ in range(self.running)]
            waiting = [fresh_key() for _ in range(self.waiting)]
            for key in running:
                stack.enter_context(send(server, self.path, "first", keyed(key)))
            server.ledger.wait("first", self.running)
            for key in waiting:
                stack.enter_context(send(server, self.path, "stopped", keyed(key)))
            client = stack.enter_context(send(server, "/mark", "next"))
            time.sleep(models.CALL * _draw.uniform(0.1, 0.5))  # amid what runs
            stopped = max([stopper.stop(key) for key in waiting or running])
            (begun,) = server.ledger.wait("next", 1)
            answer(client)
            ended = [at for at in server.ledger.events("computed") if at > stopped]
            if not ended or any(at < stopped for at in server.ledger.events("stopped")):
                return None
        return begun - stopped, begun - min(ended)


@dataclass(frozen=True)
class StopTasks(OneRow):
    """Calls that notice themselves that they are stopped (asynchronous ones, those that ask):
    milliseconds until the model notes that it was. ``grace``: they are left instead of stopped, and
    this long is not counted."""

    path: str
    of: str
    grace: float | None = None

    def run(self, stage: Stage) -> Figures:
        server = stage.server(self.of)
        with Stopper(server) as stopper:
            tries = _tries(stage, 100 if self.grace is None else 25)
            return _spread(self.row, [self._once(server, stopper) for _ in range(tries)])

    def _once(self, server: Server, stopper: Stopper) -> float:
        server.ledger.skip()
        key = fresh_key()
        with send(server, self.path, "first", keyed(key)) as client:
            server.ledger.wait("first", 1)
            time.sleep(_draw.uniform(0.002, 0.02))
            if self.grace is None:
                left = stopper.stop(key)
            else:
                left = time.monotonic() + self.grace
                client.close()
            (stopped,) = server.ledger.wait("stopped", 1)
        return stopped - left


@dataclass(frozen=True)
class StopStreams(OneRow):
    """Streams are stopped by their ids one after the other, or left by their clients all at once,
    which ``grace`` of is not counted: milliseconds until their generators are closed."""

    stream: Request
    of: str
    grace: float | None = None

    def run(self, stage: Stage) -> Figures:
        server, found = stage.server(self.of), list[float]()
        tries = _tries(stage, 96)
        while len(found) < tries:
            found += self._stop(server) if self.grace is None else self._leave(server)
        return _spread(self.row, found)

    def _streams(self) -> tuple[list[str], tuple[tuple[Request, int], ...]]:
        keys = [fresh_key() for _ in range(_ABREAST)]
        return keys, tuple((replace(self.stream, more=keyed(key)), 1) for key in keys)

    def _stop(self, server: Server) -> list[float]:
        keys, streams = self._streams()
        found = []
        with reading(server, streams, may_end=True), Stopper(server) as stopper:
            for number, key in enumerate(keys):
                time.sleep(_draw.uniform(0.005, 0.02))
                stopped = stopper.stop(key)
                closed = server.ledger.wait("closed", number + 1)
                found.append(max(closed) - stopped)
        return found

    def _leave(self, server: Server) -> list[float]:
        keys, streams = self._streams()
        assert self.grace is not None
        with reading(server, streams) as clients:
            clients.count(0.1)
            left = clients.leave() + self.grace
            closed = server.ledger.wait("closed", len(keys))
        return [at - left for at in closed]


@dataclass(frozen=True)
class Supersede:
    """A new call every 5 ms takes the place of the one before it: how many of them the model had to
    its end, and milliseconds from the last one's request to its answer."""

    whole: Row
    last: Row
    path: str
    of: str

    @property
    def rows(self) -> Sequence[Row]:
        return (self.whole, self.last)

    def run(self, stage: Stage) -> Figures:
        found = [self._once(stage.server(self.of)) for _ in range(_tries(stage, 4))]
        return {
            self.whole.title: {"most": max(whole for whole, _ in found)},
            self.last.title: {"median": percentile([last for _, last in found], 0.5)},
        }

    def _once(self, server: Server) -> tuple[float, float]:
        server.ledger.skip()
        more = (("Supersede-Key", fresh_key()),)
        with contextlib.ExitStack() as stack:
            clients = []
            for number in range(SUPERSEDES):
                time.sleep(_PAUSE)
                start = time.monotonic()
                clients.append(stack.enter_context(send(server, self.path, str(number), more)))
            newest, body = answer(clients[-1])
            last = (time.monotonic() - start) * 1000
            if newest != 200 or b"error" in body:
                raise RuntimeError(f"the newest call was answered by {newest} {body!r:.300}")
            older = [answer(client)[1] for client in clients[:-1]]
        # Whole is one that had ended when a server that paused saw the next; it is counted below.
        known = [(body, b'"%d"' % number) for number, body in enumerate(older)]
        if strange := [b for b, whole in known if b"uperseded" not in b and whole not in b]:
            raise RuntimeError(f"{len(strange)} older calls were answered by {strange[0]!r:.300}")
        time.sleep(2 * models.CALL)  # what runs in vain would be whole by then
        return len(server.ledger.events("whole")), last
