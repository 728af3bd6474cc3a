"""The scheduler: who is taken when, and by whom."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from runners import METHODS, Held, known, leave_all, make, settle, submit

from mothlight.backend.base import Reply, Request
from mothlight.backend.scheduler import Scheduler
from mothlight.backend.ticket import Ticket
from mothlight.errors import DeadlineExceeded, Overloaded, Unavailable
from mothlight.schema import Payload
from mothlight.services import Method

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def place_for(
    scheduler: Scheduler, name: str, who: str, id: str = "", timeout: float | None = None
) -> Ticket:
    deadline = None if timeout is None else scheduler.clock() + timeout
    return scheduler.place(Request(METHODS[name], Payload(b"1"), id, deadline, principal=who))


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


def test_of_two_that_are_busy_the_one_that_is_free_sooner_pulls(run: Run) -> None:
    async def main() -> None:
        late, soon = Held(), Held()
        late.remains, soon.remains = 4.0, 0.3
        scheduler = make(late, soon)
        submit(scheduler, "alone", "a")
        assert soon.all == [("alone", ["a"])]
        soon.finish()

    run(main())


def test_a_call_waits_for_who_may_be_free_before_a_place_behind_another(run: Run) -> None:
    async def main() -> None:
        busy, late = Held(2), Held(2)
        scheduler = make(busy, late)
        submit(scheduler, "alone", "a")
        submit(scheduler, "alone", "b")
        assert (len(busy.batches), len(late.batches)) == (1, 1)
        busy.remains, late.remains, late.places = 0.5, -0.1, 1
        submit(scheduler, "alone", "c")
        assert scheduler.waiting == 1, "the late one is 0.1 s late, and the other has 0.5"
        late.remains = -0.6
        scheduler.dispatch()
        assert busy.all == [("alone", ["a"]), ("alone", ["c"])], "it may take much longer"
        leave_all(scheduler)

    run(main())


def test_what_was_started_on_one_event_loop_leaves_nothing_to_the_next(run: Run) -> None:
    """Timers of a loop that is closed never come."""
    runner = Held()
    scheduler = make(runner)

    async def begin() -> None:
        waits = submit(scheduler, "patient", "a")
        submit(scheduler, "alone", "b", 3.0).cancel()
        scheduler.stop(Unavailable(reason="stop"))
        assert isinstance(waits.exception(), Unavailable)

    async def again() -> None:
        ticket = submit(scheduler, "patient", "c")
        async with asyncio.timeout(20):
            while not runner.batches:
                await asyncio.sleep(0.01)
        runner.finish()
        await ticket
        late = submit(scheduler, "alone", "d", 2.1)  # too far away for a timer of its own
        with pytest.raises(DeadlineExceeded):
            await asyncio.wait_for(asyncio.shield(late), 20)

    run(begin())
    runner.batches.clear()
    run(again())


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


def test_principals_take_turns_across_methods(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = make(runner)
        for id, name, who in [
            ("a", "alone", "noisy"),
            ("b", "alone", "noisy"),
            ("c", "alone", "noisy"),
            ("d", "many", "noisy"),
            ("x", "many", "quiet"),
            ("y", "alone", "third"),
        ]:
            place_for(scheduler, name, who, id)
        for _ in range(5):
            runner.finish()
        assert [i for _, i in runner.all] == [["a"], ["b"], ["x", "d"], ["y"], ["c"]]
        scheduler.max_queue = 3
        for number in range(40):
            place_for(scheduler, ("alone", "many")[number % 2], f"stranger {number}")
            if scheduler.waiting == 3:
                runner.finish()
        while runner.batches:
            runner.finish()
        assert len(scheduler._served) <= 6, "who does not wait is forgotten"

    run(main())


def test_a_call_whose_turn_comes_before_others_is_not_refused_for_their_sake(run: Run) -> None:
    async def main() -> None:
        runner = Held()
        scheduler = known("alone", 0.1, runner)
        for _ in range(60):
            place_for(scheduler, "alone", "noisy")
        place_for(scheduler, "many", "quiet", timeout=1.0)
        with pytest.raises(Overloaded):
            place_for(scheduler, "many", "noisy", timeout=1.0)
        leave_all(scheduler)

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
            with contextlib.suppress(DeadlineExceeded):  # the machine stood still meanwhile
                tasks.append(submit(scheduler, name, str(number), timeout))
            if tasks and chance.random() < 0.2:
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


def test_stop_ends_what_waits(run: Run) -> None:
    async def main() -> None:
        runner = Held(0)
        scheduler = make(runner)
        tasks = [submit(scheduler, name, name) for name in ("alone", "many", "beside")]
        await settle()
        scheduler.stop(Unavailable(reason="stop"))
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(error, Unavailable) for error in done)
        assert scheduler.waiting == 0

    run(main())


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
