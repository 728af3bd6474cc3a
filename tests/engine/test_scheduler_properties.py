"""The scheduler under random arrivals, sizes, priorities, deadlines, cancels, errors and deaths.

Whatever happens: each call ends exactly once, with its own answer or a typed error; no batch is
larger than its method allows; nothing is left behind; no runner idles while a call waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from clock import run
from mothlight import batched, method, metrics, service
from mothlight.backend.base import Request
from mothlight.backend.queue import rank
from mothlight.backend.scheduler import Scheduler
from mothlight.backend.ticket import Ticket
from mothlight.errors import DeadlineExceeded, Error, Internal, Overloaded, Unavailable
from mothlight.schema import Payload
from mothlight.services import Service


class Message(BaseModel):
    n: int


@service
class Work:
    @batched(max_size=8)
    def together(self, messages: list[Message]) -> list[Message]:
        return messages

    @batched(max_size=4, max_wait=0.02)
    def patient(self, messages: list[Message]) -> list[Message]:
        return messages

    @method
    def alone(self, message: Message) -> Message:
        return message


METHODS = list(Service.of(Work).methods.values())


class Runner:
    """Answers a batch after a time that grows with its size."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.free_at = 0.0
        self.dropped: set[str] = set()
        self.held: dict[asyncio.Task[None], Sequence[Ticket]] = {}
        self.dead = False

    def room(self, method: Any, waiting: int) -> int:
        if self.dead:
            return 0
        full = waiting >= (method.batching.max_size if method.batching else 1)
        return 2 if not self.held else int(full and len(self.held) < 2)

    @property
    def is_open(self) -> bool:
        return not self.dead

    def left(self, now: float) -> float:
        return max(0.0, self.free_at - now) if self.held else 0.0

    def run(self, method: Any, tickets: Sequence[Ticket], predicted: float) -> None:
        world = self.world
        assert tickets, "an empty batch"
        assert len(tickets) <= (method.batching.max_size if method.batching else 1)
        assert len({t.request.method for t in tickets}) == 1
        assert not any(t.done() for t in tickets), "an ended call was handed out"
        for ticket in tickets:
            assert ticket.request.id not in world.handed, "a call was handed out twice"
            world.handed.add(ticket.request.id)
        now = asyncio.get_running_loop().time()
        self.free_at = now + self.left(now) + predicted
        task = asyncio.ensure_future(self._work(method, tickets))
        self.held[task] = tickets

    async def _work(self, method: Any, tickets: Sequence[Ticket]) -> None:
        world, task = self.world, asyncio.current_task()
        seconds = 0.004 + 0.001 * len(tickets)
        await asyncio.sleep(seconds)
        for ticket in tickets:
            if world.random.random() < 0.05:
                ticket.fail(Internal())
            else:
                ticket.answer(ticket.request.payload, seconds, len(tickets))
        now = asyncio.get_running_loop().time()
        world.scheduler.line(method).learn(len(tickets), seconds, now)
        assert task
        del self.held[task]
        world.scheduler.dispatch()

    def drop(self, ticket: Ticket) -> None:
        assert ticket.done() and any(ticket in held for held in self.held.values())
        assert ticket.request.id not in self.dropped, "dropped twice"
        self.dropped.add(ticket.request.id)

    def die(self) -> None:
        self.dead = True
        for task, tickets in self.held.items():
            task.cancel()
            for ticket in tickets:
                ticket.fail(Unavailable(reason="died"))
        self.held.clear()
        self.world.runners.remove(self)
        self.world.spawn(self.world.replace())


class World:
    def __init__(self, seed: int) -> None:
        """Made on the event loop that it lives on."""
        self.random = random.Random(seed)
        self.handed: set[str] = set()
        self.runners: list[Runner] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.ends: dict[str, int] = {}
        self.scheduler = Scheduler(
            lambda: self.runners,
            max_queue=self.random.choice([3, 30, 300]),
            max_bytes=self.random.choice([200, 10_000]),
            max_delay=self.random.choice([0.01, 5.0]),
            clock=asyncio.get_running_loop().time,
        )

    def spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)

    async def replace(self) -> None:
        await asyncio.sleep(0.05)
        self.runners.append(Runner(self))
        self.scheduler.dispatch()

    async def call(self, number: int) -> None:
        loop, rnd = asyncio.get_running_loop(), self.random
        await asyncio.sleep(rnd.uniform(0, 0.2))
        deadline = loop.time() + rnd.uniform(0, 0.1) if rnd.random() < 0.3 else None
        request = Request(
            rnd.choice(METHODS),
            Payload(b'{"n":%d}' % number + b" " * rnd.choice([0, 0, 50])),
            f"call-{number}",
            deadline,
            urgency=rnd.choice([0, 2, 3, 3, 3, 5, 7]),
            principal=rnd.choice("aaabc"),
        )
        outcome: Any = None
        try:
            ticket = self.place(request)
            if rnd.random() < 0.2:
                loop.call_later(rnd.uniform(0, 0.03), ticket.cancel)
            outcome = await ticket
            assert outcome.payload == request.payload, "another caller's answer"
        except asyncio.CancelledError:
            outcome = "cancelled"
        except Overloaded as error:
            assert error.retry_after > 0
            assert request.id not in self.handed, "refused after it had cost something"
        except DeadlineExceeded:
            assert deadline is not None and loop.time() >= deadline
        except Error as error:
            assert isinstance(error, (Internal, Unavailable)), error
        self.ends[request.id] = self.ends.get(request.id, 0) + 1

    def place(self, request: Request) -> Ticket:
        """Hands a call in, and looks at who had to make room for it."""
        before = [ticket for line in self.scheduler.lines.values() for ticket in line.queue]
        full = (request.method.qualname, "full")
        refused = metrics._refused.by[full]
        try:
            ticket = self.scheduler.place(request)
        except Error:
            assert not any(t.done() for t in before), "somebody made room in vain"
            if metrics._refused.by[full] > refused:
                self.check_refusal(request, before)
            raise
        self.check_victims(request, before)
        return ticket

    def check_refusal(self, request: Request, before: list[Ticket]) -> None:
        assert not self.fits(request, before)
        place = rank(request.urgency)
        rest = [
            t
            for t in before
            if rank(t.urgency) <= place
            and not (t.principal == request.principal and t.urgency > request.urgency)
        ]
        assert not self.fits(request, rest), "the less urgent would have been enough"
        if self.are_bytes_short(request, before):
            return
        assert rest == before, "one would have been enough"
        peers = Counter(t.principal for t in before if rank(t.urgency) == place)
        own = peers.pop(request.principal, 0)
        assert max(peers.values(), default=0) <= own + 1

    def check_victims(self, request: Request, before: list[Ticket]) -> None:
        gone = [t for t in before if t.done()]
        assert all(isinstance(t.exception(), Overloaded) for t in gone)
        rest = [t for t in before if not t.done()]
        assert self.fits(request, rest), "more wait than may"
        assert not gone or any(not self.fits(request, [*rest, t]) for t in gone), "one too many"
        is_short = self.are_bytes_short(request, before)
        new = request.payload.size if is_short else 1
        place = rank(request.urgency)
        for one in gone:
            assert rank(one.urgency) >= max((rank(t.urgency) for t in rest), default=place)
            same = [t for t in rest if rank(t.urgency) == rank(one.urgency)]
            kept = [t for t in same if t.principal == one.principal]
            last = one.urgency, one.since
            assert all((t.urgency, t.since) <= last for t in kept), "not his last"
            if one.principal == request.principal:
                assert one.urgency > request.urgency
            elif rank(one.urgency) == place:
                own = [t for t in same if t.principal == request.principal]
                had, has = (sum(t.size if is_short else 1 for t in some) for some in (own, kept))
                assert has >= had + new, "as good a claim"

    def are_bytes_short(self, request: Request, waiting: list[Ticket]) -> bool:
        held = sum(t.size for t in waiting)
        return bool(waiting) and held + request.payload.size > self.scheduler.max_bytes

    def fits(self, request: Request, waiting: list[Ticket]) -> bool:
        is_short = self.are_bytes_short(request, waiting)
        return not is_short and len(waiting) < self.scheduler.max_queue

    async def watch(self) -> None:
        """No runner idles while a call waits that nothing holds back."""
        while True:
            await asyncio.sleep(0.003)
            idle = [r for r in self.runners if not r.held and not r.dead]
            waits = [
                t
                for m, line in self.scheduler.lines.items()
                for t in line.queue
                if not (m.batching and m.batching.max_wait)
            ]
            assert not (idle and waits), "a runner idles while a call waits"

    async def live(self, calls: int, workers: int, deaths: int) -> None:
        self.runners = [Runner(self) for _ in range(workers)]
        watcher = asyncio.ensure_future(self.watch())
        for number in range(calls):
            self.spawn(self.call(number))
        for _ in range(deaths):
            await asyncio.sleep(self.random.uniform(0, 0.1))
            if self.runners:
                self.random.choice(self.runners).die()
        while self.tasks:
            done, _ = await asyncio.wait(self.tasks)
            self.tasks -= done
            for task in done:
                task.result()
        await asyncio.sleep(1.0)  # batches whose callers have all left end too
        assert not watcher.done(), watcher.exception()
        watcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher
        assert self.ends == {f"call-{n}": 1 for n in range(calls)}
        assert self.scheduler.waiting == 0 and self.scheduler.bytes == 0
        assert not any(len(line.queue) for line in self.scheduler.lines.values())
        assert not self.scheduler.live
        assert not any(runner.held for runner in self.runners)


@pytest.mark.timeout(400)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32),
    calls=st.integers(1, 36),
    workers=st.integers(1, 3),
    deaths=st.integers(0, 3),
)
def test_every_call_ends_once_with_its_own_answer(
    seed: int, calls: int, workers: int, deaths: int
) -> None:
    async def main() -> None:
        await World(seed).live(calls, workers, deaths)

    run(main())
