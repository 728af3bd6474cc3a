"""A service with every kind of method, for calls that carry a number of their own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

from pydantic import BaseModel

from mothlight import Cancelled, Error, Step, batched, current_call, method, service, stepped


class Job(BaseModel):
    """``kind``: "", "refuse" (a declared error) or "fail" (an exception)."""

    n: int
    count: int = 1
    kind: str = ""
    seconds: float = 0.0
    padding: str = ""


class Item(BaseModel):
    n: int
    at: int = 0


class Refused(Error):
    "{n} is refused"

    n: int


def answer(job: Job) -> Item | Refused:
    if job.kind == "fail":
        raise ValueError(f"a secret of {job.n}")
    return Refused(n=job.n) if job.kind == "refuse" else Item(n=job.n)


class State:
    open = 0
    "How many there are that have not been closed."

    def __init__(self, job: Job) -> None:
        self.job, self.at = job, 0
        State.open += 1

    def close(self) -> None:
        State.open -= 1


@service
class Mill:
    @batched(max_size=8)
    def together(self, jobs: list[Job]) -> list[Item | Refused]:
        time.sleep(max(job.seconds for job in jobs))
        return [answer(job) for job in jobs]

    @batched(max_size=4, max_wait=0.005)
    def patient(self, jobs: list[Job]) -> list[Item | Refused]:
        return [answer(job) for job in jobs]

    @batched(max_size=4, idempotent=False)
    def once(self, jobs: list[Job]) -> list[Item | Refused]:
        return [answer(job) for job in jobs]

    @method(raises=[Refused])
    def alone(self, job: Job) -> Item:
        end = time.monotonic() + job.seconds
        while time.monotonic() < end:
            if current_call().cancelled:
                raise Cancelled
            time.sleep(0.001)
        found = answer(job)
        if isinstance(found, Refused):
            raise found
        return found

    @method(raises=[Refused])
    async def aside(self, job: Job) -> Item:
        await asyncio.sleep(job.seconds)
        found = answer(job)
        if isinstance(found, Refused):
            raise found
        return found

    @method(raises=[Refused])
    def count(self, job: Job) -> Iterator[Item]:
        for at in range(job.count):
            time.sleep(job.seconds)
            yield Item(n=job.n, at=at)
        if isinstance(found := answer(job), Refused):
            raise found

    @method(raises=[Refused])
    async def count_async(self, job: Job) -> AsyncIterator[Item]:
        for at in range(job.count):
            await asyncio.sleep(job.seconds)
            yield Item(n=job.n, at=at)
        if isinstance(found := answer(job), Refused):
            raise found

    def start(self, job: Job) -> State:
        return State(job)

    @stepped(start, max_size=4)
    def step(self, states: list[State]) -> list[Step[Item] | Refused]:
        time.sleep(max(state.job.seconds for state in states))
        given: list[Step[Item] | Refused] = []
        for state in states:
            job, at = state.job, state.at
            state.at += 1
            if at < job.count:
                given.append(Step(Item(n=job.n, at=at)))
            elif job.kind == "refuse":
                given.append(Refused(n=job.n))
            else:
                given.append(Step(done=True))
        return given

    @method
    async def states(self) -> int:
        return State.open
