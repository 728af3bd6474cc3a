"""What calls promise, in memory, in Redis, and in Redis through another replica than the one where
they run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from stage import Forgotten
from world import Site, World

from mothlight import File
from mothlight.backend.inbox import Inbox
from mothlight.calls.base import State, Terms
from mothlight.calls.mirror import SLACK
from mothlight.calls.store import place
from mothlight.errors import (
    CallNotFound,
    Cancelled,
    DeadlineExceeded,
    ItemsGone,
    KeyReused,
    Overloaded,
    QuotaExceeded,
    Superseded,
)
from mothlight.schema import Payload

Run = Callable[[Any], Any]


def test_the_same_key_is_the_same_call_and_the_model_runs_once(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            assert await world.here.unary("double", 21, terms) == 42
            for site in (world.there, world.here):
                assert await site.unary("double", 21, terms) == 42
            reply = await world.there.calls.answer("ada", terms.id)
            assert world.there.value("double", reply) == 42
            assert world.notes.all() == ["double 21"]
            status = await world.there.status(terms)
            assert (status.owner, status.id, status.state) == ("ada", terms.id, State.DONE)
            assert status.method.name == "double"
            assert status.problem is None and status.ended and status.ended >= status.created

    run(main())


def test_a_key_that_comes_many_times_at_once_runs_once(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = [world.terms() for _ in range(20)]
            answers = await asyncio.gather(
                *(
                    site.unary("double", x, terms[x])
                    for x in range(20)
                    for site in (world.here, world.there, world.here, world.there)
                )
            )
            assert answers == [2 * x for x in range(20) for _ in range(4)]
            assert sorted(world.notes.all()) == sorted(f"double {x}" for x in range(20))

    run(main())


def test_who_comes_while_it_runs_gets_the_same_answer(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            first = asyncio.create_task(world.here.unary("wait", 7, terms))
            await world.noted("wait 7")
            second = asyncio.create_task(world.there.unary("wait", 7, terms))
            third = world.there.calls.answer("ada", terms.id)
            await world.until(
                lambda: _is(world, terms, State.RUNNING), "that it runs is known there"
            )
            world.notes.cue()
            assert [await first, await second] == [7, 7]
            assert world.there.value("wait", await third) == 7
            assert world.notes.all() == ["wait 7", "left 7"]

    run(main())


async def _is(world: World, terms: Terms, state: State | None) -> bool:
    return await world.there.state(terms) is state


def test_a_declared_error_is_remembered_with_its_fields(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            for site in (world.here, world.there, world.here):
                with pytest.raises(Forgotten) as raised:
                    await site.unary("forget", 3, terms)
                assert raised.value.line == 3
            assert world.notes.all() == ["forget 3"]
            await world.until(lambda: _is(world, terms, State.FAILED), "failed")
            problem = (await world.there.status(terms)).problem
            assert problem is not None and problem["type"] == "Forgotten" and problem["line"] == 3

    run(main())


def test_a_file_comes_back_byte_for_byte(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            found = [
                await site.unary("paint", 999, terms)
                for site in (world.here, world.there, world.there)
            ]
            assert {file.data for file in found} == {bytes(range(256)) * 999}
            assert {(f.media_type, f.name) for f in found} == {("image/x-test", "a.bin")}
            assert world.notes.all() == ["paint 999"]

    run(main())


def test_the_same_key_with_another_request_is_refused(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            done, running = world.terms(), world.terms()
            await world.here.unary("double", 1, done)
            task = asyncio.create_task(world.here.unary("wait", 1, running))
            await world.noted("wait 1")
            for terms in (done, running):
                with pytest.raises(KeyReused):
                    await world.there.unary("double", 2, terms)
                with pytest.raises(KeyReused):
                    await world.there.read("count", world.there.stream("count", 1, terms))
            world.notes.cue()
            assert await task == 1

    run(main())


def test_a_stranger_learns_nothing_of_a_call(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            task = asyncio.create_task(world.here.unary("wait", 1, terms))
            await world.noted("wait 1")
            calls = world.there.calls
            for id in (terms.id, "nobody's"):
                for ask in (
                    calls.status("bob", id),
                    calls.cancel("bob", id),
                    _answer(world, "bob", id),
                    world.there.read("count", calls.items("bob", id)),
                ):
                    with pytest.raises(CallNotFound):
                        await ask
            world.notes.cue("go")
            assert await task == 1
            bobs = Terms("bob", terms.id, is_kept=True)
            assert await world.there.unary("double", 8, bobs) == 16  # ids are each owner's own

    run(main())


async def _answer(world: World, owner: str, id: str) -> Any:
    return await world.there.calls.answer(owner, id)


def test_cancel_stops_the_model_and_is_remembered(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            unary, stream = world.terms(), world.terms()
            task = asyncio.create_task(world.here.unary("wait", 1, unary))
            other = asyncio.create_task(
                world.here.read("drip", world.here.stream("drip", 4, stream))
            )
            await world.noted("wait 1")
            await world.noted("drip 4")
            for terms, waits, name in ((unary, task, "wait"), (stream, other, "drip")):
                await world.there.calls.cancel("ada", terms.id)
                with pytest.raises(Cancelled):
                    await waits
                await world.until(lambda t=terms: _is(world, t, State.CANCELLED), name)
                await world.there.calls.cancel("ada", terms.id)  # stays as it is
            await world.noted("left 1")
            await world.noted("left 4")
            for site in (world.there, world.here):
                with pytest.raises(Cancelled):
                    await site.unary("wait", 1, unary)
            assert world.notes.all().count("wait 1") == 1

    run(main())


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_newer_call_takes_the_place_of_the_older(world: World, run: Run, is_kept: bool) -> None:
    async def main() -> None:
        async with world.open():
            tasks = []
            for x in range(6):
                site = world.there if x % 2 else world.here
                terms = world.terms(supersede="search", is_kept=is_kept)
                tasks.append(asyncio.create_task(site.unary("wait", x, terms)))
                await world.noted(f"wait {x}")
                # A call that is not kept begins before the others know of it.
                if x:
                    with pytest.raises(Superseded):
                        await asyncio.wait_for(tasks[-2], 15)
                elif not is_kept:
                    await asyncio.sleep(0.5)
            other = Terms("bob", "1", is_kept=True, supersede="search")
            bobs = asyncio.create_task(world.here.unary("wait", 9, other))
            await world.noted("wait 9")
            world.notes.cue()
            assert [await tasks[-1], await bobs] == [5, 9]

    run(main())


def test_a_call_that_nobody_waits_for_ends_after_its_grace(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(grace=0.4):
            unary, stream = world.terms(), world.terms()
            task = asyncio.create_task(world.here.unary("wait", 1, unary))
            await world.noted("wait 1")
            assert await world.here.read("drip", world.here.stream("drip", 2, stream), 1) == [1]
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            for terms in (unary, stream):
                await world.until(lambda t=terms: _is(world, t, State.CANCELLED), "the end")
            await world.noted("left 1")
            await world.noted("left 2")

    run(main())


def test_a_reader_elsewhere_keeps_a_call_alive(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(grace=0.5):
            unary, stream = world.terms(), world.terms()
            task = asyncio.create_task(world.here.unary("wait", 1, unary))
            await world.noted("wait 1")
            assert await world.here.read("drip", world.here.stream("drip", 2, stream), 1) == [1]
            task.cancel()
            back = asyncio.create_task(world.there.unary("wait", 1, unary))
            items = asyncio.create_task(
                world.there.read("drip", world.there.calls.items("ada", stream.id, 1))
            )
            assert (await asyncio.wait([back, items], timeout=1.5))[0] == set()
            world.notes.cue()
            assert (await back, await items) == (1, [2])
            assert world.notes.all().count("wait 1") == 1

    run(main())


def test_the_last_reader_elsewhere_begins_the_grace(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(grace=0.3):
            terms = world.terms()
            assert await world.here.read("drip", world.here.stream("drip", 4, terms), 1) == [1]
            assert await world.there.read("drip", world.there.stream("drip", 4, terms), 2) == [1, 2]
            await world.until(lambda: _is(world, terms, State.CANCELLED), "the end")
            assert (await world.there.status(terms)).items == 2
            with pytest.raises(Cancelled):
                await world.there.read("drip", world.there.calls.items("ada", terms.id, 2))

    run(main())


def test_a_call_is_forgotten_after_its_time_and_nothing_is_left(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(keep=0.4, grace=0.2):
            unary, stream, left = world.terms(supersede="k"), world.terms(), world.terms()
            assert await world.here.unary("double", 1, unary) == 2
            assert await world.here.read("count", world.here.stream("count", 3, stream)) == [
                1,
                2,
                3,
            ]
            await world.here.read("drip", world.here.stream("drip", 2, left), 1)
            loop = asyncio.get_running_loop()
            since = loop.time()
            for terms in (unary, stream, left):
                await world.until(lambda t=terms: _is(world, t, None), "forgotten")
            with pytest.raises(CallNotFound):
                await world.there.calls.answer("ada", unary.id)
            if world.redis:
                await world.until(lambda: not world.redis.calls(), "Redis is empty")
                assert loop.time() - since < SLACK, "it is left to Redis to forget them"
            assert await world.there.unary("double", 1, unary) == 2
            assert world.notes.all().count("double 1") == 2

    run(main())


def test_a_stream_that_has_ended_is_resumed_at_every_item(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms, whole = world.terms(), list(range(1, 201))
            assert await world.here.read("count", world.here.stream("count", 200, terms)) == whole
            for after in range(0, 201, 1 if world.kind == "memory" else 7):
                site = world.there
                assert (
                    await site.read("count", site.stream("count", 200, terms, after))
                    == (whole[after:])
                )
            with pytest.raises(ItemsGone) as raised:
                await world.there.read("count", world.there.stream("count", 200, terms, 201))
            assert (raised.value.first, raised.value.last) == (0, 200)
            assert world.notes.all() == ["count 200"]

    run(main())


def test_a_stream_that_runs_is_resumed_at_every_item(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms, whole = world.terms(), list(range(1, 41))
            assert (
                await world.here.read("drip", world.here.stream("drip", 40, terms), 20)
                == (whole[:20])
            )
            readers = [
                asyncio.create_task(
                    world.there.read("drip", world.there.stream("drip", 40, terms, after))
                )
                for after in range(21)
            ]
            one = world.there.stream("drip", 40, terms, 5)
            assert await world.there.read("drip", one, 4) == [6, 7, 8, 9]
            world.notes.cue()
            assert await asyncio.gather(*readers) == [whole[after:] for after in range(21)]
            assert world.notes.all().count("drip 40") == 1

    run(main())


def test_a_resumed_stream_that_nobody_knows_is_not_begun(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            with pytest.raises(ItemsGone):
                await world.there.read("count", world.there.stream("count", 3, terms, 2))
            assert await world.there.state(terms) is None
            assert await world.here.read("count", world.here.stream("count", 3, terms)) == [1, 2, 3]
            assert world.notes.all() == ["count 3"]

    run(main())


def test_items_that_are_not_kept_are_said_to_be_gone(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(max_log_items=64):
            terms = world.terms()
            found = await world.here.read("count", world.here.stream("count", 500, terms))
            assert found == list(range(1, 501))
            await world.until(lambda: _is(world, terms, State.DONE), "the end is known")
            with pytest.raises(ItemsGone) as raised:
                await world.there.read("count", world.there.calls.items("ada", terms.id, 1))
            first = raised.value.first
            assert 500 - 64 <= first < 500 and raised.value.last == 500
            assert await world.there.read(
                "count", world.there.calls.items("ada", terms.id, first)
            ) == list(range(first + 1, 501))

    run(main())


@pytest.mark.parametrize("after", [4, 10**14 - 1, 10**15 - 1])
def test_an_item_that_there_never_was_is_said_to_be_gone(
    world: World, run: Run, after: int
) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            assert await world.here.read("count", world.here.stream("count", 3, terms)) == [1, 2, 3]
            await world.until(lambda: _is(world, terms, State.DONE), "the end is known")
            with pytest.raises(ItemsGone) as raised:
                await world.there.read("count", world.there.calls.items("ada", terms.id, after))
            found = raised.value
            assert (found.after, found.first, found.last) == (after, 0, 3)

    run(main())


def test_a_slow_reader_stops_the_model_and_loses_nothing(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(max_log=64 * 1024):
            terms = world.terms()
            await world.here.read("flood", world.here.stream("flood", 400, terms), 1)
            items = world.there.stream("flood", 400, terms, 1)
            found = [world.there.methods["flood"].output.decode(p) for p in await anext(items)]
            most = 1 + len(found) + 64 + 8  # the log's room, and what is on its way
            settled = await _settled(world)
            assert settled <= most, f"{settled} items were made for a reader of {len(found)}"
            found += await world.there.read("flood", items)
            assert [int(text[:4]) for text in found] == list(range(2, 401))

    run(main())


async def _settled(world: World) -> int:
    """How many notes there are when no more come."""
    before = -1
    while (now := len(world.notes.all())) != before:
        before = now
        await asyncio.sleep(0.3)
    return now


def test_work_in_the_background_needs_no_reader(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(grace=0.1):
            terms = world.terms(is_background=True)
            status = await world.here.calls.begin(world.here.request("wait", 1), terms)
            assert not status.state.is_final and status.id == terms.id
            again = await world.there.calls.begin(world.there.request("wait", 1), terms)
            assert not again.state.is_final
            waiter = asyncio.ensure_future(world.there.calls.answer("ada", terms.id))
            await asyncio.wait([waiter], timeout=0.3)
            waiter.cancel()  # a reader who leaves does not end it
            await asyncio.wait([waiter], timeout=0.3)
            assert not (await world.there.status(terms)).state.is_final
            world.notes.cue()
            reply = await world.there.calls.answer("ada", terms.id)
            assert world.there.value("wait", reply) == 1
            assert world.notes.all() == ["wait 1", "left 1"]

    run(main())


def test_the_oldest_calls_make_room_for_new_ones(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(max_calls=4):
            calls = [world.terms() for _ in range(10)]
            for x, terms in enumerate(calls):
                assert await world.here.unary("double", x, terms) == 2 * x
            for terms in calls[:6]:
                await world.until(lambda t=terms: _is(world, t, None), "the oldest are gone")
            for terms in calls[6:]:
                await world.until(lambda t=terms: _is(world, t, State.DONE), "the others are not")
            if world.redis:
                await world.until(lambda: len(world.redis.calls()) == 4, "so it is in Redis")

    run(main())


def test_a_refused_call_is_forgotten_and_may_be_sent_again(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(rate=2.0):
            for x in range(2):
                await world.here.unary("double", x, world.terms())
            terms = world.terms()
            with pytest.raises(QuotaExceeded):
                await world.here.unary("double", 7, terms)
            if world.kind == "replicas":  # another one has its own counts
                assert await world.there.unary("double", 7, terms) == 14
            await world.until(lambda: _again(world, terms), "it is let in")
            assert await world.there.unary("double", 7, terms) == 14
            assert world.notes.all().count("double 7") == 1

    run(main())


async def _again(world: World, terms: Terms) -> bool:
    try:
        return await world.here.unary("double", 7, terms) == 14
    except QuotaExceeded:
        return False


def test_calls_without_a_key_stay_out_of_redis(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            request = world.here.request("double", 4)
            assert world.here.value("double", await world.here.calls.unary(request, None)) == 8
            terms = world.terms(is_kept=False)
            assert await world.here.read("count", world.here.stream("count", 2, terms)) == [1, 2]
            assert await world.here.state(terms) is None
            if world.redis:
                assert not world.redis.calls()

    run(main())


def test_it_is_the_same_with_workers(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(workers=1, start_timeout=30):
            unary, stream = world.terms(), world.terms()
            task = asyncio.create_task(world.here.unary("wait", 5, unary))
            assert await world.here.read("drip", world.here.stream("drip", 6, stream), 2) == [1, 2]
            await world.noted("wait 5")
            rest = asyncio.create_task(
                world.there.read("drip", world.there.stream("drip", 6, stream, 2))
            )
            world.notes.cue()
            assert await world.there.unary("wait", 5, unary) == await task == 5
            assert await rest == [3, 4, 5, 6]
            assert sorted(world.notes.all()) == ["drip 6", "left 5", "left 6", "wait 5"]

    run(main())


def test_a_refusal_by_the_model_itself_is_remembered(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            for site in (world.here, world.there, world.here):
                with pytest.raises(Overloaded):
                    await site.unary("balk", 1, terms)
            assert world.notes.all() == ["balk 1"]

    run(main())


def test_a_file_with_another_name_or_type_is_another_request(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            for _ in range(2):
                file = File(b"abc", media_type="text/x-a", name="a")
                assert await world.there.unary("weigh", file, terms) == "a text/x-a 3"
            for kind, name in (("text/x-a", "b"), ("text/x-b", "a")):
                with pytest.raises(KeyReused):
                    await world.here.unary("weigh", File(b"abc", media_type=kind, name=name), terms)
            assert world.notes.all() == ["weigh a"]

    run(main())


def test_who_comes_to_a_running_call_waits_as_long_as_he_said(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            one, many = world.terms(), world.terms()
            answer = asyncio.ensure_future(world.here.unary("wait", 1, one))
            items = asyncio.create_task(world.here.read("drip", world.here.stream("drip", 4, many)))
            await world.noted("wait 1")
            await world.noted("drip 4")
            request = world.there.request("wait", 1)
            request.deadline = asyncio.get_running_loop().time() + 0.2
            with pytest.raises(DeadlineExceeded):
                await world.there.calls.unary(request, one)
            request = world.there.request("drip", 4)
            request.deadline = asyncio.get_running_loop().time() + 0.2
            with pytest.raises(DeadlineExceeded):
                await world.there.read("drip", world.there.calls.stream(request, many))
            world.notes.cue()  # the calls have gone on
            assert await answer == 1
            assert await items == [1, 2, 3, 4]
            assert await world.there.unary("wait", 1, one) == 1

    run(main())


@pytest.mark.parametrize("through", ["here", "there"])
def test_a_call_may_be_sent_to_the_background_later(world: World, run: Run, through: str) -> None:
    async def main() -> None:
        async with world.open(grace=0.1):
            terms = world.terms()
            first = asyncio.ensure_future(world.here.unary("wait", 1, terms))
            await world.noted("wait 1")
            later = Terms(terms.owner, terms.id, is_kept=True, is_background=True)
            site = getattr(world, through)
            found = await site.calls.begin(site.request("wait", 1), later)
            assert not found.state.is_final
            calls: Any = world.here.calls
            local = calls if world.kind == "memory" else calls.local
            record = local.records[terms.owner, terms.id]
            await world.until(lambda: record.terms.is_background, "it needs nobody now")
            first.cancel()
            await asyncio.wait([first])
            await asyncio.sleep(0.3)  # beyond its grace
            assert await world.here.state(terms) is State.RUNNING
            world.notes.cue()
            reply = await world.there.calls.answer("ada", terms.id)
            assert world.there.value("wait", reply) == 1

    run(main())


def test_who_sends_a_stream_to_the_background_says_how_long(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open(grace=0.1):
            terms = world.terms()
            assert await world.here.read("drip", world.here.stream("drip", 4, terms), 1) == [1]
            request = world.here.request("drip", 4)
            request.deadline = asyncio.get_running_loop().time() + 0.4
            later = Terms(terms.owner, terms.id, is_kept=True, is_background=True)
            await world.here.calls.begin(request, later)
            await world.until(lambda: _is_over(world.here, terms), "its time is over")
            status = await world.here.status(terms)
            assert status.problem and status.problem["type"] == "DeadlineExceeded"
            assert status.ended and status.ended - status.created >= 0.35

    run(main())


def test_he_may_say_so_through_another_replica(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            read = asyncio.ensure_future(
                world.here.read("drip", world.here.stream("drip", 4, terms))
            )
            await world.noted("drip 4")
            request = world.there.request("drip", 4)
            request.deadline = asyncio.get_running_loop().time() + 0.4
            later = Terms(terms.owner, terms.id, is_kept=True, is_background=True)
            await world.there.calls.begin(request, later)
            await world.until(lambda: _is_over(world.here, terms), "its time is over")
            with pytest.raises(DeadlineExceeded):
                await read

    run(main())


async def _is_over(site: Site, terms: Terms) -> bool:
    return (await site.status(terms)).state.is_final


def test_a_kept_error_keeps_no_frames(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            calls: Any = world.here.calls
            local = calls if world.kind == "memory" else calls.local
            terms, late = world.terms(), world.terms()
            for _ in range(2):
                with pytest.raises(Forgotten):
                    await world.here.unary("forget", 3, terms)
            request = world.here.request("drip", 2)
            request.deadline = asyncio.get_running_loop().time() + 0.1
            for _ in range(2):
                with pytest.raises(DeadlineExceeded):
                    await world.here.read("drip", world.here.calls.stream(request, late))
            for ended in (terms, late):
                error = local.records[ended.owner, ended.id].error
                assert error.__traceback__ is error.__context__ is error.__cause__ is None

    run(main())


def test_a_method_that_only_takes_a_stream_has_an_answer(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            request = world.here.request("double", 0)
            request.method, request.payload = world.here.methods["sum"], Payload(b"null")
            request.inbox = inbox = Inbox()
            for number in (b"4", b"5"):
                await inbox.put(Payload(number))
            inbox.end()
            stream = world.here.calls.stream(request, terms)
            assert await world.here.read("sum", stream) == [9]
            async with asyncio.timeout(5):
                reply = await world.there.calls.answer("ada", terms.id)
            assert world.there.value("sum", reply) == 9

    run(main())


def test_an_answer_that_is_not_kept_has_gone_to_its_reader(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms(is_kept=False)
            request = world.here.request("double", 0)
            request.method, request.payload = world.here.methods["sum"], Payload(b"null")
            request.inbox = inbox = Inbox()
            reading = asyncio.create_task(
                world.here.read("sum", world.here.calls.stream(request, terms))
            )
            await world.until(lambda: world.here.state(terms), "it is known")
            waiting = world.here.calls.answer("ada", terms.id)
            await inbox.put(Payload(b"4"))
            inbox.end()
            assert await reading == [4]
            async with asyncio.timeout(5):
                with pytest.raises(CallNotFound):
                    await waiting

    run(main())


def test_messages_that_nobody_took_are_let_go_of(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            request = world.here.request("double", 0)
            request.method, request.payload = world.here.methods["sum"], Payload(b"null")
            request.inbox = inbox = Inbox()
            begun = asyncio.create_task(
                world.here.read("sum", world.here.calls.stream(request, terms))
            )
            await world.until(lambda: world.here.state(terms), "it is known")
            await world.here.calls.cancel("ada", terms.id)
            with pytest.raises(Cancelled):
                await begun
            for _ in range(1000):  # more than there is room for
                await inbox.put(Payload(b"1"))
            assert inbox.received == 0
            with pytest.raises(Cancelled):
                await inbox.take(1)

    run(main())


def test_owners_and_ids_never_run_together() -> None:
    assert len({place("a", "b\nc"), place("a\nb", "c"), place("ab", "c"), place("a", "bc")}) == 4
