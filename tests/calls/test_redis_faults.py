"""Redis is killed, started anew, stalled, slow and full: what needs it is refused in time and runs
never without its guarantee; what does not goes on; all is well again by itself."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from redis_server import RedisServer
from stage import Stage
from world import Notes, Site, World

from mothlight import App
from mothlight.calls import presence
from mothlight.calls.base import State
from mothlight.definition import DefinitionError
from mothlight.errors import Unavailable

Run = Callable[[Any], Any]

LOST = "the store of calls cannot be reached"

pytestmark = pytest.mark.slow


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replica is dead sooner than it would be, so that tests need not wait."""
    monkeypatch.setattr(presence, "BEAT", 0.3)
    monkeypatch.setattr(presence, "LIFE", 1.2)


@pytest.fixture
def world(redis: RedisServer, notes: Notes, quick: None) -> World:
    return World("replicas", redis, notes)


async def _refused(work: Awaitable[Any], within: float = 3.0) -> None:
    start = time.monotonic()
    with pytest.raises(Unavailable) as raised:
        await work
    assert raised.value.reason == LOST
    assert time.monotonic() - start < within


async def _served(world: World, site: Site, x: int) -> None:
    """Returns when a new call with a key is taken; each has a key of its own."""

    async def is_taken() -> bool:
        try:
            return await site.unary("double", x, world.terms()) == 2 * x
        except Unavailable:
            return False

    await world.until(is_taken, "calls with a key are taken again")


async def _keyless(site: Site, x: int) -> None:
    reply = await site.calls.unary(site.request("double", x), None)
    assert site.value("double", reply) == 2 * x


@asynccontextmanager
async def _judging(world: World, **options: Any) -> AsyncIterator[None]:
    """Replicas that have been here for long enough to say of each other that one is dead."""
    async with world.open(**options):
        judges = lambda: all(s.calls.presence.judges for s in (world.here, world.there))  # noqa: E731
        await world.until(judges, "they judge")
        yield


def _said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if "store of calls" in r.getMessage()]


def test_a_server_starts_without_redis_and_finds_it(
    world: World, run: Run, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mothlight")

    async def main() -> None:
        redis.kill()
        async with world.open():
            await _keyless(world.here, 1)
            await _refused(world.here.unary("double", 2, world.terms()), 0.5)
            await _refused(world.here.status(world.terms()), 0.5)
            begin = world.here.calls.begin(world.here.request("double", 2), world.terms())
            await _refused(begin, 0.5)
            await asyncio.sleep(1.0)  # beats that fail
            assert world.notes.all() == ["double 1"]
            await asyncio.to_thread(redis.start)
            await _served(world, world.here, 3)

    run(main())
    said = _said(caplog)
    assert sum(LOST in line for line in said) == 2, said  # each of the two replicas, once
    assert 1 <= said.count("the store of calls is reached") <= 2, said


def test_redis_dies_and_comes_back_empty(
    world: World, run: Run, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with world.open():
            done, unary, stream = world.terms(), world.terms(), world.terms()
            assert await world.here.unary("double", 1, done) == 2
            waits = asyncio.create_task(world.here.unary("wait", 1, unary))
            reads = asyncio.create_task(
                world.here.read("drip", world.here.stream("drip", 8, stream))
            )
            await world.noted("wait 1")
            elsewhere = asyncio.create_task(
                world.there.read("drip", world.there.stream("drip", 8, stream))
            )
            await world.noted("drip 8")
            await asyncio.sleep(0.1)
            redis.kill()
            await _refused(elsewhere)
            for site in (world.here, world.there):
                await _refused(site.unary("double", 5, world.terms()))
                await _keyless(site, 6)
            assert await world.here.unary("double", 1, done) == 2  # it is known here
            await _refused(world.there.unary("double", 1, done))
            redis.start()
            await _served(world, world.here, 7)
            await _served(world, world.there, 8)
            for terms in (done, unary, stream):
                await world.until(lambda t=terms: _known(world, t), "it is known again")
            back = asyncio.create_task(
                world.there.read("drip", world.there.stream("drip", 8, stream, 2))
            )
            world.notes.cue()
            assert (await waits, await reads) == (1, list(range(1, 9)))
            assert await back == list(range(3, 9))
            assert await world.there.unary("wait", 1, unary) == 1
            assert await world.there.unary("double", 1, done) == 2
            for once in ("double 1", "wait 1", "drip 8"):
                assert world.notes.all().count(once) == 1

    run(main())
    assert len([line for line in _said(caplog) if LOST in line]) == 2


async def _known(world: World, terms: Any) -> bool:
    return await world.there.state(terms) is not None


def test_a_call_that_ran_while_redis_was_away_ends_for_its_own_reader(
    world: World, run: Run, redis: RedisServer
) -> None:
    async def main() -> None:
        async with world.open(max_log=64 * 1024):
            terms = world.terms()
            items = world.here.stream("flood", 300, terms)
            first = await anext(items)
            redis.kill()
            decode = world.here.methods["flood"].output.decode
            found = [decode(p) for p in first] + await world.here.read("flood", items)
            assert [int(text[:4]) for text in found] == list(range(1, 301))
            await _refused(world.there.read("flood", world.there.calls.items("ada", terms.id)))

    run(main())


def test_redis_stalls_for_longer_than_a_replica_may_be_silent(
    world: World, run: Run, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with _judging(world):
            running, refused = world.terms(), world.terms()
            waits = asyncio.create_task(world.here.unary("wait", 1, running))
            await world.noted("wait 1")
            with redis.stalled():
                start = time.monotonic()
                await _refused(world.here.unary("double", 2, refused))
                await _refused(world.there.unary("wait", 1, running))
                await _keyless(world.here, 3)
                await asyncio.sleep(max(0.0, 3.5 - (time.monotonic() - start)))
            await _served(world, world.there, 4)
            await _served(world, world.here, 5)
            # Nobody was taken for dead, and what was refused may be sent again, to any of them.
            assert not (await world.there.status(running)).state.is_final
            assert world.notes.all().count("double 2") == 0
            assert await world.there.unary("double", 2, refused) == 4
            assert await world.here.unary("double", 2, refused) == 4
            assert world.notes.all().count("double 2") == 1
            world.notes.cue()
            assert await world.there.unary("wait", 1, running) == await waits == 1
            assert world.notes.all().count("wait 1") == 1

    run(main())
    assert len([line for line in _said(caplog) if LOST in line]) == 2


def test_a_slow_redis_only_delays(world: World, run: Run, redis: RedisServer) -> None:
    async def main() -> None:
        async with world.open():
            terms = world.terms()
            redis.ask("CLIENT PAUSE 700 ALL")
            start = time.monotonic()
            assert await world.here.unary("double", 2, terms) == 4
            assert 0.4 < time.monotonic() - start < 2.5
            assert await world.there.unary("double", 2, terms) == 4
            assert world.notes.all() == ["double 2"]

    run(main())


def test_a_full_redis_refuses_and_is_emptied(
    world: World, run: Run, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with world.open():
            redis.ask("CONFIG SET maxmemory 1")
            for _ in range(20):
                await _refused(world.here.unary("double", 2, world.terms()), 0.5)
                await _keyless(world.here, 1)
            redis.ask("CONFIG SET maxmemory 0")
            await _served(world, world.here, 3)

    run(main())
    assert len(_said(caplog)) <= 4, _said(caplog)


def test_connections_that_are_cut_are_made_anew(world: World, run: Run, redis: RedisServer) -> None:
    async def main() -> None:
        async with world.open(grace=20):
            for x in range(5):
                await _served(world, world.here, x)
                redis.ask("CLIENT KILL TYPE normal SKIPME yes")
                redis.ask("CLIENT KILL TYPE pubsub SKIPME yes")
            terms = world.terms()
            waits = asyncio.create_task(world.here.unary("wait", 1, terms))
            await world.noted("wait 1")
            redis.ask("CLIENT KILL TYPE pubsub SKIPME yes")
            await world.until(lambda: _cancelled(world, terms), "cancelled, though nobody listens")
            with pytest.raises(Exception, match="cancelled"):
                await waits

    run(main())


async def _cancelled(world: World, terms: Any) -> bool:
    try:
        await world.there.calls.cancel("ada", terms.id)
        return await world.there.state(terms) is State.CANCELLED
    except Unavailable:
        return False


def test_a_replica_that_hangs_is_dead_for_the_others(world: World, run: Run) -> None:
    async def main() -> None:
        async with _judging(world):
            terms = world.terms()
            waits = asyncio.create_task(world.here.unary("wait", 1, terms))
            await world.noted("wait 1")
            silenced: Any = world.here.calls
            await silenced.presence.stop()  # as where its event loop is held up
            start = time.monotonic()
            with pytest.raises(Unavailable, match="died"):
                await world.there.unary("wait", 1, terms)
            print(f"dead after {time.monotonic() - start:.1f} s")
            assert time.monotonic() - start < 2.5
            world.notes.cue()
            assert await waits == 1  # its own reader is answered
            with pytest.raises(Unavailable, match="died"):  # and nobody else is told otherwise
                await world.there.unary("wait", 1, terms)
            assert world.notes.all().count("wait 1") == 1

    run(main())


def test_a_copy_that_is_stopped_before_it_began_is_not_waited_for(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            waits = asyncio.create_task(world.here.unary("wait", 1, world.terms()))
            await world.noted("wait 1")
            shared: Any = world.here.calls
            (mirror,) = shared._mirrors.values()
            await mirror.settled()
            mirror.rewrite()
            await shared.presence.stop()
            async with asyncio.timeout(5):
                await mirror.settled()
            world.notes.cue()
            assert await waits == 1

    run(main())


def test_who_leaves_at_any_moment_has_left(world: World, run: Run) -> None:
    async def main() -> None:
        async with world.open():
            terms, random = world.terms(), Random(1)
            waits = asyncio.create_task(world.here.unary("wait", 1, terms))
            await world.noted("wait 1")

            async def leave(answer: asyncio.Future[Any]) -> None:
                await asyncio.sleep(0.6 * random.random())
                answer.cancel()

            for _ in range(4):
                answers = [world.there.calls.answer("ada", terms.id) for _ in range(60)]
                await asyncio.gather(*map(leave, answers))
                _, left = await asyncio.wait(answers, timeout=2)
                assert not left, f"{len(left)} of them did not hear that they were cancelled"
            shared: Any = world.here.calls
            (mirror,) = shared._mirrors.values()
            await world.until(lambda: not mirror.readers, "the call's replica knows that")
            world.notes.cue()
            assert await waits == 1

    run(main())


def test_the_package_and_the_address_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DefinitionError, match="calls='reddis://x' is no address of Redis"):
        App(Stage, calls="reddis://x", workers=0)
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(DefinitionError) as raised:
        App(Stage, calls="redis://127.0.0.1:1", workers=0)
    assert 'Redis needs: pip install "mothlight[redis]"' in str(raised.value)


def test_redis_over_a_unix_socket(tmp_path: Path, notes: Notes, run: Run) -> None:
    redis = RedisServer(tmp_path)
    redis.more = ["--unixsocket", "redis.sock"]
    redis.start()
    try:
        redis.url = f"unix://{tmp_path}/redis.sock"
        world = World("replicas", redis, notes)

        async def main() -> None:
            async with world.open():
                terms = world.terms()
                for site in (world.here, world.there):
                    assert await site.unary("double", 2, terms) == 4
                assert world.notes.all() == ["double 2"]

        run(main())
    finally:
        redis.kill()
