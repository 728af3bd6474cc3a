"""Frames between the front process and a worker: a length, then MessagePack.

front ─ Setup ─> worker ─ Ready | Failed ─> front
front ─ Batch(id, method, payloads) ─> worker ─ Results(id, results, seconds) ─> front
front ─ Drop(id, index) ─> worker                 (nobody waits for this call of a batch any more)
front ─ Open(id) ─> worker ─ Items(id)* , End(id, problem | None) ─> front
front ─ Grant(id, n), Cancel(id) ─> worker        (back-pressure; nobody listens any more)
front ─ Messages(id)* , Close(id, problem | None) ─> worker   (what a client streams in)
front <─ Want(id, n) ─ worker                     (back-pressure, too)
worker ─ Pulse(memory) ─> front                   (it lives)
Shared(frame, regions) ─>, <─ Free(offsets)       (a frame whose large files lie in an arena)

Deadlines are times of the system's monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from ..schema import Payload, split
from .arena import Arena, Region

T = TypeVar("T")

_LENGTH = struct.Struct("<I")
_SOON = 0.001
"""Seconds after which a posted frame is sent, if nothing else has sent it; and in which the items
of many streams are collected, for each system call costs the front process a wake-up too."""

WINDOW = 64
"""Places for the items of one stream on their way; the reader grants more as it takes them. An item
takes one for each 64 KiB that it has begun."""


class Placement(msgspec.Struct, array_like=True):
    """Where a worker's model lives, and how torch runs it."""

    device: str = "auto"  # or "cpu", "cuda", "cuda:1", "mps"
    index: int = 0  # of the worker; of several devices each takes the next
    threads: int = 1
    inference_mode: bool = True
    channels_last: bool = False
    compile: bool = False


class Log(msgspec.Struct, array_like=True, frozen=True):
    """How a worker writes its log: the settings ``log`` and ``log_level``."""

    form: str = "text"
    level: str = "info"


class Setup(msgspec.Struct, tag="setup", array_like=True):
    """What a worker serves, and what it shares with its front as that is now: its modules' folders,
    its main file, its variables and its current folder ({} and b"": the worker's own)."""

    address: str
    placement: Placement
    log: Log
    path: list[str]
    main: str | None = None
    environment: dict[bytes, bytes] = {}
    folder: bytes = b""


class Ready(msgspec.Struct, tag="ready", array_like=True):
    seconds: float
    examples: dict[str, float]  # what one call of a method takes, in seconds
    fingerprint: str  # of the service, as the worker has read it


class Pulse(msgspec.Struct, tag="pulse", array_like=True):
    memory: int  # bytes that are resident


class Failed(msgspec.Struct, tag="failed", array_like=True):
    traceback: str


class Batch(msgspec.Struct, tag="batch", array_like=True):
    id: int
    method: str
    payloads: list[Payload] | bytes  # bytes: a JSON array of all messages (``join``)
    calls: list[str]
    deadlines: list[float | None]
    principals: list[str] | None = None  # None: nobody is known


class Drop(msgspec.Struct, tag="drop", array_like=True):
    id: int
    index: int


class Results(msgspec.Struct, tag="results", array_like=True):
    id: int
    results: list[Any] | bytes  # Payload as [json, media], or a problem document as a map;
    # bytes: a JSON array of all answers
    seconds: float


class Open(msgspec.Struct, tag="open", array_like=True):
    id: int
    method: str
    payload: Payload
    call: str
    deadline: float | None
    principal: str = ""


class Messages(msgspec.Struct, tag="messages", array_like=True):
    id: int
    payloads: list[Payload]


class Close(msgspec.Struct, tag="close", array_like=True):
    id: int
    problem: dict[str, Any] | None


class Want(msgspec.Struct, tag="want", array_like=True):
    id: int
    count: int


class Items(msgspec.Struct, tag="items", array_like=True):
    id: int
    payloads: list[Payload]


class End(msgspec.Struct, tag="end", array_like=True):
    id: int
    problem: dict[str, Any] | None


class Grant(msgspec.Struct, tag="grant", array_like=True):
    id: int
    count: int


class Cancel(msgspec.Struct, tag="cancel", array_like=True):
    id: int


Carrier = Batch | Open | Messages | Results | Items
"""Frames with files."""


class Shared(msgspec.Struct, tag="shared", array_like=True):
    frame: Carrier  # with empty files in place of those in ``regions``
    regions: list[Region]


class Free(msgspec.Struct, tag="free", array_like=True):
    offsets: list[int]


ToWorker = Setup | Batch | Drop | Open | Messages | Close | Grant | Cancel | Shared | Free
ToFront = Ready | Failed | Pulse | Results | Items | End | Want | Shared | Free

_encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_to_front = msgspec.msgpack.Decoder(ToFront).decode


def pack(frame: ToWorker | ToFront, arena: Arena | None = None) -> bytes:
    """A frame with its length before it (4 bytes, little-endian); its large files go through
    ``arena``, where there is one."""
    body = _encode(frame if arena is None else _lent(frame, arena))
    return _LENGTH.pack(len(body)) + body


def _lent(frame: ToWorker | ToFront, arena: Arena) -> ToWorker | ToFront:
    if not isinstance(frame, Carrier):
        return frame
    payloads = _payloads(frame)
    regions = arena.lend(payloads)
    return Shared(_with(frame, payloads), regions) if regions else frame


def restored(shared: Shared, arena: Arena | None) -> Any:
    """The frame as it was before its files were lent. ValueError or IndexError where what the other
    side says of them cannot be."""
    if arena is None:
        raise ValueError("there is no arena")
    payloads = _payloads(shared.frame)
    arena.restore(payloads, shared.regions)
    return _with(shared.frame, payloads)


def _payloads(frame: Carrier) -> list[Any]:
    if isinstance(frame, Open):
        return [frame.payload]
    found = frame.results if isinstance(frame, Results) else frame.payloads
    return [] if isinstance(found, bytes) else found


def _with(frame: T, payloads: list[Any]) -> T:
    """The frame, whose ``_payloads`` have been changed."""
    if isinstance(frame, Open):
        (frame.payload,) = payloads
    return frame


class Splitter:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that are whole now, without their lengths."""
        rest = self._rest
        rest += data
        frames: list[bytes] = []
        start, end = 0, len(rest)
        while end - start >= 4:
            stop = start + 4 + _LENGTH.unpack_from(rest, start)[0]
            if stop > end:
                break
            frames.append(bytes(rest[start + 4 : stop]))
            start = stop
        del rest[:start]  # what is left of a large frame is moved once, not with every piece
        return frames


class Channel:
    """The worker's end: blocking, read by one thread at a time, written by any."""

    def __init__(
        self,
        reading: socket.socket,
        writing: socket.socket,
        requests: Arena | None = None,
        answers: Arena | None = None,
    ) -> None:
        self._reading, self._writing = reading, writing
        self._requests, self._answers = requests, answers
        for sock in (reading, writing):
            sock.setblocking(True)
        # Not makefile(): a socket's own reader is written in Python.
        self._reader = io.BufferedReader(io.FileIO(reading.fileno(), closefd=False), 1 << 16)
        self._turn = threading.Lock()  # to write
        self._waiting: deque[ToFront] = deque()
        self._posted = threading.Event()
        self._sent = 0.0  # when something was sent last
        self._is_abandoned = False
        threading.Thread(target=self._flush_posted, daemon=True).start()

    def receive(self) -> ToWorker | None:
        """The next frame; None when the front process is gone."""
        while True:
            try:
                head = self._reader.read(4)
            except ConnectionResetError:
                return None
            if len(head) < 4:
                return None
            body = self._reader.read(_LENGTH.unpack(head)[0])
            frame: ToWorker = decode_to_worker(body)
            if isinstance(frame, Shared):
                whole: ToWorker = restored(frame, self._requests)
                # It goes with the next frame: the batch's results, or a pulse at the latest.
                self._waiting.append(Free([region.offset for region in frame.regions]))
                return whole
            if not isinstance(frame, Free):
                return frame
            if self._answers:
                self._answers.free(frame.offsets)

    def send(self, frame: ToFront) -> None:
        """Sends a frame; while another thread is sending, it is left to that one, which sends all
        that has come meanwhile at once."""
        self._waiting.append(frame)
        self.flush()

    def deliver(self, frame: ToFront) -> None:
        """Sends a frame, and returns when it has left: what the caller does next may be a model
        that lets no other thread run."""
        self._waiting.append(frame)
        self._leave_if_abandoned()
        with self._turn:
            self._write()
        self.flush()

    def post(self, frame: ToFront) -> None:
        """Leaves a frame to the next ``flush``; a thread sees to it that one comes soon, for
        whoever posts may take long until then."""
        self._waiting.append(frame)
        if not self._posted.is_set():
            self._posted.set()

    def send_soon(self, frame: ToFront) -> None:
        """Sends a frame: at once, unless something was sent just before; then soon, together with
        what comes meanwhile."""
        self._waiting.append(frame)
        is_posted = self._posted.is_set()
        if time.perf_counter() - self._sent > _SOON * (1 + is_posted):
            self.flush()
        elif not is_posted:
            self._posted.set()

    def _flush_posted(self) -> None:
        while True:
            self._posted.wait()
            time.sleep(_SOON)
            if not self._waiting:  # a while without frames: sleep until the next
                self._posted.clear()
            self.flush()

    def abandon(self) -> None:
        """Closes our copies of the sockets, in a process that was forked from the worker."""
        self._is_abandoned = True
        for sock in (self._reading, self._writing):
            os.close(sock.detach())

    def _leave_if_abandoned(self) -> None:
        if self._is_abandoned:  # a model has forked, and both processes came back to us
            os._exit(0)

    def flush(self) -> None:
        """Sends what waits, unless another thread is just doing it."""
        self._leave_if_abandoned()
        while self._waiting and self._turn.acquire(blocking=False):
            try:
                self._write()
            finally:
                self._turn.release()

    def _write(self) -> None:
        """Sends what waits; whose turn it is may do so."""
        data = b"".join(pack(frame, self._answers) for frame in self._taken())
        if data:
            self._sent = time.perf_counter()
            # Where the front process is gone, whoever reads will see it.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._writing.sendall(data)

    def _taken(self) -> list[ToFront]:
        """What waits, items of one stream that stand side by side in one frame."""
        frames: list[ToFront] = []
        while self._waiting:  # who holds the lock is the only one that takes
            frame = self._waiting.popleft()
            last = frames[-1] if frames else None
            if isinstance(frame, Items) and isinstance(last, Items) and frame.id == last.id:
                last.payloads += frame.payloads
            else:
                frames.append(frame)
        return frames


def places(item: Payload) -> int:
    """How many of a ``WINDOW`` an item takes."""
    return 1 + ((item.size if item.media else len(item.json)) >> 16)


def each(results: list[Any] | bytes) -> Sequence[Payload | dict[str, Any]]:
    """The entries of ``Results``, also as MessagePack leaves them."""
    if isinstance(results, bytes):
        return split(results)
    return [raw if isinstance(raw, dict) else _payload(*raw) for raw in results]


def _payload(json: bytes, media: Any) -> Payload:
    return Payload(json, tuple((data, kind, name) for data, kind, name in media) if media else ())
