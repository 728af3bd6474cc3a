"""Frames between the front process and a worker: a length, then MessagePack.

front ─ Setup ─> worker ─ Ready | Failed ─> front
front ─ Batch(id, method, payloads) ─> worker ─ Results(id, results, seconds) ─> front
front ─ Open(id) ─> worker ─ Item(id)* , End(id, problem | None) ─> front
front ─ Grant(id, n), Cancel(id) ─> worker        (back-pressure; nobody listens any more)
"""

from __future__ import annotations

import socket
import struct
import threading
from typing import Any

import msgspec

from ..schema import Payload

_LENGTH = struct.Struct("<I")
WINDOW = 64
"""Items of one stream that may be on their way; the reader grants more as it takes them."""


class Setup(msgspec.Struct, tag="setup", array_like=True):
    address: str
    path: list[str]
    main: str | None


class Ready(msgspec.Struct, tag="ready", array_like=True):
    seconds: float


class Failed(msgspec.Struct, tag="failed", array_like=True):
    traceback: str


class Batch(msgspec.Struct, tag="batch", array_like=True):
    id: int
    method: str
    payloads: list[Payload]
    calls: list[str]


class Results(msgspec.Struct, tag="results", array_like=True):
    id: int
    results: list[Any]  # Payload as [json, media], or a problem document as a map
    seconds: float


class Open(msgspec.Struct, tag="open", array_like=True):
    id: int
    method: str
    payload: Payload
    call: str


class Item(msgspec.Struct, tag="item", array_like=True):
    id: int
    payload: Payload


class End(msgspec.Struct, tag="end", array_like=True):
    id: int
    problem: dict[str, Any] | None


class Grant(msgspec.Struct, tag="grant", array_like=True):
    id: int
    count: int


class Cancel(msgspec.Struct, tag="cancel", array_like=True):
    id: int


ToWorker = Setup | Batch | Open | Grant | Cancel
ToFront = Ready | Failed | Results | Item | End

_encode = msgspec.msgpack.Encoder().encode
decode_to_worker = msgspec.msgpack.Decoder(ToWorker).decode
decode_to_front = msgspec.msgpack.Decoder(ToFront).decode


def pack(frame: ToWorker | ToFront) -> bytes:
    """A frame with its length before it (4 bytes, little-endian)."""
    body = _encode(frame)
    return _LENGTH.pack(len(body)) + body


class Splitter:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[memoryview | bytes]:
        """The frames that are whole now, without their lengths."""
        rest: bytes | bytearray = data
        if self._rest:
            self._rest += data
            rest = self._rest
        frames: list[memoryview | bytes] = []
        start, end = 0, len(rest)
        while end - start >= 4:
            stop = start + 4 + _LENGTH.unpack_from(rest, start)[0]
            if stop > end:
                break
            frames.append(bytes(rest[start + 4 : stop]))
            start = stop
        self._rest = bytearray(rest[start:])
        return frames


class Channel:
    """The worker's end: blocking, read by one thread at a time, written by any."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._socket = sock
        self._reader = sock.makefile("rb", buffering=1 << 16)
        self._writing = threading.Lock()

    def receive(self) -> ToWorker | None:
        """The next frame; None when the front process is gone."""
        head = self._reader.read(4)
        if len(head) < 4:
            return None
        body = self._reader.read(_LENGTH.unpack(head)[0])
        frame: ToWorker = decode_to_worker(body)
        return frame

    def send(self, frame: ToFront) -> None:
        data = pack(frame)
        with self._writing:
            self._socket.sendall(data)


def problem_or_payload(raw: Any) -> Payload | dict[str, Any]:
    """One entry of ``Results``, as MessagePack leaves it."""
    if isinstance(raw, dict):
        return raw
    json, media = raw
    return Payload(json, tuple((data, kind, name) for data, kind, name in media))
