"""Server-sent events out of bytes, however they are cut (WHATWG HTML, 9.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_BREAK = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its type ("" where it has none), its data, and the last id up to it."""

    type: str
    data: bytes
    id: str


class TooLong(ValueError):
    """An event is over the decoder's limit."""


class Decoder:
    """Give it the bytes as they come; ``feed`` yields the events that they complete. An event that
    no blank line ends is none. ``limit`` bounds the bytes of one event (TooLong)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._line: list[bytes] = []  # the pieces of the line that is not yet whole
        self._held = 0  # bytes of the event that is not yet whole
        self._after_cr = False
        self._at_start = True
        self._type, self._data, self._id = "", list[bytes](), ""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        if not chunk:
            return
        if self._after_cr and chunk.startswith(b"\n"):  # the second half of a CRLF
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        self._held += len(chunk)
        *whole, rest = _BREAK.split(chunk)
        for line in whole:
            self._line.append(line)
            joined = b"".join(self._line)
            self._line.clear()
            if event := self._take(joined):
                yield event
        self._line.append(rest)
        if self._held > self.limit:
            raise TooLong(f"an event is longer than {self.limit} bytes")

    def _take(self, line: bytes) -> Event | None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data":
                self._data.append(value)
            case b"event":
                self._type = value.decode("utf-8", "replace")
            case b"id" if b"\0" not in value:
                self._id = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> Event | None:
        event = Event(self._type, b"\n".join(self._data), self._id) if self._data else None
        self._type, self._data, self._held = "", [], 0
        return event
