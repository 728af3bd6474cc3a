"""The server's side of a WebSocket (RFC 6455), frame by frame, as a vector's script says."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import struct
from collections.abc import Mapping
from typing import Any

from conformance.vectors import Mismatch, Names

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class Socket:
    """One connection: ``follow`` upgrades it and plays its script."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, names: Names
    ) -> None:
        self.reader, self.writer, self.names = reader, writer, names
        self._is_cut = False

    async def follow(self, headers: Mapping[str, str], script: list[Any]) -> None:
        """Raises Mismatch where the client says something else."""
        digest = hashlib.sha1(headers["sec-websocket-key"].encode() + _GUID).digest()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "upgrade: websocket",
            "connection: Upgrade",
            "sec-websocket-protocol: mothlight.v1",
            f"sec-websocket-accept: {base64.b64encode(digest).decode()}",
        ]
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        for step in script:
            match step:
                case {"send": {"base64": text}}:
                    await self._send(BINARY, base64.b64decode(text))
                case {"send": str() as text}:
                    await self._send(TEXT, text.encode())
                case {"send": value}:
                    await self._send(TEXT, json.dumps(self.names.fill(value)).encode())
                case {"receive": expected}:
                    await self._expect(expected)
                case {"cut": True}:
                    # Half closed: to close with messages unread would reset the connection, and
                    # take away what the client has not read.
                    self._is_cut = True
                    self.writer.write_eof()
                    await self._until_closed()
                    return
                case {"close": code}:
                    await self._send(CLOSE, struct.pack("!H", code))
                    await self._until_closed()
                    return
                case {"closed": True}:
                    await self._until_closed()
                    return
        await self._send(CLOSE, struct.pack("!H", 1000))
        await self._until_closed()

    async def _send(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        head = (
            bytes([0x80 | kind, size])
            if size < 126
            else struct.pack("!BBH", 0x80 | kind, 126, size)
        )
        self.writer.write(head + payload)
        await self.writer.drain()

    async def _expect(self, expected: Any) -> None:
        while True:
            kind, payload = await self._frame()
            if kind == PING:
                await self._send(PONG, payload)
            elif kind != PONG:
                break
        found = (
            json.loads(payload) if kind == TEXT else {"base64": base64.b64encode(payload).decode()}
        )
        if kind == CLOSE or found != self.names.fill(expected):
            raise Mismatch(f"the frame {payload!r} ({kind}) came, expected is {expected}")

    async def _until_closed(self) -> None:
        """Reads on until the client is gone: it must close its side."""
        while True:
            try:
                kind, payload = await self._frame()
            except (asyncio.IncompleteReadError, OSError):
                return
            if kind == CLOSE:
                if not self._is_cut:
                    await self._send(CLOSE, payload[:2])
                return

    async def _frame(self) -> tuple[int, bytes]:
        first, second = await self.reader.readexactly(2)
        if not second & 0x80 or not first & 0x80:
            raise Mismatch("a client's frames are masked, and in one piece")
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", await self.reader.readexactly(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(size)
        return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
