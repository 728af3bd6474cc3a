"""The scheduler, with runners that a test holds in its hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from mothlight import batched, method, service
from mothlight.backend.base import Reply, Request
from mothlight.backend.scheduler import Scheduler
from mothlight.backend.ticket import Ticket
from mothlight.errors import DeadlineExceeded, Overloaded, Unavailable
from mothlight.schema import Payload
from mothlight.service import Method, Service

Run = Callable[[Coroutine[Any, Any, Any]], Any]


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
        self.scheduler: Scheduler

    def room(self, method: Method[Any, Any, Any], waiting: int) -> int:
        return max(
            0, self.places - sum(METHODS[n].is_async == method.is_async for n, _ in self.batches)
        )

    @property
    def is_open(self) -> bool:
        return True

    def left(self, now: float) -> float:
        return 0.0

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


def test_a_free_runner_takes_at_once_what_is_there(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        first = submit(scheduler, "many", "a")
        await settle()
        assert runner.all == [("many", ["a"])], "it does not wait for company"
        others = [submit(scheduler, "many", id) for id in "bcdefg"]
        await settle()
        assert len(runner.all) == 1, "a busy runner is not pushed at"
        assert scheduler.waiting == 6
        runner.finish()
        assert runner.all[1:] == [("many", ["b", "c", "d", "e"])], "up to max_size, in order"
        runner.finish()
        runner.finish()
        replies = await asyncio.gather(first, *others)
        assert [reply.payload.json for reply in replies] == [c.encode() for c in "abcdefg"]
        assert [reply.batch for reply in replies] == [1, 4, 4, 4, 4, 2, 2]
        assert replies[1].queued > 0
        assert scheduler.waiting == 0

    run(main())


def test_the_idler_runner_pulls(run: Run) -> None:
    async def main() -> None:
        small, large = Held(1), Held(2)
        scheduler = make(small, large)
        tasks = [submit(scheduler, "alone", id) for id in "abc"]
        await settle()
        assert [i for _, i in large.all] == [["a"], ["c"]]
        assert [i for _, i in small.all] == [["b"]]
        small.finish()
        large.finish()
        large.finish()
        await asyncio.gather(*tasks)

    run(main())


def test_max_wait_waits_for_company_and_no_longer(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        runner = Held()
        scheduler = make(runner)
        start = loop.time()
        tasks = [submit(scheduler, "patient", "a")]
        await settle()
        tasks.append(submit(scheduler, "patient", "b"))
        await settle()
        assert runner.all == []
        while not runner.all:
            await asyncio.sleep(0.002)
        assert 0.045 <= loop.time() - start < 1
        assert runner.all == [("patient", ["a", "b"])]
        runner.finish()
        await asyncio.gather(*tasks)

    run(main())


def test_max_wait_ends_when_the_batch_is_full(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        tasks = [submit(scheduler, "patient", id) for id in "abcd"]
        await settle()
        assert runner.all == [("patient", ["a", "b", "c", "d"])]
        runner.finish()
        await asyncio.gather(*tasks)

    run(main())


def test_a_method_that_waits_for_company_holds_no_other_up(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        tasks = [submit(scheduler, "patient", "a")]
        await settle()
        tasks.append(submit(scheduler, "alone", "b"))
        await settle()
        assert runner.all == [("alone", ["b"])]
        runner.finish()
        while len(runner.all) < 2:
            await asyncio.sleep(0.002)
        runner.finish()
        await asyncio.gather(*tasks)

    run(main())


def test_a_busy_model_holds_no_asynchronous_call_up(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        tasks = [submit(scheduler, "alone", "a"), submit(scheduler, "alone", "b")]
        await settle()
        tasks.append(submit(scheduler, "beside", "c"))
        await settle()
        assert runner.all == [("alone", ["a"]), ("beside", ["c"])]
        for _ in range(3):
            runner.finish()
        await asyncio.gather(*tasks)

    run(main())


def test_methods_take_turns_by_who_has_waited_longest(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        order = [("alone", "a"), ("many", "b"), ("alone", "c"), ("many", "d"), ("alone", "e")]
        tasks = [submit(scheduler, name, id) for name, id in order]
        await settle()
        for _ in range(4):
            runner.finish()
        assert runner.all == [
            ("alone", ["a"]), ("many", ["b", "d"]), ("alone", ["c"]), ("alone", ["e"]),
        ]  # fmt: skip
        await asyncio.gather(*tasks)

    run(main())


def test_a_younger_call_overtakes_no_older_of_its_kind(run: Run) -> None:
    class Choosy(Held):
        """Takes no batch early unless it is full, as a worker process does."""

        def room(self, method: Method[Any, Any, Any], waiting: int) -> int:
            full = waiting >= (method.batching.max_size if method.batching else 1)
            return 2 - len(self.batches) if full or not self.batches else 0

    async def main() -> None:
        runner = Choosy()
        scheduler = make(runner)
        tasks = [submit(scheduler, "alone", "a")]
        await settle()
        tasks += [submit(scheduler, "many", "old")]
        await settle()
        tasks += [submit(scheduler, "alone", id) for id in "bcd"]
        await settle()
        assert runner.all == [("alone", ["a"])], "b would fit, but old is older"
        runner.finish()
        assert runner.all[1:3] == [("many", ["old"]), ("alone", ["b"])]
        for _ in range(4):
            runner.finish()
        await asyncio.gather(*tasks)

    run(main())


def test_cancelled_and_expired_calls_cost_nothing(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner, max_queue=4)
        first = submit(scheduler, "alone", "first")
        await settle()
        gone, late, kept = (
            submit(scheduler, "many", "gone"),
            submit(scheduler, "many", "late", timeout=0.01),
            submit(scheduler, "many", "kept", timeout=20),
        )
        await settle()
        assert scheduler.waiting == 3
        gone.cancel()
        with pytest.raises(DeadlineExceeded):
            await late
        assert gone.cancelled()
        assert scheduler.waiting == 1, "their places are free at once"
        runner.finish()
        assert runner.all[1:] == [("many", ["kept"])]
        runner.finish()
        await asyncio.gather(first, kept)
        assert not any(h for h in asyncio.get_running_loop()._scheduled if not h.cancelled()  # type: ignore[attr-defined]
                       and "fail" in repr(h)), "a timer was left behind"  # fmt: skip

    run(main())


def test_calls_cancelled_behind_a_long_one_free_their_places(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner, max_queue=3)
        running = submit(scheduler, "alone", "running")
        await settle()
        head = submit(scheduler, "alone", "head")
        for _ in range(20):
            tasks = [submit(scheduler, "alone", id) for id in "ab"]
            await settle()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        assert scheduler.waiting == 1
        assert len(scheduler.line(METHODS["alone"]).queue) == 1
        runner.finish()
        runner.finish()
        await asyncio.gather(running, head)

    run(main())


def test_a_call_that_is_cancelled_while_it_runs_disturbs_nobody(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        hold = submit(scheduler, "alone", "hold")
        await settle()
        tasks = [submit(scheduler, "many", id) for id in "abc"]
        await settle()
        runner.finish()
        tasks[1].cancel()
        await settle()
        runner.finish()
        await hold
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[1], asyncio.CancelledError)
        assert [done[0].payload.json, done[2].payload.json] == [b"a", b"c"]  # type: ignore[union-attr]

    run(main())


def test_a_full_queue_refuses_at_once(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner, max_queue=2)
        tasks = [submit(scheduler, "alone", id) for id in "abc"]
        await settle()
        assert scheduler.waiting == 2
        with pytest.raises(Overloaded) as caught:
            await submit(scheduler, "many", "d")
        assert caught.value.retry_after > 0
        runner.finish()
        tasks.append(submit(scheduler, "alone", "e"))
        await settle()
        for _ in range(3):
            runner.finish()
        await asyncio.gather(*tasks)

    run(main())


def test_no_wake_up_is_lost(run: Run) -> None:
    """Calls, cancels, deadlines and free runners in a thousand interleavings: every call ends."""
    import random

    async def main() -> None:
        chance = random.Random(7)
        runners = [Held(), Held(2)]
        scheduler = make(*runners)
        tasks: list[asyncio.Future[Reply]] = []
        for number in range(1000):
            name = chance.choice(["many", "alone", "beside", "patient"])
            timeout = chance.choice([None, None, 0.005, 5.0])
            tasks.append(submit(scheduler, name, str(number), timeout))
            if chance.random() < 0.2:
                chance.choice(tasks).cancel()
            if chance.random() < 0.5:
                await asyncio.sleep(0)
            for runner in runners:
                if runner.batches and chance.random() < 0.4:
                    runner.finish(chance.randrange(len(runner.batches)))
        while not all(task.done() for task in tasks):
            for runner in runners:
                while runner.batches:
                    runner.finish()
            await asyncio.sleep(0.005)
        for number, task in enumerate(tasks):
            if task.cancelled():
                continue
            if error := task.exception():
                assert isinstance(error, DeadlineExceeded | Overloaded)
            else:
                assert task.result().payload.json == str(number).encode()
        assert scheduler.waiting == 0
        sizes = [len(ids) for name, ids in runners[0].all + runners[1].all if name != "alone"]
        assert max(sizes) <= 4

    run(main())


def test_fail_all_ends_what_waits(run: Run) -> None:
    async def main() -> None:
        runner = Held(0)
        scheduler = make(runner)
        tasks = [submit(scheduler, name, name) for name in ("alone", "many", "beside")]
        await settle()
        scheduler.fail_all(Unavailable(reason="stop"))
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, Unavailable) for error in done)
        assert scheduler.waiting == 0

    run(main())


# Admission


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


def test_a_deadline_that_cannot_be_met_is_refused_before_it_costs_anything(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = known("alone", 0.5, runner)
        with pytest.raises(Overloaded):
            submit(scheduler, "alone", "hopeless", 0.3)
        first = submit(scheduler, "alone", "a", 2.0)
        for id in "bc":
            submit(scheduler, "alone", id)
        with pytest.raises(Overloaded) as caught:
            submit(scheduler, "alone", "late", 1.2)
        assert 0.9 <= caught.value.retry_after <= 1.1, "two that wait; the model is learnt from"
        assert submit(scheduler, "alone", "patient", 3.0)
        assert runner.all == [("alone", ["a"])]
        runner.finish()
        assert (await first).batch == 1
        assert [i for _, i in runner.all] == [["a"], ["b"]]
        leave_all(scheduler)
        runner.finish()

    run(main())


def test_one_slow_batch_does_not_shut_the_door_for_ever(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = known("alone", 5.0, runner)
        line = scheduler.line(METHODS["alone"])
        with pytest.raises(Overloaded):
            submit(scheduler, "alone", "a", 1.0)
        line.learnt -= 6
        ticket = submit(scheduler, "alone", "b", 1.0)
        assert runner.all == [("alone", ["b"])], "what has not been seen for long is tried again"
        runner.finish()
        await ticket

    run(main())


def test_a_crowd_waits_for_a_moment_only_and_others_as_long_as_allowed(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = known("alone", 0.01, runner)
        for number in range(65):
            submit(scheduler, "alone", str(number))
        submit(scheduler, "alone", "not yet known for a crowd")
        scheduler.line(METHODS["alone"]).batches = 32
        scheduler.clock = lambda: time.monotonic() + 0.1  # so long they have waited
        with pytest.raises(Overloaded) as caught:
            submit(scheduler, "alone", "too many")
        assert caught.value.retry_after == pytest.approx(0.65, abs=0.02)
        leave_all(scheduler)
        scheduler.max_delay = 0.035
        for number in range(4):
            submit(scheduler, "alone", str(number))
        with pytest.raises(Overloaded):
            submit(scheduler, "alone", "too late")
        leave_all(scheduler)

    run(main())


def test_bytes_are_bounded_too(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        scheduler.max_bytes = 10
        tickets = [submit(scheduler, "alone", id) for id in "abcdefghijk"]  # a byte each; one runs
        assert scheduler.bytes == 10
        with pytest.raises(Overloaded):
            submit(scheduler, "alone", "l")
        tickets[1].cancel()
        submit(scheduler, "alone", "m")
        leave_all(scheduler)
        assert scheduler.bytes == 0

    run(main())


def test_who_fills_the_queue_makes_room_for_others(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner, max_queue=4)
        noisy = [place(scheduler, id, principal="noisy") for id in "abcde"]
        quiet = place(scheduler, "x", principal="quiet")
        with pytest.raises(Overloaded):
            await noisy[-1]
        urgent = place(scheduler, "u", urgency=0)
        with pytest.raises(Overloaded):
            await noisy[-2]
        for _ in range(5):
            runner.finish()
        assert [i for _, [i] in runner.all] == ["a", "u", "b", "x", "c"]
        await asyncio.gather(quiet, urgent, *noisy[:3])

    run(main())


def test_who_fills_the_queue_with_one_method_makes_room_in_another(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        scheduler.max_bytes = 10
        noisy = [place(scheduler, id, principal="noisy") for id in "abcdefghijk"]
        quiet = place(scheduler, "x", "many", principal="quiet")
        with pytest.raises(Overloaded):
            await noisy[-1]
        assert scheduler.bytes == 10 and not quiet.done()
        leave_all(scheduler)

    run(main())


def test_nobody_makes_room_in_vain(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        scheduler.max_bytes = 10
        noisy = [place(scheduler, id, principal="noisy") for id in "abcdefghijk"]
        with pytest.raises(Overloaded):
            place(scheduler, "x", size=6, principal="quiet")
        assert scheduler.waiting == 10, "six of them would have had to go, and he had four then"
        place(scheduler, "x", size=5, principal="quiet")
        assert (scheduler.waiting, scheduler.bytes) == (6, 10)
        leave_all(scheduler)
        ends = await asyncio.gather(*noisy, return_exceptions=True)
        assert [type(end) for end in ends[6:]] == [Overloaded] * 5

    run(main())


def place(
    scheduler: Scheduler, id: str, name: str = "alone", size: int = 1, **options: Any
) -> asyncio.Future[Reply]:
    return scheduler.place(Request(METHODS[name], Payload(b"1" * size), id, **options))


def test_the_tightest_deadline_bounds_the_batch(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        line = scheduler.line(METHODS["many"])
        for size in (1, 2, 4) * 3:
            line.learn(size, 0.1 * size, scheduler.clock())
        first = submit(scheduler, "many", "a")
        tickets = [first, submit(scheduler, "many", "b", 0.25)]
        tickets += [submit(scheduler, "many", id) for id in "cde"]
        runner.finish()
        assert runner.all[1] == ("many", ["b", "c"]), "0.1 s each, and b has 0.25"
        runner.finish()
        runner.finish()
        await asyncio.gather(*tickets)

    run(main())


def test_a_call_that_nobody_waits_for_is_taken_back_from_its_runner(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        running = [submit(scheduler, "alone", "a"), submit(scheduler, "alone", "b", 0.01)]
        running[0].cancel()
        assert runner.dropped == ["a"]
        runner.finish()
        with pytest.raises(DeadlineExceeded):
            await running[1]
        assert runner.dropped == ["a", "b"]
        assert not scheduler.live
        runner.finish()

    run(main())
