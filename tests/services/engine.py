"""A service that lets the tests see what happens inside a worker."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from pydantic import BaseModel

from mothlight import Step, batched, current_call, current_calls, method, service, stepped


class Task(BaseModel):
    """``path``: beside it stand the marks of what the call has done."""

    path: str = ""
    count: int = 1_000_000
    close_after: int = 0


def mark(path: str, what: str) -> None:
    Path(f"{path}.{what}").touch()


class Run:
    def __init__(self, task: Task) -> None:
        self.task, self.at = task, 0

    def close(self) -> None:
        mark(self.task.path, "closed")


def beget() -> None:
    time.sleep(60)


@service
class Engine:
    def __init__(self) -> None:
        self.runs: list[list[str]] = []

    @batched(max_size=8, example=2)
    def double(self, xs: list[int]) -> list[int]:
        self.runs.append([call.id for call in current_calls()])
        if 0 in xs:
            raise ValueError("a secret")
        return [2 * x for x in xs]

    @method
    def seen(self) -> list[list[str]]:
        "The calls of every run of ``double``."
        return self.runs

    @method
    def work(self, task: Task) -> bool:
        "Begins, and computes until nobody waits any more, or the file .go stands there."
        mark(task.path, "began")
        end = time.monotonic() + 20
        while not current_call().cancelled and time.monotonic() < end:
            if Path(f"{task.path}.go").exists():
                return False
            time.sleep(0.001)
        mark(task.path, "left")
        return True

    @method
    async def sleep(self, task: Task) -> bool:
        mark(task.path, "began")
        try:
            await asyncio.sleep(20)
        finally:
            mark(task.path, "left")
        return True

    @batched(max_size=8)
    async def sleep_together(self, tasks: list[Task]) -> list[bool]:
        return [await self.sleep(tasks[0])] * len(tasks)

    @method
    def count(self, task: Task) -> Iterator[int]:
        try:
            yield from range(task.count)
        finally:
            mark(task.path, "closed")

    @method
    async def count_async(self, task: Task) -> AsyncIterator[int]:
        try:
            for number in range(task.count):
                yield number
                await asyncio.sleep(0.005)
        finally:
            mark(task.path, "closed")

    def start(self, task: Task) -> Run:
        return Run(task)

    @stepped(start, max_size=2)
    def step(self, runs: list[Run]) -> list[Step[int]]:
        for run in runs:
            run.at += 1
        return [Step(run.at - 1, done=run.at == run.task.count) for run in runs]

    @method
    def say(self, text: str) -> str:
        print(text)
        print(text, file=sys.stderr)
        return text

    @method
    def fork(self, how: str) -> int:
        "Starts a process that lives on."
        if how == "multiprocessing":
            child = multiprocessing.get_context("fork").Process(target=beget)
            child.start()
            return child.pid or 0
        if how == "subprocess":
            return subprocess.Popen(["sleep", "60"], close_fds=False).pid
        return os.fork() and os.getpid()  # both come back

    @method
    def hold(self, path: str) -> None:
        "Never ends, and never lets go of the interpreter for long."
        mark(path, "began")
        while True:
            pass
