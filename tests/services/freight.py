"""A service whose messages and answers are files of any size."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel

from mothlight import File, FileLimits, Step, batched, method, service, stepped

Large = Annotated[File, FileLimits(max_bytes=256 * 1024 * 1024)]


class Pair(BaseModel):
    first: Large
    second: Large
    wait_for: str = ""
    "A file that has to stand there before the answer is given."


class Slice(BaseModel):
    at: int
    file: Large


class Cutting:
    def __init__(self, file: File) -> None:
        self.file, self.at = file, 0


@service
class Freight:
    @method
    def turn(self, file: Large) -> Large:
        return File(file.data[::-1])

    @batched(max_size=4)
    def swap(self, pairs: list[Pair]) -> list[Pair]:
        end = time.monotonic() + 20
        for pair in pairs:
            while pair.wait_for and not Path(pair.wait_for).exists():
                assert time.monotonic() < end
                time.sleep(0.002)
        return [Pair(first=pair.second, second=pair.first) for pair in pairs]

    @method
    async def turn_slowly(self, file: Large) -> Large:
        await asyncio.sleep(0.01)
        return File(file.data[::-1])

    @method
    def cut(self, file: Large) -> Iterator[Slice]:
        "Ten slices, the same bytes each."
        for at in range(10):
            yield Slice(at=at, file=file)

    def start(self, file: Large) -> Cutting:
        return Cutting(file)

    @stepped(start, max_size=4)
    def chop(self, cuttings: list[Cutting]) -> list[Step[Slice]]:
        for cutting in cuttings:
            cutting.at += 1
        return [Step(Slice(at=c.at - 1, file=c.file), done=c.at == 3) for c in cuttings]

    @method
    def weigh(self, file: Large) -> int:
        return len(file.data)

    @method
    def die(self, file: Large) -> None:
        os._exit(3)
