"""Calls that were accepted, waited, and had to make room: what who waits for them is told, here and
through another replica."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis_server import RedisServer
from world import Notes, Site, World

from mothlight.calls.base import State, Terms
from mothlight.errors import KeyReused, Overloaded

Run = Callable[[Any], Any]


@pytest.fixture
def replicas(session_redis: RedisServer, notes: Notes) -> World:
    session_redis.empty()
    return World("replicas", session_redis, notes)


async def _is_over(site: Site, terms: Terms) -> bool:
    return (await site.status(terms)).state.is_final


async def _queued(world: World, count: int) -> None:
    backend = world.here.app.backend
    await world.until(lambda: backend.queued == count, f"{count} wait")


def _urgent(world: World, name: str, value: object) -> Awaitable[Any]:
    """A call that takes the place of the one that waits here."""
    request = world.here.request(name, value)
    request.urgency = 0
    terms = world.terms(is_kept=False)
    if request.method.cardinality.streams:
        return asyncio.ensure_future(world.here.read(name, world.here.calls.stream(request, terms)))
    return world.here.calls.unary(request, terms)


@pytest.mark.parametrize("begins_anew", ["here", "there"])
def test_a_call_in_the_background_that_is_refused_later_says_so(
    world: World, run: Run, begins_anew: str
) -> None:
    async def main() -> None:
        async with world.open(max_queue=1):
            runs = asyncio.ensure_future(world.here.unary("block", 1, world.terms()))
            await world.noted("block 1")
            terms = world.terms(is_background=True)
            begun = await world.here.calls.begin(world.here.request("double", 7), terms)
            assert begun.state is State.QUEUED
            urgent = _urgent(world, "double", 0)
            for site in (world.here, world.there):
                await world.until(lambda s=site: _is_over(s, terms), "it is refused")
                status = await site.status(terms)
                assert status.state is State.FAILED and status.problem
                assert status.problem["type"] == "Overloaded"
                with pytest.raises(Overloaded):
                    await site.calls.answer("ada", terms.id)
            world.notes.cue()
            assert world.here.value("double", await urgent) == 0 and await runs == 1
            with pytest.raises(KeyReused):
                await world.there.unary("double", 8, terms)
            anew = getattr(world, begins_anew)
            again = await anew.calls.begin(anew.request("double", 7), terms)
            assert again.created > begun.created
            for site in (world.here, world.there):
                assert site.value("double", await site.calls.answer("ada", terms.id)) == 14
                assert (await site.status(terms)).state is State.DONE
                assert await site.unary("double", 7, terms) == 14
            assert world.notes.all().count("double 7") == 1

    run(main())


def test_so_does_one_that_another_replica_has_accepted(replicas: World, run: Run) -> None:
    world = replicas

    async def main() -> None:
        async with world.open(max_queue=1):
            runs = asyncio.ensure_future(world.here.unary("block", 1, world.terms()))
            await world.noted("block 1")
            terms = world.terms()
            waits = asyncio.ensure_future(world.here.unary("double", 7, terms))
            await _queued(world, 1)
            later = Terms(terms.owner, terms.id, is_kept=True, is_background=True)
            begun = await world.there.calls.begin(world.there.request("double", 7), later)
            assert begun.state is State.QUEUED
            calls: Any = world.here.calls
            record = calls.local.records[terms.owner, terms.id]
            await world.until(lambda: record.is_acknowledged, "its replica knows")
            urgent = _urgent(world, "double", 0)
            with pytest.raises(Overloaded):
                await waits
            for site in (world.here, world.there):
                await world.until(lambda s=site: _is_over(s, terms), "it is refused")
                assert (await site.status(terms)).state is State.FAILED
            world.notes.cue()
            await asyncio.gather(runs, urgent)

    run(main())


@pytest.mark.parametrize("way", ["stream", "begin"])
def test_a_key_that_another_replica_refuses_runs_where_it_is_asked_for(
    replicas: World, run: Run, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = replicas

    async def main() -> None:
        async with world.open(workers=1, max_queue=1, start_timeout=30):
            here, there = world.here, world.there
            calls: Any = here.calls
            fill = [
                asyncio.ensure_future(here.read("climb", here.stream("climb", n, terms)))
                for n, terms in ((n, world.terms(is_kept=False)) for n in (1, 2))
            ]
            await world.noted("climb 1")
            terms = world.terms()
            waits = asyncio.ensure_future(here.read("climb", here.stream("climb", 7, terms)))
            await _queued(world, 1)
            looked, gone = asyncio.Event(), asyncio.Event()
            if way == "stream":
                asked = asyncio.ensure_future(there.read("climb", there.stream("climb", 7, terms)))
                await world.until(
                    lambda: any(mirror.readers for mirror in calls._mirrors.values()), "it is read"
                )
            else:
                status = there.calls.status

                async def slow(owner: str, id: str) -> Any:
                    looked.set()
                    await gone.wait()
                    return await status(owner, id)

                monkeypatch.setattr(there.calls, "status", slow)
                later = Terms(terms.owner, terms.id, is_kept=True, is_background=True)
                begun = asyncio.ensure_future(there.calls.begin(there.request("climb", 7), later))
                await looked.wait()
            urgent = _urgent(world, "climb", 3)
            with pytest.raises(Overloaded):
                await waits
            await calls.presence.settle()  # Redis has heard of it
            gone.set()
            if way == "begin":
                assert not (await begun).state.is_final
                asked = asyncio.ensure_future(
                    there.read("climb", there.calls.items("ada", terms.id))
                )
            await world.noted("climb 7")
            world.notes.cue()
            assert await asked == [1, 2, 3, 4, 5, 6, 7]
            assert [*await asyncio.gather(*fill), await urgent] == [[1], [1, 2], [1, 2, 3]]
            assert world.notes.all().count("climb 7") == 1

    run(main())
