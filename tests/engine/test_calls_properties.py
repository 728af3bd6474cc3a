"""The calls of a process under random opens, returns, leaves, cancels, supersedes, ends and time.

Whatever happens: a call runs once for its key while it is remembered; each waiter gets exactly one
end, its own; nobody is cancelled who did not leave, was not superseded and not stopped; and when
grace and keep are over nothing is left.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clock import run
from mothlight import method, service
from mothlight.backend.base import Reply, Request
from mothlight.calls.base import State, Terms
from mothlight.calls.local import LocalCalls
from mothlight.calls.record import Record
from mothlight.errors import (
    CallNotFound,
    Cancelled,
    DeadlineExceeded,
    Error,
    Internal,
    ItemsGone,
    KeyReused,
    Overloaded,
    Superseded,
    Unavailable,
)
from mothlight.schema import Payload
from mothlight.services import Service
from mothlight.settings import Settings

GRACE, KEEP, BACKGROUND = 5.0, 20.0, 12.0
SLACK = 1e-6
Place = tuple[str, str]


@service
class Work:
    @method
    def echo(self, text: str) -> str:
        return text

    @method
    async def count(self, text: str) -> AsyncIterator[str]:
        yield text


ECHO, COUNT = (Service.of(Work).methods[name] for name in ("echo", "count"))


class Script:
    """A backend that does what its world's dice say."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.live: Counter[str] = Counter()

    async def start(self) -> None: ...
    async def stop(self, grace: float) -> None: ...
    async def reload(self) -> None: ...

    is_ready, queued = True, 0
    states: Mapping[str, str] = {}

    def refusal(self) -> Error | None:
        return Overloaded(retry_after=1.0) if self.world.random.random() < 0.1 else None

    def begin(self, request: Request) -> None:
        self.world.begins(request.id)
        self.live[request.id] += 1
        assert self.live[request.id] == 1, "two runs of a call at once"

    def end(self, request: Request) -> None:
        self.live[request.id] -= 1
        self.world.ended_at[request.id] = self.world.now

    def failure(self) -> Error | None:
        rnd = self.world.random
        if rnd.random() < 0.8:
            return None
        return rnd.choice([Internal(), Unavailable(reason="its worker died")])

    def unary(self, request: Request) -> asyncio.Future[Reply]:
        if refused := self.refusal():
            raise refused
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        self.begin(request)

        def settle() -> None:
            if future.done():
                return
            if error := self.failure():
                future.set_exception(error)
            else:
                future.set_result(Reply(request.payload, 0.0, 0.0, 1))

        timer = loop.call_later(self.world.random.choice([0, 0.5, 3, 8]), settle)

        def ended(_: object) -> None:
            timer.cancel()
            self.end(request)

        future.add_done_callback(ended)
        return future

    async def stream(self, request: Request) -> AsyncIterator[Sequence[Payload]]:
        rnd = self.world.random
        if refused := self.refusal():
            raise refused
        self.begin(request)
        try:
            number = 0
            for _ in range(rnd.randrange(12)):
                await asyncio.sleep(rnd.choice([0, 0, 0.1, 2]))
                chunk = range(number, number + rnd.choice([1, 1, 5, 300]))
                number = chunk.stop
                pad = b" " * rnd.choice([0, 0, 200])
                yield [Payload(request.payload.json + b"/%d" % (n + 1) + pad) for n in chunk]
            if error := self.failure():
                raise error
        finally:
            self.end(request)


class World:
    """Clients of one LocalCalls, made on the event loop that it lives on."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.is_small = self.random.random() < 0.4  # so that the bounds are met
        small = {"max_calls": 6, "max_calls_bytes": 40_000, "max_log": 9000, "max_log_items": 100}
        self.settings = Settings(
            grace=self.random.choice([0.0, GRACE, GRACE]),
            keep=KEEP,
            **(small if self.is_small else {}),
        )
        self.backend = Script(self)
        self.calls = LocalCalls(self.backend, self.settings)
        self.calls.open = self.open  # type: ignore[method-assign]
        self.ended_at: dict[str, float] = {}
        self.runs: Counter[str] = Counter()
        self.readers: Counter[str] = Counter()
        self.alone: dict[str, float] = {}
        self.may_cancel: set[str] = set()  # by DELETE, by grace
        self.opened: dict[Place, int] = {}  # how many calls were opened by owner and supersede key
        self.seen: set[Record] = set()
        self.is_over: Counter[str] = Counter()

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def open(self, *given: Any) -> Record:
        record = LocalCalls.open(self.calls, *given)
        self.seen.add(record)
        return record

    # What the script and the clients tell

    def begins(self, name: str) -> None:
        """A run: only of what is not remembered."""
        self.runs[name] += 1
        if name in self.ended_at and not self.is_small and name in self.is_over:
            assert self.now >= self.ended_at[name] + KEEP - SLACK, "the model ran twice for a key"
        self.is_over[name] += 1
        self.may_cancel.discard(name)

    def arrive(self, name: str) -> None:
        since = self.alone.pop(name, None)
        if since is not None and self.now - since >= self.settings.grace - SLACK:
            self.may_cancel.add(name)
        self.readers[name] += 1

    def depart(self, name: str) -> None:
        self.readers[name] -= 1
        if not self.readers[name]:
            self.alone[name] = self.now
            if not self.settings.grace:
                self.may_cancel.add(name)

    def look(self) -> None:
        """What is so at any time."""
        calls, now = self.calls, self.now
        records = set(calls.records.values())
        held = sum(record.log._bytes for record in self.seen if record.log)
        held += sum(record.size for record in records if record.finished is not None)
        assert calls.room.bytes == held
        assert len(records) <= self.settings.max_calls
        for record in records:
            if record.finished is not None:
                assert record.is_remembered
            elif not record.is_awaited and not record.terms.is_background:
                assert record.terms.is_kept, "nobody can come back to it"
                assert record.alone is not None
                assert now - record.alone <= self.settings.grace + 0.01, "its grace is over"

    # The clients

    def request(self, place: Place, text: str, is_stream: bool, seconds: float) -> Request:
        name = "/".join(place)
        payload = Payload(f'"{name} {text}"'.encode())
        return Request(COUNT if is_stream else ECHO, payload, name, self.now + seconds)

    async def client(self, number: int) -> None:
        rnd = self.random
        await asyncio.sleep(rnd.uniform(0, 40))
        owner = rnd.choice("ab")
        is_kept = rnd.random() < 0.8
        key = rnd.randrange(8)
        place = (owner, f"key-{key}" if is_kept else f"fresh-{number}")
        is_stream = key % 2 == 0
        latest = rnd.choice(["", "", "box"]) if key < 4 else ""
        terms = Terms(owner, place[1], is_kept, is_kept and rnd.random() < 0.15, latest)
        text = "x" if rnd.random() < 0.9 else "other"
        request = self.request(place, text, is_stream, BACKGROUND if terms.is_background else 500)
        known = self.calls.records.get(place)
        if latest and known is None:
            self.opened[owner, latest] = self.opened.get((owner, latest), 0) + 1
        name = request.id
        try:
            if terms.is_background:
                status = await self.calls.begin(request, terms)
                assert (status.owner, status.id) == place
            elif is_stream:
                await self.read(request, terms)
            else:
                await self.wait(request, terms)
        except KeyReused:
            assert known is not None or self.runs[name], "nothing to be reused"
        except Overloaded:
            pass
        except ItemsGone as error:  # or the call was forgotten, and perhaps begun anew
            assert self.is_small or error.after > error.last
        except Cancelled:
            assert name in self.may_cancel, "cancelled, and nobody has left or stopped it"
        except Superseded:
            assert self.opened.get((owner, "box"), 0) > 1, "superseded by nobody"
        except DeadlineExceeded:
            assert self.now >= request.deadline or self.runs[name]
        except (Internal, Unavailable):
            assert self.runs[name] or self.calls._is_stopping
        self.look()

    async def wait(self, request: Request, terms: Terms) -> None:
        future = self.calls.unary(request, terms)
        self.look()
        self.arrive(request.id)
        try:
            if self.random.random() < 0.4:
                await asyncio.wait({future}, timeout=self.random.choice([0, 1, 4]))
                if not future.done():
                    future.cancel()
                    self.look()
                    return
            reply = await future
        finally:
            self.depart(request.id)
        assert reply.payload == request.payload, "another call's answer"

    async def read(self, request: Request, terms: Terms) -> None:
        """Follows a stream; leaves and comes back to it."""
        at, name = 0, request.id
        for _ in range(self.random.choice([1, 1, 3, 6])):
            most = self.random.choice([0, 1, 3, 1000])
            if at and self.random.random() < 0.5:
                items = self.calls.items(terms.owner, terms.id, at)
                # It may be forgotten by now, and its key begun anew with another message.
                mine = {f'"{name} {text}"'.encode() for text in ("x", "other")}
            else:
                items = self.calls.stream(request, terms, at)
                mine = {request.payload.json}
            since, was_in, refused = self.alone.get(name), False, False
            self.arrive(name)
            try:
                async with aclosing(items) as found:  # type: ignore[type-var]
                    async for payloads in found:
                        was_in = True
                        self.look()
                        for payload in payloads:
                            at += 1
                            whose, _, number = payload.json.rstrip().rpartition(b"/")
                            assert number == b"%d" % at, "not the next item"
                            assert whose in mine, "another call's item"
                        most -= 1
                        if most < 0:
                            break
                        await asyncio.sleep(self.random.choice([0, 0, 0.3]))
                    else:
                        return
            except CallNotFound:
                assert at, "an unknown call is begun"
                return
            except (KeyReused, ItemsGone):
                refused = not was_in
                raise
            finally:
                self.depart(name)
                if refused and since is not None:  # it did not come back, then
                    self.alone[name] = since
                self.look()
            if not terms.is_kept:
                return
            await asyncio.sleep(self.random.choice([0, 0.5, 3, 7]))

    async def meddler(self) -> None:
        """Cancels calls, and asks for calls, its own and others'."""
        rnd = self.random
        for _ in range(10):
            await asyncio.sleep(rnd.uniform(0, 5))
            place = (rnd.choice("abc"), f"key-{rnd.randrange(8)}")
            is_known = place in self.calls.records
            try:
                if rnd.random() < 0.3:
                    self.may_cancel.add("/".join(place))
                    await self.calls.cancel(*place)
                    assert (await self.calls.status(*place)).state.is_final
                else:
                    status = await self.calls.status(*place)
                    assert (status.ended is None) == (status.state in (State.QUEUED, State.RUNNING))
                assert is_known and place[0] != "c"
            except CallNotFound:
                assert not is_known
            self.look()

    async def live(self, clients: int) -> None:
        await self.calls.start()
        tasks = [asyncio.ensure_future(self.client(number)) for number in range(clients)]
        tasks.append(asyncio.ensure_future(self.meddler()))
        for task in tasks:
            await task
        await asyncio.sleep(GRACE + BACKGROUND + KEEP + 10)  # streams end in 24 s, or are alone
        self.look()
        calls = self.calls
        for _ in range(4):  # what was kept for a slow reader
            await asyncio.sleep(KEEP)
        assert not calls.records and calls.room.bytes == 0
        assert not calls._newest and not len(calls._left) and not len(calls._done)
        assert calls._left._timer is None and calls._done._timer is None
        assert not +self.backend.live, "the model works for nobody"
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), clients=st.integers(1, 60))
def test_calls_are_run_once_and_end_once(seed: int, clients: int) -> None:
    async def main() -> None:
        await World(seed).live(clients)

    run(main())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nothing_is_left_after_a_stop(seed: int) -> None:
    async def main() -> None:
        world = World(seed)
        tasks = [asyncio.ensure_future(world.client(number)) for number in range(40)]
        await asyncio.sleep(20)
        await world.calls.stop(0)
        assert not world.calls.records
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [e for e in done if e is not None and not isinstance(e, (Error,))], done
        await asyncio.sleep(0.1)
        assert world.calls.room.bytes == 0
        assert not +world.backend.live and asyncio.all_tasks() == {asyncio.current_task()}

    run(main())
