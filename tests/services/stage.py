"""A service that writes down what it does, and waits for its cue: in files, for its replicas and
their workers are processes. ``STAGE`` in the environment is the folder."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from mothlight import Code, Error, File, Step, method, service, stepped
from mothlight.errors import Overloaded


class Forgotten(Error):
    "the line {line} is forgotten"

    code = Code.DATA_LOSS
    line: int


def folder() -> Path:
    return Path(os.environ["STAGE"])


def note(what: str) -> None:
    with (folder() / "notes").open("a") as notes:
        notes.write(f"{what}\n")


async def cue(name: str) -> None:
    while not (folder() / name).exists():
        await asyncio.sleep(0.002)


@service
class Stage:
    @method
    def double(self, x: int) -> int:
        note(f"double {x}")
        return 2 * x

    @method
    async def wait(self, x: int) -> int:
        note(f"wait {x}")
        try:
            await cue("go")
        finally:
            note(f"left {x}")
        return x

    @method
    def block(self, x: int) -> int:
        """As ``wait``, and the calls that come meanwhile are queued."""
        note(f"block {x}")
        while not (folder() / "go").exists():
            time.sleep(0.002)
        return x

    @method(raises=[Forgotten])
    def forget(self, line: int) -> int:
        note(f"forget {line}")
        raise Forgotten(line=line)

    @method
    def paint(self, size: int) -> File:
        note(f"paint {size}")
        return File(bytes(range(256)) * size, media_type="image/x-test", name="a.bin")

    @method
    def count(self, n: int) -> Iterator[int]:
        note(f"count {n}")
        yield from range(1, n + 1)

    @method
    async def drip(self, n: int) -> AsyncIterator[int]:
        """Half of its items, and the others at the cue."""
        note(f"drip {n}")
        try:
            for x in range(1, n + 1):
                if x == n // 2 + 1:
                    await cue("go")
                yield x
        finally:
            note(f"left {n}")

    @method
    async def flood(self, n: int) -> AsyncIterator[str]:
        """So many items of a KiB."""
        for x in range(1, n + 1):
            note(f"flood {x}")
            yield f"{x:04d}" * 256

    @method
    def balk(self, x: int) -> int:
        """Says what a queue would say, but it has run."""
        note(f"balk {x}")
        raise Overloaded(retry_after=1.0)

    @method
    def weigh(self, file: File) -> str:
        note(f"weigh {file.name}")
        return f"{file.name} {file.media_type} {len(file.data)}"

    def foot(self, n: int) -> list[int]:
        note(f"climb {n}")
        return list(range(1, n + 1))

    @stepped(foot, max_size=1)
    def climb(self, states: list[list[int]]) -> list[Step[int]]:
        """All items at the cue; the third stream that comes is queued."""
        if (folder() / "go").exists():
            return [Step(*state, done=True) for state in states]
        time.sleep(0.002)
        return [Step() for _ in states]

    @method
    def sum(self, numbers: Iterator[int]) -> int:
        return sum(numbers)
