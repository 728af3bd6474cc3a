"""How a large file gets from the front process to a worker: ``python -m bench.handover``.

The frames, the worker's channel and the arena of ``mothlight.backend``, and nothing beside them:

- socket: the file is part of a frame
- arena: it is copied to memory that both processes share, and out of it

``run`` says bytes a second, and CPU seconds of both processes for each GB.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mothlight import memory
from mothlight.backend import wire
from mothlight.backend.arena import Arena
from mothlight.backend.launch import ARENA
from mothlight.schema import Payload

from .figures import Figures, Row
from .load import ask
from .works import Stage

WAYS = ("socket", "arena")
_OUTSTANDING = 2  # frames, as a worker holds a batch that runs and one that is prepared
_WARM = 20  # files before it counts: the worker starts, and memory is touched first


class Front(asyncio.Protocol):
    """Keeps two files on their way; for its seconds, an answer says the worker's CPU time."""

    def __init__(self, payload: Payload, arena: Arena | None, seconds: float) -> None:
        self.payload, self.arena, self.seconds = payload, arena, seconds
        self.splitter = wire.Splitter()
        self.sent = self.received = 0
        self.begin: tuple[float, float] = (0.0, 0.0)  # time, and CPU time of both, when warm
        self.end: tuple[float, float] = (0.0, 0.0)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        for _ in range(_OUTSTANDING):
            self.send()

    def send(self) -> None:
        self.sent += 1
        batch = wire.Batch(self.sent, "method", [self.payload], ["call"], [None])
        self.transport.write(wire.pack(batch, self.arena))

    def data_received(self, data: bytes) -> None:
        for body in self.splitter.feed(data):
            match wire.decode_to_front(body):
                case wire.Free(offsets) if self.arena:
                    self.arena.free(offsets)
                case wire.Results(seconds=theirs):
                    self.note((time.perf_counter(), time.process_time() + theirs))

    def note(self, now: tuple[float, float]) -> None:
        self.received += 1
        if self.received == _WARM:
            self.begin = now
        if self.received <= _WARM or now[0] < self.begin[0] + self.seconds:
            self.end = now
            self.send()
        elif self.received == self.sent:
            self.done.set_result(None)


def work(descriptor: int, *arenas: int) -> None:
    """The worker's side: has a file, answers."""
    end = socket.socket(fileno=descriptor)
    channel = wire.Channel(end, end, *map(Arena, arenas))
    while frame := channel.receive():
        assert isinstance(frame, wire.Batch)
        assert frame.payloads[0].media[0][0]
        channel.send(wire.Results(frame.id, [], time.process_time()))


async def measure(way: int, size: int, seconds: float) -> dict[str, float]:
    """One way, in this process and one that it starts: GB a second, CPU seconds a GB."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    descriptor = memory.share(ARENA) if way else None
    arena = Arena(descriptor) if descriptor else None
    numbers = [theirs.fileno(), *([arena.descriptor] if arena else [])]
    worker = subprocess.Popen(
        [sys.executable, "-m", "bench.handover", "work", *map(str, numbers)], pass_fds=numbers
    )
    theirs.close()
    payload = Payload(b'{"$media":0}', ((os.urandom(size), None, None),))
    transport, front = await asyncio.get_running_loop().create_unix_connection(
        lambda: Front(payload, arena, seconds), sock=ours
    )
    async with asyncio.timeout(seconds + 30):
        await front.done
    transport.close()
    await asyncio.to_thread(worker.wait, 10)
    if arena:
        arena.close()
    gigabytes = (front.received - _OUTSTANDING - _WARM) * size / 1e9
    passed, used = (end - begin for begin, end in zip(front.begin, front.end, strict=True))
    return {"rate": gigabytes / passed, "cpu": used / gigabytes}


@dataclass(frozen=True)
class Handover:
    """One size of file (bytes), every way."""

    rate: Row
    cpu: Row
    size: int

    @property
    def rows(self) -> Sequence[Row]:
        return (self.rate, self.cpu)

    def run(self, stage: Stage) -> Figures:
        found = {}
        for way in range(len(WAYS))[:: -1 if stage.is_backwards else 1]:
            run = {"way": way, "size": self.size, "seconds": stage.seconds / 2}
            found[WAYS[way]] = ask("handover", run)
        return {
            row.title: {way: found[way][key] for way in WAYS}
            for row, key in ((self.rate, "rate"), (self.cpu, "cpu"))
        }


def main() -> None:
    if sys.argv[1:2] == ["work"]:
        work(*map(int, sys.argv[2:]))
        return
    import uvloop

    print(json.dumps(uvloop.run(measure(**json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
