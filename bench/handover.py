"""How a large payload may get from the front process to a worker: ``python -m bench.handover``.

Two prototypes, as small as they can be, over the socket that both have anyway:

- socket: the payload is part of a MessagePack frame, as ``mothlight.backend.wire`` sends it; the
  worker's buffered reader joins it, and the decoder copies it out
- shared memory: the payload is copied to a place in memory that both processes map, the frame says
  where; the worker copies it out ("copied"), or hands the model a view of it ("in place")

``run`` says bytes a second, and CPU seconds of both processes for each GB.
"""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from .figures import Figures, Row
from .load import ask
from .works import Stage

WAYS = ("socket", "shared memory, copied", "shared memory, in place")
_MEMORY = "/dev/shm"
_HEAD = struct.Struct("<I")
_OUTSTANDING = 2  # frames, as a worker holds a batch that runs and one that is prepared
_PLACES = 4
_WARM = 20  # payloads before it counts: the worker starts, and memory is touched first


class Frame(msgspec.Struct, array_like=True):
    """``data``: the payload itself, or where it lies: (offset, length)."""

    id: int
    way: int
    data: bytes | tuple[int, int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


class Front(asyncio.Protocol):
    """Keeps two payloads on their way; an answer is the eight bytes of the worker's CPU time."""

    def __init__(self, way: int, payload: bytes, arena: mmap.mmap, seconds: float) -> None:
        self.way, self.payload, self.arena, self.seconds = way, payload, arena, seconds
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
        data: bytes | tuple[int, int] = self.payload
        if self.way:
            size = len(self.payload)
            at = self.sent % _PLACES * size
            self.arena[at : at + size] = self.payload
            data = (at, size)
        self.sent += 1
        body = _encode(Frame(self.sent, self.way, data))
        self.transport.write(_HEAD.pack(len(body)) + body)

    def data_received(self, data: bytes) -> None:
        for at in range(0, len(data), 8):  # so few bytes come in one piece
            (theirs,) = struct.unpack_from("<d", data, at)
            now = (time.perf_counter(), time.process_time() + theirs)
            self.received += 1
            if self.received == _WARM:
                self.begin = now
            if self.received <= _WARM or now[0] < self.begin[0] + self.seconds:
                self.end = now
                self.send()
            elif self.received == self.sent:
                self.done.set_result(None)


def work(sock: socket.socket, arena: mmap.mmap) -> None:
    """The worker's side: reads a frame, has the payload, answers."""
    reader = sock.makefile("rb", buffering=1 << 16)
    whole = memoryview(arena)
    while head := reader.read(4):
        frame = _decode(reader.read(_HEAD.unpack(head)[0]))
        payload: bytes | memoryview
        if isinstance(frame.data, bytes):
            payload = frame.data
        else:
            at, size = frame.data
            view = whole[at : at + size]
            payload = bytes(view) if frame.way == 1 else view
        assert len(payload)
        sock.sendall(struct.pack("<d", time.process_time()))


async def measure(way: int, size: int, seconds: float) -> dict[str, float]:
    """One way, in this process and one that it starts: GB a second, CPU seconds a GB."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with tempfile.TemporaryFile(dir=_MEMORY if os.path.isdir(_MEMORY) else None) as memory:
        memory.truncate(_PLACES * size)
        numbers = [theirs.fileno(), memory.fileno()]
        worker = subprocess.Popen(
            [sys.executable, "-m", "bench.handover", "work", *map(str, numbers)],
            pass_fds=numbers,
        )
        theirs.close()
        with mmap.mmap(memory.fileno(), _PLACES * size) as arena:
            transport, front = await asyncio.get_running_loop().create_unix_connection(
                lambda: Front(way, os.urandom(size), arena, seconds), sock=ours
            )
            async with asyncio.timeout(seconds + 30):
                await front.done
            transport.close()
            await asyncio.to_thread(worker.wait, 10)
    gigabytes = (front.received - _OUTSTANDING - _WARM) * size / 1e9
    passed, used = (end - begin for begin, end in zip(front.begin, front.end, strict=True))
    return {"rate": gigabytes / passed, "cpu": used / gigabytes}


@dataclass(frozen=True)
class Handover:
    """One size of payload (bytes), every way."""

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
        sock, memory = (int(number) for number in sys.argv[2:4])
        work(socket.socket(fileno=sock), mmap.mmap(memory, 0))
        return
    import uvloop

    print(json.dumps(uvloop.run(measure(**json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
