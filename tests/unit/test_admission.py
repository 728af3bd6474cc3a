"""The scheduler's door: who is let in, who is refused, and who makes room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from runners import METHODS, Held, known, leave_all, make, submit

from mothlight.backend.base import Reply, Request
from mothlight.backend.line import Line
from mothlight.backend.scheduler import Scheduler
from mothlight.errors import Overloaded
from mothlight.schema import Payload

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def test_what_was_slow_once_is_let_in_again_however_busy_the_others_are(run: Run) -> None:
    async def main() -> None:
        busy = Held()
        busy.remains = 0.2  # seconds that another method's batch still takes
        scheduler = known("alone", 5.0, busy)
        line = scheduler.line(METHODS["alone"])
        with pytest.raises(Overloaded):
            submit(scheduler, "alone", "a", 1.0)
        line.learnt -= 6
        first = submit(scheduler, "alone", "b", 1.0)
        with pytest.raises(Overloaded):
            submit(scheduler, "many", "what runs is known to take that long", 0.1)
        busy.finish()
        await first

    run(main())


def test_a_slow_first_batch_is_soon_forgotten() -> None:
    line = Line(METHODS["alone"])
    line.learn(1, 60.0, 0.0)
    looks = 0
    while line.cost.of(1) > 1.0:
        line.learn(1, 0.05, 0.0)
        looks += 1
    assert looks <= 4
    for _ in range(40):
        line.learn(1, 0.05, 0.0)
    before = line.cost.of(1)
    line.learn(1, 0.02, 0.0)
    assert line.cost.of(1) > 0.9 * before, "what is somewhat quicker once tells little"


def test_a_busy_model_is_no_reason_to_refuse_an_asynchronous_call(run: Run) -> None:
    async def main() -> None:
        busy = Held()
        busy.remains = 5.0
        scheduler = make(busy)
        for name in ("alone", "beside"):
            scheduler.line(METHODS[name]).learn(1, 0.5, scheduler.clock())
        submit(scheduler, "alone", "runs")
        submit(scheduler, "alone", "waits")
        with pytest.raises(Overloaded):
            submit(scheduler, "alone", "late", 1.0)
        submit(scheduler, "beside", "at once", 1.0)
        assert busy.all[-1] == ("beside", ["at once"])
        leave_all(scheduler)

    run(main())


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


def test_behind_a_batch_that_goes_on_and_on_only_one_waits(run: Run) -> None:
    async def main() -> None:
        stuck, other = Held(), Held()
        scheduler = known("alone", 0.01, stuck)
        submit(scheduler, "alone", "runs")
        stuck.remains = -9.0  # longer than predicted
        for number in range(3):
            submit(scheduler, "alone", f"may still be served {number}")
        stuck.remains = -11.0
        with pytest.raises(Overloaded) as caught:
            submit(scheduler, "alone", "would wait for longer than max_delay")
        assert caught.value.retry_after == pytest.approx(11.03, abs=0.02)
        leave_all(scheduler)
        submit(scheduler, "alone", "waits for all of them")
        with pytest.raises(Overloaded):
            submit(scheduler, "alone", "has a deadline", 5.0)
        scheduler.runners = lambda: (stuck, other)
        submit(scheduler, "alone", "another one is free", 5.0)
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
        assert [i for _, [i] in runner.all] == ["a", "b", "x", "u", "c"]
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
