"""Arena: memory that the front process and a worker share, for files too large for their socket.

sender ─ copies a file into a region ─ Shared(frame, regions) ─> receiver ─ copies it out
sender <─ Free(offsets) ─ receiver

Each direction has an arena of its own, in which only the sender says what is taken: so nothing is
locked between processes, and nobody ever waits. What finds no room goes through the socket.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from ..schema import Payload

LEAST = 128 * 1024
"""Bytes from which on a file goes this way; below, the socket is as good (bench/handover.py)."""

_KEPT = 32 * 1024 * 1024
"""Bytes that an arena may keep when nothing is in it; more are given back to the system."""

_PAGE = 4096


class Region(NamedTuple):
    """Where the bytes of a frame's file lie; ``payload`` and ``file`` count from 0."""

    payload: int
    file: int
    offset: int
    size: int


class Arena:
    """The shared memory behind a descriptor (``memory.share``), which ends with it. The sender uses
    ``lend`` and ``free``, the receiver ``restore``; either may do so from any thread."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor, self.size = descriptor, os.fstat(descriptor).st_size
        self._memory = mmap.mmap(descriptor, self.size)
        self._lock = threading.Lock()
        self._taken: dict[int, int] = {}  # where each region begins and ends
        self._used = 0  # up to where memory has been written

    @classmethod
    def of(cls, descriptor: int, is_used: bool) -> Arena | None:
        """The memory behind a descriptor, which is closed where nobody uses it; None for 0."""
        if descriptor and is_used:
            return cls(descriptor)
        if descriptor:
            os.close(descriptor)
        return None

    def close(self) -> None:
        """Gives the memory back, once the other side has closed it too."""
        self._memory.close()
        os.close(self.descriptor)

    @property
    def taken(self) -> int:
        """How many regions are on their way."""
        return len(self._taken)

    def lend(self, payloads: list[Any]) -> list[Region]:
        """Copies the large files among ``payloads`` in, and leaves empty ones in their places; what
        is no payload (a problem) stays as it is."""
        regions: list[Region] = []
        for index, payload in enumerate(payloads):
            if not isinstance(payload, Payload) or not payload.media:
                continue
            for file, (data, _, _) in enumerate(payload.media):
                if len(data) >= LEAST and (offset := self._put(data)) is not None:
                    regions.append(Region(index, file, offset, len(data)))
                    payloads[index] = _replaced(payloads[index], file, b"")
        return regions

    def restore(self, payloads: list[Any], regions: Sequence[Region]) -> None:
        """Copies files out, into the places from which they were lent. ValueError where regions do
        not lie in the arena, or are more than it can hold; IndexError where there is no such
        place."""
        if sum(region.size for region in regions) > self.size:
            raise ValueError("more was lent than there is")
        for index, file, offset, size in regions:
            if offset < 0 or size < 0 or offset + size > self.size:
                raise ValueError("a region is not in its arena")
            data = self._memory[offset : offset + size]
            payloads[index] = _replaced(payloads[index], file, data)

    def free(self, offsets: Iterable[int]) -> None:
        """Takes regions back that have been copied out."""
        with self._lock:
            for offset in offsets:
                self._taken.pop(offset, None)
            if not self._taken and self._used > _KEPT:
                with contextlib.suppress(OSError):  # a sandbox need not know how
                    self._memory.madvise(mmap.MADV_REMOVE, 0, self._used)
                self._used = 0

    def _put(self, data: bytes) -> int | None:
        """Where the bytes are now; None where there is no room."""
        with self._lock:
            offset = self._gap(len(data))
            end = offset + -(-len(data) // _PAGE) * _PAGE
            if end > self.size:
                return None
            self._taken[offset] = end
            self._used = max(self._used, end)
        self._memory[offset : offset + len(data)] = data
        return offset

    def _gap(self, size: int) -> int:
        """The first place with so much room: low ones are warm in the processor's caches, and
        memory that was never written costs nothing."""
        found = 0
        for begin, end in sorted(self._taken.items()):
            if begin - found >= size:
                break
            found = end
        return found


def _replaced(payload: Any, file: int, data: bytes) -> Payload:
    """A payload (or what MessagePack makes of it) with other bytes in one of its files."""
    json, media = payload
    _, kind, name = media[file]
    return Payload(json, (*media[:file], (data, kind, name), *media[file + 1 :]))
