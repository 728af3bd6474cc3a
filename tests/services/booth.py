"""A service that is talked to: methods that take a stream, of every kind."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from mothlight import Error, File, current_call, method, service


class Tired(Error):
    "after {count}"

    count: int


def mark(path: str, what: str) -> None:
    Path(f"{path}.{what}").touch()


@service
class Booth:
    # Both ways

    @method
    def echo(self, words: Iterator[str]) -> Iterator[str]:
        for word in words:
            yield word.upper()

    @method
    async def echo_async(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        async for word in words:
            yield word.upper()

    @method
    def echo_delegated(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        return self._echo(words)

    async def _echo(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        async for word in words:
            yield word.upper()

    @method(raises=[Tired])
    def tire(self, numbers: Iterator[int]) -> Iterator[int]:
        for count, number in enumerate(numbers):
            if number < 0:
                raise Tired(count=count)
            yield number

    @method(raises=[Tired])
    async def tire_async(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        count = 0
        async for number in numbers:
            if number < 0:
                raise Tired(count=count)
            count += 1
            yield number

    @method
    def first(self, numbers: Iterator[int]) -> Iterator[int]:
        "Ends before its client does."
        yield next(numbers)

    @method
    async def first_async(self, numbers: AsyncIterator[int]) -> AsyncIterator[int]:
        yield await anext(numbers)

    @method
    def copy(self, files: Iterator[File]) -> Iterator[File]:
        for file in files:
            yield File(file.data[::-1], media_type="application/x-copy")

    @method
    async def copy_async(self, files: AsyncIterator[File]) -> AsyncIterator[File]:
        async for file in files:
            yield File(file.data[::-1], media_type="application/x-copy")

    @method
    def sip(self, words: Iterator[str]) -> Iterator[str]:
        "Takes the next word only once somebody has let it: a file beside the first one, a path."
        path = next(words)
        yield path
        for count, word in enumerate(words, 1):
            while not Path(f"{path}.{count}").exists() and not current_call().cancelled:
                time.sleep(0.002)
            yield word

    @method
    def stay(self, paths: Iterator[str]) -> Iterator[str]:
        "Leaves a mark however it ends: with what it was told."
        path = next(paths)
        try:
            yield path
            yield from paths
        except BaseException as error:
            mark(path, type(error).__name__)
            raise
        finally:
            mark(path, "ended")

    @method
    async def stay_async(self, paths: AsyncIterator[str]) -> AsyncIterator[str]:
        path = await anext(paths)
        try:
            yield path
            async for path_again in paths:
                yield path_again
        except BaseException as error:
            mark(path, type(error).__name__)
            raise
        finally:
            mark(path, "ended")

    @method
    async def impatient(self, words: AsyncIterator[str]) -> AsyncIterator[str]:
        "Says that it waits, as often as it does so for 10 ms."
        while True:
            try:
                word = await asyncio.wait_for(anext(words), 0.01)
            except TimeoutError:
                yield "..."
            except StopAsyncIteration:
                return
            else:
                yield word

    @method
    def die(self, numbers: Iterator[int]) -> Iterator[int]:
        yield from numbers
        os.kill(os.getpid(), signal.SIGKILL)

    # To one answer

    @method(example=[1, 2, 3])
    def sum(self, numbers: Iterator[int]) -> int:
        return sum(numbers)

    @method(example=[1, 2, 3])
    async def sum_async(self, numbers: AsyncIterator[int]) -> int:
        total = 0
        async for number in numbers:
            total += number
        return total

    @method
    def weigh(self, files: Iterator[File]) -> int:
        return sum(len(file.data) for file in files)

    @method
    def tired(self, numbers: Iterator[int]) -> int | Tired:
        "Returns its error."
        return Tired(count=sum(1 for _ in numbers))

    @method
    async def tired_async(self, numbers: AsyncIterator[int]) -> int | Tired:
        return Tired(count=len([number async for number in numbers]))

    @method(example=2)
    def count_delegated(self, count: int) -> AsyncIterator[int]:
        return self._count(count)

    async def _count(self, count: int) -> AsyncIterator[int]:
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    # Whose call it is

    @method
    def whose(self) -> str:
        return current_call().principal

    @method
    def whose_stream(self, numbers: Iterator[int]) -> Iterator[str]:
        for _ in numbers:
            yield current_call().principal

    @method
    async def whose_async(self, count: int) -> AsyncIterator[str]:
        for _ in range(count):
            yield current_call().principal
