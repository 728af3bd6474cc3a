"""Runners that a test holds in its hand, and a scheduler above them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from mothlight import batched, method, service
from mothlight.backend.base import Reply, Request
from mothlight.backend.scheduler import Scheduler
from mothlight.backend.ticket import Ticket
from mothlight.schema import Payload
from mothlight.services import Method, Service


@service
class Model:
    @batched(max_size=4)
    def many(self, xs: list[int]) -> list[int]:
        return xs

    @batched(max_size=4, max_wait=0.05)
    def patient(self, xs: list[int]) -> list[int]:
        return xs

    @method
    def alone(self, x: int) -> int:
        return x

    @method
    async def beside(self, x: int) -> int:
        return x


METHODS: dict[str, Method[Any, Any, Any]] = Service.of(Model).methods


class Held:
    """A runner that runs one batch of each kind at a time and ends it when it is told to."""

    def __init__(self, places: int = 1) -> None:
        self.places = places
        self.batches: list[tuple[str, list[Ticket]]] = []
        self.all: list[tuple[str, list[str]]] = []
        self.dropped: list[str] = []
        self.remains = 0.0
        self.scheduler: Scheduler

    def room(self, method: Method[Any, Any, Any], waiting: int) -> int:
        return max(
            0, self.places - sum(METHODS[n].is_async == method.is_async for n, _ in self.batches)
        )

    @property
    def is_open(self) -> bool:
        return True

    def left(self, now: float) -> float:
        return self.remains

    def drop(self, ticket: Ticket) -> None:
        self.dropped.append(ticket.request.id)

    def run(
        self, method: Method[Any, Any, Any], tickets: Sequence[Ticket], predicted: float
    ) -> None:
        assert tickets, "an empty batch"
        self.batches.append((method.name, list(tickets)))
        self.all.append((method.name, [t.request.id for t in tickets]))

    def finish(self, index: int = 0) -> None:
        _, tickets = self.batches.pop(index)
        for ticket in tickets:
            ticket.answer(Payload(ticket.request.id.encode()), 0.0, len(tickets))
        self.scheduler.dispatch()


def make(*runners: Held, max_queue: int = 100) -> Scheduler:
    scheduler = Scheduler(lambda: runners, max_queue=max_queue)
    for runner in runners:
        runner.scheduler = scheduler
    return scheduler


def submit(
    scheduler: Scheduler, name: str, id: str, timeout: float | None = None
) -> asyncio.Future[Reply]:
    loop = asyncio.get_running_loop()
    deadline = None if timeout is None else loop.time() + timeout
    request = Request(METHODS[name], Payload(b"1"), id, deadline)
    return scheduler.place(request)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def leave_all(scheduler: Scheduler) -> None:
    for ticket in list(scheduler.live):
        ticket.cancel()


def known(name: str, seconds: float, *runners: Held, **options: Any) -> Scheduler:
    """A scheduler that has learnt what calls of one method cost."""
    scheduler = Scheduler(lambda: runners, **{"max_queue": 1000, **options})
    for runner in runners:
        runner.scheduler = scheduler
    scheduler.line(METHODS[name]).learn(1, seconds, scheduler.clock())
    return scheduler
