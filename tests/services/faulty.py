"""A service with every fault that a model can have, beside methods that have none."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

from pydantic import BaseModel

from mothlight import batched, method, service


class Numbers(BaseModel):
    start: int
    count: int
    delay: float = 0.0


def leave(how: str) -> None:
    match how:
        case "sys.exit":
            sys.exit(3)
        case "os._exit":
            os._exit(4)
        case "abort":
            os.abort()
        case "segfault":
            ctypes.string_at(0)


def hang(how: str) -> None:
    match how:
        case "sleep":
            time.sleep(3600)
        case "spin":
            while True:
                pass
        case "regex":  # it computes for days without letting another thread run
            re.match("(a+)+$", "a" * 64 + "b")


def fork(how: str) -> int:
    """A process that would outlive us by an hour."""
    match how:
        case "os.fork":
            if pid := os.fork():
                return pid
            time.sleep(3600)
        case "both sides return":
            return os.fork() or 1
        case "subprocess":
            return subprocess.Popen(["sleep", "3600"]).pid
        case "multiprocessing":
            context = multiprocessing.get_context("fork")
            process = context.Process(target=time.sleep, args=(3600,))
            process.start()
            assert process.pid
            return process.pid
    raise ValueError(how)


@service
class Faulty:
    def __init__(self) -> None:
        self.hoard: list[bytes] = []

    @batched(max_size=8)
    def echo(self, numbers: list[int]) -> list[int]:
        time.sleep(0.004)
        return [-number for number in numbers]

    @method
    async def echo_async(self, number: int) -> int:
        return -number

    @method
    def count(self, numbers: Numbers) -> Iterator[int]:
        for number in range(numbers.start, numbers.start + numbers.count):
            time.sleep(numbers.delay)
            yield number

    @method
    async def count_async(self, numbers: Numbers) -> AsyncIterator[int]:
        for number in range(numbers.start, numbers.start + numbers.count):
            yield number

    @method
    def pid(self) -> int:
        return os.getpid()

    # The faults

    @method
    def leave(self, how: str) -> None:
        leave(how)

    @method
    def hang(self, how: str) -> None:
        hang(how)

    @method
    def dawdle(self, seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    @method
    def hang_in_stream(self, how: str) -> Iterator[int]:
        yield 1
        hang(how)

    @method
    def fork(self, how: str) -> int:
        return fork(how)

    @batched(max_size=8)
    def miscount(self, numbers: list[int]) -> list[int]:
        return numbers[1:]

    @batched(max_size=8)
    def stumble(self, numbers: list[int]) -> list[int]:
        if any(number % 7 == 0 for number in numbers):
            raise ValueError("a secret")
        return [-number for number in numbers]

    @method
    def chatter(self, mebibytes: int) -> int:
        for _ in range(mebibytes):
            print("x" * 79 + "\n", end="", file=sys.stderr)
            print(("x" * 1023 + "\n") * 1024, end="")
            os.write(1, b"straight to the descriptor\n")
        return mebibytes

    @method
    def exhaust(self, size: int) -> int:
        return len(bytearray(size))

    @method
    def hoard_more(self, mebibytes: int) -> int:
        "Takes memory and never gives it back."
        for _ in range(mebibytes):
            self.hoard.append(os.urandom(1 << 20))
        return len(self.hoard)
