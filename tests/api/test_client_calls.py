"""Both clients over connections that are cut anywhere: every answer comes, nothing is lost or
doubled, the model runs once; and what is left ends on the server."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing
from typing import Any

import pytest

from api.cutter import Cut, Cutter
from live import wait_until
from mothlight import AsyncClient, Client, Error, File, current_call, method, service
from mothlight.client import StreamCut
from mothlight.errors import CallNotFound, Cancelled, DeadlineExceeded, Superseded
from mothlight.testing import TestClient
from services import loom
from services.loom import Loom, Order, Parcel

CALLS: Counter[str] = Counter()
"""How often a method that takes a stream began."""


@service
class Ear:
    @method
    async def total(self, numbers: AsyncIterator[int]) -> int:
        CALLS["total"] += 1
        found = 0
        async for number in numbers:
            found = found * 31 % 1_000_003 + number  # their order counts
        return found

    @method
    def echo(self, words: Iterator[str]) -> Iterator[str]:
        CALLS["echo"] += 1
        for word in words:
            yield word.upper()

    @method
    async def turn(self, files: AsyncIterator[File]) -> AsyncIterator[File]:
        async for file in files:
            yield File(file.data[::-1])

    @method
    def weigh(self, files: Iterator[File]) -> int:
        return sum(len(file.data) for file in files)

    @method
    def repeat(self, words: Iterator[str]) -> Iterator[str]:
        for word in words:
            yield word * 4

    @method
    def stick(self, words: Iterator[str]) -> Iterator[str]:
        CALLS["left"] = 0
        time.sleep(0.5)  # what it gives comes when all that holds messages is full
        yield next(words)[:1]
        while not current_call().cancelled:
            time.sleep(0.01)
        CALLS["left"] = 1


@pytest.fixture(scope="module")
def server() -> Iterator[TestClient]:
    with TestClient(Loom, Ear, grace=20) as client:
        yield client


@pytest.fixture
def port(server: TestClient) -> int:
    return int(server.url.rpartition(":")[2])


names = (f"call {number}" for number in range(1_000_000))


@pytest.fixture
def name() -> str:
    return next(names)


class Ask:
    """One call with either client."""

    def __init__(self, kind: str) -> None:
        self.is_sync = kind == "sync"

    def _do(self, url: str, options: dict[str, Any], what: Callable[[Any], Any]) -> Any:
        if self.is_sync:
            with Client(url, trust_env=False, **options) as client:
                return what(client)

        async def main() -> Any:
            async with asyncio.timeout(60), AsyncClient(url, trust_env=False, **options) as client:
                return await what(client)

        return asyncio.run(main())

    def call(self, url: str, method: Any, message: Any = ..., **options: Any) -> Any:
        return self._do(url, options, lambda client: client.call(method, message))

    def stream(self, url: str, method: Any, message: Any = ..., **options: Any) -> list[Any]:
        async def collect(client: AsyncClient) -> list[Any]:
            return [item async for item in client.stream(method, message)]

        def take(client: Any) -> Any:
            return list(client.stream(method, message)) if self.is_sync else collect(client)

        found: list[Any] = self._do(url, options, take)
        return found


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    return Ask(request.param)


# Cuts


@pytest.mark.parametrize(
    "cut",
    [
        Cut(up=0),
        Cut(up=40),  # in the head
        Cut(up=5_000),  # in the body
        Cut(up=100_000),
        Cut(down=0),  # the request is whole
        Cut(down=9),
        Cut(down=100),
    ],
    ids=str,
)
def test_one_answer(port: int, ask: Ask, name: str, cut: Cut) -> None:
    parcel = Parcel(file=File(random.Random(5).randbytes(100_000)), name=name)
    with Cutter(port) as clear:
        expected = ask.call(clear.url, Loom.weigh, parcel)
    loom.RAN.clear()
    with Cutter(port, cut, cut, cut) as cutter:
        assert ask.call(cutter.url, Loom.weigh, parcel) == expected
        assert cutter.connections == 4
    assert loom.RAN[name] == 1


def test_an_answer_that_is_nearly_whole(port: int, ask: Ask, name: str) -> None:
    with Cutter(port) as clear:
        expected = ask.call(clear.url, Loom.cloth, name)
        whole = len(clear.down[0])
    assert len(expected.data) == 6400 < whole
    loom.RAN.clear()
    near = whole - 20  # its server-timing is now longer, now shorter
    with Cutter(port, Cut(down=whole - 6_000), Cut(down=near)) as cutter:
        assert ask.call(cutter.url, Loom.cloth, name) == expected
        assert cutter.connections == 3
    assert loom.RAN[name] == 1


def test_a_stream_at_every_event(port: int, ask: Ask, name: str) -> None:
    order = Order(name=name, count=6)
    with Cutter(port) as clear:
        expected = ask.stream(clear.url, Loom.weave, order)
        came = bytes(clear.down[0])
    assert len(expected) == 6
    ends = [at for at in range(len(came)) if came.startswith(b"\n\n", at)]
    assert len(ends) == 7  # and its end
    for end in ends:
        for at in (end - 1, end, end + 1, end + 2):
            loom.RAN.clear()
            with Cutter(port, Cut(down=at)) as cutter:
                assert ask.stream(cutter.url, Loom.weave, order) == expected
            assert loom.RAN[name] == 1, at


def test_a_stream_that_is_cut_again_and_again(port: int, ask: Ask, name: str) -> None:
    order = Order(name=name, count=40, width=500)
    cuts = [Cut(down=1200)] * 30
    with Cutter(port, *cuts) as cutter:
        items = ask.stream(cutter.url, Loom.weave, order, retries=1)
        assert cutter.connections > 10
    assert [item.partition(":")[0] for item in items] == [str(n) for n in range(1, 41)]
    assert loom.RAN[name] == 1


def test_a_failure_is_kept_too(port: int, ask: Ask, name: str) -> None:
    with Cutter(port, Cut(down=0), Cut(down=20)) as cutter, pytest.raises(loom.Torn) as caught:
        ask.call(cutter.url, Loom.tear, name)
    assert caught.value.name == name and loom.RAN[name] == 1
    with Cutter(port, Cut(down=300)) as cutter, pytest.raises(loom.Torn):
        ask.stream(cutter.url, Loom.weave, Order(name=name, fail_at=5))
    assert loom.RAN[name] == 2


def test_connections_that_stall(port: int, ask: Ask, name: str) -> None:
    stalls = [Cut(down=400, stalls=True), Cut(down=300, stalls=True)]
    with Cutter(port, *stalls) as cutter:
        items = ask.stream(cutter.url, Loom.weave, Order(name=name, count=30), idle=0.3)
        assert len(items) == 30 and cutter.connections == 3
    assert loom.RAN[name] == 1
    with Cutter(port, Cut(down=0, stalls=True), Cut(up=10, stalls=True)) as cutter:
        assert ask.call(cutter.url, Loom.together, name, idle=0.3, retries=1) == name.upper()
        assert cutter.connections >= 2
    assert loom.RAN[name] == 2
    for stall in [Cut(down=400, stalls=True), Cut(up=600, stalls=True), Cut(up=10, stalls=True)]:
        words = [f"word {number}" for number in range(100)]
        with Cutter(port, stall) as cutter:
            found = ask.stream(cutter.url, Ear.echo, words, idle=0.4, timeout=20)
            assert found == [word.upper() for word in words]
            assert cutter.connections == 2


def test_there_is_an_end_to_it(
    port: int, ask: Ask, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mothlight.client.patience.KEPT", 0.0)
    cuts = [Cut(down=400), Cut(down=0), Cut(down=0), Cut(down=0)]
    with Cutter(port, *cuts) as cutter, pytest.raises(StreamCut) as caught:
        ask.stream(cutter.url, Loom.weave, Order(name=name, count=30), retries=3)
    assert caught.value.received > 0 and len(caught.value.call_id) == 32


# Streams to the server


def numbers() -> list[int]:
    return list(range(500))


def test_messages_over_cuts(port: int, ask: Ask) -> None:
    with Cutter(port) as clear:
        expected = ask.call(clear.url, Ear.total, numbers())
    for cut in [Cut(up=700), Cut(up=1500), Cut(up=2500), Cut(down=0), Cut(down=200)]:
        CALLS.clear()
        with Cutter(port, cut, cut) as cutter:
            assert ask.call(cutter.url, Ear.total, numbers()) == expected, cut
            assert cutter.connections > 1
        assert CALLS["total"] == 1, cut


def test_a_cut_before_it_is_told_that_a_full_outbox_has_come(port: int, ask: Ask) -> None:
    files = [File(bytes(9_000_000))] * 3  # each fills it
    with Cutter(port) as clear:
        assert ask.call(clear.url, Ear.weigh, files[:1]) == 9_000_000
        came = bytes(clear.down[0])
    greeting = came.index(b"\r\n\r\n") + 4
    told = greeting + 2 + came[greeting + 1]  # where the next frame begins: it has the first file
    with Cutter(port, Cut(down=told + 1)) as cutter:
        assert ask.call(cutter.url, Ear.weigh, files, timeout=30) == 27_000_000
        assert cutter.connections == 2


def test_both_ways_over_cuts(port: int, ask: Ask) -> None:
    words = [f"word {number}" for number in range(100)]
    with Cutter(port) as clear:
        expected = ask.stream(clear.url, Ear.echo, words)
        head = clear.down[0].index(b"\r\n\r\n") + 4
    assert expected == [word.upper() for word in words]
    for at in (head, head + 20, head + 60, head + 90, head + 300, head + 1000):
        CALLS.clear()
        with Cutter(port, Cut(down=at), Cut(up=at), Cut(down=at + 7)) as cutter:
            assert ask.stream(cutter.url, Ear.echo, words) == expected, at
            assert cutter.connections > 1
        assert CALLS["echo"] == 1, at


def test_files_both_ways(server: TestClient, ask: Ask) -> None:
    files = [File(bytes([n]) * n + b"!") for n in range(1, 30)]
    items = ask.stream(server.url, Ear.turn, files)
    assert [item.data for item in items] == [file.data[::-1] for file in files]
    named = File(b"abc", name="a.bin", media_type="text/x-a")  # goes as JSON, which says all
    assert ask.stream(server.url, Ear.turn, [named])[0].data == b"cba"


def test_what_the_messages_raise(server: TestClient, ask: Ask) -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        ask.stream(server.url, Ear.echo, broken())
    with pytest.raises(Error, match="valid string"):
        ask.stream(server.url, Ear.echo, ["a", 5])


def test_a_method_that_gives_more_than_it_takes(
    server: TestClient, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither waits for the other while both directions are full."""
    monkeypatch.setattr("mothlight.client.outbox.MAX_BYTES", 64 << 20)  # more than systems hold
    words = [str(number % 10) * 40_000 for number in range(600)]
    assert ask.stream(server.url, Ear.repeat, words) == [word * 4 for word in words]


def test_messages_that_take_their_time(server: TestClient) -> None:
    """Items come while the next message is waited for; and leaving does not wait for it."""
    more, closed = threading.Event(), threading.Event()

    def words() -> Iterator[str]:
        try:
            yield "a"
            more.wait(30)
            yield "b"
        finally:
            closed.set()

    with Client(server.url, trust_env=False) as client:
        with closing(client.stream(Ear.echo, words())) as items:
            assert next(items) == "A"
            start = time.monotonic()
        assert time.monotonic() - start < 5
        assert not closed.is_set()
        more.set()
        assert closed.wait(5), "the messages are closed in the thread that takes them"


def test_a_caller_that_takes_its_time(server: TestClient) -> None:
    taken = 0

    def words() -> Iterator[str]:
        nonlocal taken
        for _ in range(2_000):
            taken += 1
            yield "x" * 40_000

    with Client(server.url, trust_env=False) as client:
        items = client.stream(Ear.echo, words())
        assert next(items) == "X" * 40_000
        time.sleep(2)
        assert taken < 1_500, "what nobody takes is not asked for"
        assert sum(1 for _ in items) == 1_999


def test_messages_by_the_contract(server: TestClient) -> None:
    assert list(server.of("Ear").echo(["a", "b"])) == ["A", "B"]
    assert list(server.of(Ear).echo(iter(["a"]))) == ["A"]


# Leaving


def ended(name: str) -> None:
    wait_until(lambda: loom.LEFT[name] == 1, f"{name} is left")
    assert loom.ENDED[name] == 0


def test_leaving_a_stream_cancels_it(server: TestClient, name: str) -> None:
    loom.gate(name)
    order = Order(name=name, hold_at=3)
    with closing(server.stream(Loom.weave, order)) as items:
        assert next(items).startswith("1")
    ended(name)


def test_a_task_that_is_cancelled(server: TestClient, name: str) -> None:
    loom.gate(name)
    others = [next(names), next(names)]
    for other in others:
        loom.gate(other)

    async def main() -> None:
        async with AsyncClient(server.url, trust_env=False) as client:

            async def collect() -> None:
                async for _ in client.stream(Loom.weave, Order(name=others[0], hold_at=3)):
                    pass

            tasks = [asyncio.create_task(collect())]
            for held in (name, others[1]):
                tasks.append(asyncio.create_task(client.call(Loom.hold, held)))
            await asyncio.to_thread(
                wait_until, lambda: all(loom.RAN[n] for n in (name, *others)), "all run"
            )
            start = time.monotonic()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)
            assert time.monotonic() - start < 0.5

            async with aclosing(client.stream(Ear.echo, ["a", "b"])) as words:
                assert await anext(words) == "A"

    asyncio.run(main())
    for each in (name, *others):
        ended(each)


def test_leaving_while_the_method_takes_no_more(
    server: TestClient, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mothlight.client.outbox.MAX_BYTES", 64 << 20)  # more than systems hold
    made = 0

    def words() -> Iterator[str]:
        nonlocal made
        while True:
            made += 1
            yield "x" * 40_000

    def is_full() -> bool:
        before = made
        return not threading.Event().wait(0.5) and made == before

    async def leave(client: AsyncClient) -> float:
        async with aclosing(client.stream(Ear.stick, words())) as items:
            assert await anext(items) == "x"
            await asyncio.to_thread(wait_until, is_full, "all that holds messages is full", 30)
            start = time.monotonic()
        return time.monotonic() - start

    def leave_sync(client: Client) -> float:
        with closing(client.stream(Ear.stick, words())) as items:
            assert next(items) == "x"
            wait_until(is_full, "all that holds messages is full", 30)
            start = time.monotonic()
        return time.monotonic() - start

    took = ask._do(server.url, {"idle": 100}, leave_sync if ask.is_sync else leave)
    assert took < 15, "it waits until what it has sent is read"
    wait_until(lambda: CALLS["left"], "it is told to the method")


def test_an_interrupted_call(server: TestClient, name: str) -> None:
    loom.gate(name)

    class Interrupted(BaseException):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    def kill() -> None:
        wait_until(lambda: loom.RAN[name] == 1, f"{name} runs")
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    thread = threading.Thread(target=kill)
    try:
        thread.start()
        with pytest.raises(Interrupted):
            server.call(Loom.hold, name)
    finally:
        thread.join(10)
        signal.signal(signal.SIGUSR1, before)
    ended(name)


def test_a_deadline_ends_the_call(server: TestClient, ask: Ask, name: str) -> None:
    loom.gate(name)
    with pytest.raises(DeadlineExceeded):
        ask.call(server.url, Loom.hold, name, timeout=0.2)
    ended(name)


def test_the_newest_takes_the_place(server: TestClient, name: str) -> None:
    loom.gate(name)
    other, newer = next(names), next(names)
    loom.gate(other)
    box = server.with_options(supersede="search box")
    first, apart = box.stream(Loom.weave, Order(name=name, hold_at=2)), None
    assert next(first).startswith("1")
    with Client(server.url, trust_env=False) as stranger:
        alone = stranger.with_options(supersede="search box")
        apart = alone.stream(Loom.weave, Order(name=other, hold_at=2))
        assert next(apart).startswith("1")
        assert len(list(box.stream(Loom.weave, Order(name=newer, count=3)))) == 3
        with pytest.raises(Superseded):
            next(first)
        loom.GATES[other].set()
        assert len(list(apart)) == 19
    ended(name)


# In the background


def test_an_operation(server: TestClient, name: str) -> None:
    gate = loom.gate(name)
    operation = server.begin(Loom.hold, name)
    assert operation.status().state in ("queued", "running") and not operation.status().is_final
    with pytest.raises(DeadlineExceeded):
        operation.result(timeout=0.3)
    assert loom.LEFT[name] == 0  # it goes on
    threading.Timer(0.2, gate.set).start()
    with Client(server.url, trust_env=False) as later:
        found = later.operation(operation.id, Loom.hold)
        assert found.result(timeout=20) == f"{name} is done"
    status = operation.status()
    assert status.state == "done" and status.is_final and status.ended and status.error is None
    with pytest.raises(TypeError):
        operation.stream()


def test_an_operation_that_fails_or_is_cancelled(server: TestClient, name: str) -> None:
    operation = server.begin(Loom.tear, name)
    with pytest.raises(loom.Torn):
        operation.result()
    assert isinstance(operation.status().error, loom.Torn)
    loom.gate(name)
    held = server.begin(Loom.hold, name)
    held.cancel()
    with pytest.raises(Cancelled):
        held.result()
    with pytest.raises(CallNotFound):
        server.operation("0123456789abcdef" * 2, Loom.hold).result()


def test_a_stream_in_the_background(server: TestClient, port: int, name: str) -> None:
    order = Order(name=name, count=30, width=50)
    operation = server.begin(Loom.weave, order)
    for item in operation.stream():
        assert item.startswith("1:")
        break  # it goes on
    cuts = [Cut(down=900), Cut(down=900)]
    with Cutter(port, *cuts) as cutter, Client(cutter.url, trust_env=False) as later:
        assert len(list(later.operation(operation.id, Loom.weave).stream())) == 30
    assert operation.status().items == 30 and loom.RAN[name] == 1
    with pytest.raises(TypeError):
        operation.result()


def test_operations_that_are_awaited(server: TestClient, name: str) -> None:
    async def main() -> None:
        async with asyncio.timeout(20), AsyncClient(server.url, trust_env=False) as client:
            operation = await client.begin(Loom.hold, name)
            assert await operation.result(timeout=10) == f"{name} is done"
            assert (await operation.status()).state == "done"
            stream = await client.begin(Loom.weave, Order(name=name, count=3))
            known = client.operation(stream.id, Loom.weave)
            assert len([item async for item in known.stream()]) == 3
            await known.cancel()  # one that has ended stays as it is
            assert (await known.status()).state == "done"

    asyncio.run(main())
