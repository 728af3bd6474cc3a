"""The log of a stream under any order of appends, reads, leaves and returns.

Whatever happens: a reader gets the items in their order, none lost and none twice, or is told that
they are gone, and only if they are; the producer waits if and only if it should; the bytes that are
held are counted exactly and bounded; nothing is left of what is dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mothlight.calls import log as module
from mothlight.calls.log import CHUNK, Log, Reader, Room, size
from mothlight.errors import ItemsGone, Unavailable
from mothlight.schema import Payload

FLOOR = module._FLOOR
BIG = 20_000
"""Bytes of the largest item."""


def item(log: int, number: int, width: int, is_file: bool) -> Payload:
    data = b"%d/%d " % (log, number) + b"x" * width
    return Payload(b'{"$media":0}', ((data, "text/plain", None),)) if is_file else Payload(data)


def name(payload: Payload) -> tuple[int, int]:
    """(log, number) of an item."""
    data = payload.media[0][0] if payload.media else payload.json
    log, number = data.split(b" ")[0].split(b"/")
    return int(log), int(number)


class Model:
    """One log, what was put into it, and who reads it."""

    def __init__(self, number: int, log: Log) -> None:
        self.number, self.log = number, log
        self.items: list[Payload] = []
        self.readers: list[tuple[Reader, list[int]]] = []  # each with the numbers that it has got
        self.reading: dict[Reader, asyncio.Task[Any]] = {}
        self.producer: asyncio.Task[None] | None = None
        self.most_added = 0
        self.is_dropped = False

    @property
    def held(self) -> int:
        return sum(map(size, self.log._items))


class Logs(RuleBasedStateMachine):
    """Some logs that share a room."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.models: list[Model] = []

    @initialize(
        count=st.integers(1, 3),
        max_bytes=st.sampled_from([1000, 100_000, 200_000, 10_000_000]),
        log_bytes=st.sampled_from([500, 5000, 100_000, 1_000_000]),
        log_items=st.sampled_from([1, 2, 7, 100, 5000]),
    )
    def begin(self, count: int, max_bytes: int, log_bytes: int, log_items: int) -> None:
        self.room = Room(max_bytes, log_bytes, log_items)
        self.models = [Model(n, Log(self.room)) for n in range(count)]

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def settle(self) -> None:
        """Lets everything that can go on go on."""

        async def turns() -> None:
            for _ in range(5):
                await asyncio.sleep(0)

        self.do(turns())
        for model in self.models:
            for reader, task in list(model.reading.items()):
                if task.done():
                    del model.reading[reader]
                    self.got(model, reader, task)

    def got(self, model: Model, reader: Reader, task: asyncio.Task[Any]) -> None:
        numbers = next(has for one, has in model.readers if one is reader)
        at = numbers[-1] if numbers else reader.at
        try:
            items = task.result()
        except ItemsGone as error:
            assert at < model.log.first, "told that they are gone, and they are not"
            assert (error.after, error.first, error.last) == (
                at,
                model.log.first,
                model.log.count,
            )
            self.leave_(model, reader)
            return
        except Unavailable:
            assert model.log.ended and model.log.error and at == model.log.count
            self.leave_(model, reader)
            return
        if not items:
            assert model.log.ended and not model.log.error and at == model.log.count
            self.leave_(model, reader)
            return
        assert len(items) <= CHUNK
        assert len(items) == 1 or sum(map(size, items)) <= CHUNK * 256 + BIG + 200
        found = [name(payload) for payload in items]
        assert found == [(model.number, n) for n in range(at + 1, at + 1 + len(items))]
        assert [model.items[n - 1] for _, n in found] == list(items)
        numbers += [n for _, n in found]

    def leave_(self, model: Model, reader: Reader) -> None:
        model.log.close(reader)
        model.readers = [pair for pair in model.readers if pair[0] is not reader]

    def pick(self, data: Any, *, ended: bool = True) -> Model:
        able = [m for m in self.models if ended or not m.log.ended]
        return data.draw(st.sampled_from(able))

    # The producer

    @precondition(lambda self: any(not m.log.ended for m in self.models))
    @rule(
        data=st.data(),
        widths=st.lists(st.sampled_from([0, 1, 30, 900, BIG]), max_size=40),
        times=st.sampled_from([1, 1, 1, 10]),
        is_file=st.booleans(),
    )
    def append(self, data: Any, widths: list[int], times: int, is_file: bool) -> None:
        """As a backend's stream does: only where it is not made to wait."""
        model = self.pick(data, ended=False)
        if model.producer is not None:
            return
        start = len(model.items)
        payloads = [
            item(model.number, start + n + 1, width, is_file)
            for n, width in enumerate(widths * times)
        ]
        model.items += payloads
        model.most_added = max(model.most_added, sum(map(size, payloads)))
        model.log.append(payloads)
        if model.log.is_full:
            model.producer = self.loop.create_task(model.log.space())
        self.settle()

    @precondition(lambda self: any(not m.log.ended for m in self.models))
    @rule(data=st.data(), fails=st.booleans())
    def end(self, data: Any, fails: bool) -> None:
        model = self.pick(data, ended=False)
        error = Unavailable(reason="it died") if fails else None
        model.log.end(error)
        model.log.end(Unavailable(reason="a second end counts for nothing"))
        assert model.log.error is error
        if model.producer is not None:
            model.producer.cancel()
            model.producer = None
        self.settle()

    # The readers

    @rule(data=st.data())
    def open(self, data: Any) -> None:
        model = self.pick(data)
        log = model.log
        after = data.draw(
            st.one_of(st.integers(0, log.count + 2), st.sampled_from([log.first, log.count]))
        )
        is_held = log.first <= after <= log.count
        try:
            reader = log.open(after)
        except ItemsGone as error:
            assert not is_held
            assert (error.after, error.first, error.last) == (after, log.first, log.count)
            return
        assert is_held
        model.readers.append((reader, [after]))
        self.settle()

    @precondition(lambda self: any(m.readers for m in self.models))
    @rule(data=st.data(), times=st.sampled_from([1, 1, 3, 30]))
    def read(self, data: Any, times: int) -> None:
        model = data.draw(st.sampled_from([m for m in self.models if m.readers]))
        reader, _ = data.draw(st.sampled_from(model.readers))
        for _ in range(times):
            if reader in model.reading or not model.log.has_readers:
                return
            if all(one is not reader for one, _ in model.readers):
                return
            model.reading[reader] = self.loop.create_task(reader.read())
            self.settle()

    @precondition(lambda self: any(m.readers for m in self.models))
    @rule(data=st.data())
    def leave(self, data: Any) -> None:
        model = data.draw(st.sampled_from([m for m in self.models if m.readers]))
        reader, _ = data.draw(st.sampled_from(model.readers))
        if (task := model.reading.pop(reader, None)) is not None:
            task.cancel()
        self.leave_(model, reader)
        self.settle()

    @precondition(lambda self: any(m.log.ended for m in self.models))
    @rule(data=st.data())
    def drop(self, data: Any) -> None:
        model = data.draw(st.sampled_from([m for m in self.models if m.log.ended]))
        model.log.drop()
        model.is_dropped = True
        assert model.log._bytes == 0 and not model.log._items
        self.settle()

    @rule()
    def pass_time(self) -> None:
        """In which producers that wait for others' room look again."""
        if any(m.producer for m in self.models):
            self.do(asyncio.sleep(1.5 * module._PAUSE))
            self.settle()

    # What is always so

    @invariant()
    def bytes_are_counted(self) -> None:
        for model in self.models:
            log = model.log
            assert log._bytes == model.held
            assert log.count == len(model.items)
            if not model.is_dropped:
                assert log.first + len(log._items) == log.count
                assert log._items == model.items[log.first :]
                assert log.first <= log._sent <= log.count
                assert log._unsent == sum(map(size, model.items[log._sent :]))
        if self.models:
            assert self.room.bytes == sum(model.held for model in self.models)

    @invariant()
    def what_is_held_is_bounded(self) -> None:
        """By the bounds, one append, and what a reader that came back has still to get."""
        for model in self.models:
            log, room = model.log, self.room
            unsent = model.items[log._sent :]
            if not model.is_dropped:
                assert log._bytes <= max(room.log_bytes, log._unsent) + model.most_added
                assert len(log._items) <= max(room.log_items, len(unsent)) + 400

    @invariant()
    def the_producer_waits_if_and_only_if_it_should(self) -> None:
        for model in self.models:
            if (task := model.producer) is not None:
                if task.done():
                    task.result()
                    model.producer = None
                elif not model.log.is_full:
                    # Another's room became free: it looks in a moment.
                    self.do(asyncio.wait({task}, timeout=20 * module._PAUSE))
                    assert task.done(), "a lost wake-up"
                    model.producer = None

    @invariant()
    def a_reader_waits_only_for_what_is_not_there(self) -> None:
        for model in self.models:
            for reader in model.reading:
                assert reader.at == model.log.count and not model.log.ended

    def teardown(self) -> None:
        """Who reads on gets all there is; then nothing is left."""
        try:
            for model in self.models:
                model.log.end(None)
                for reader, _ in list(model.readers):
                    for _ in range(10_000):
                        if all(one is not reader for one, _ in model.readers):
                            break
                        if reader not in model.reading:
                            model.reading[reader] = self.loop.create_task(reader.read())
                        self.settle()
                    else:
                        raise AssertionError("a reader never comes to the end")
                if model.producer:
                    model.producer.cancel()
                model.log.drop()
            self.settle()
            if self.models:
                assert self.room.bytes == 0
        finally:
            self.loop.close()


TestLogs = pytest.mark.slow(Logs.TestCase)
TestLogs.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_an_item_without_end_is_held_alone() -> None:
    """An item above every bound is given to its reader all the same."""

    async def main() -> None:
        room = Room(100, 100, 1)
        log = Log(room)
        reader = log.open(0)
        for number in range(1, 4):
            log.append([Payload(b"%d" % number * 1_000_000)])
            assert log.is_full
            waiting = asyncio.ensure_future(log.space())
            assert len(await reader.read()) == 1
            asking = asyncio.ensure_future(reader.read())
            await asyncio.wait_for(waiting, 5)
            asking.cancel()
            await asyncio.sleep(0)
        log.drop()
        assert room.bytes == 0

    asyncio.run(main())


def test_an_error_does_not_grow_with_its_readers() -> None:
    """It is kept, and each raise would add its frames to it."""

    async def main() -> None:
        log = Log(Room(1000, 1000, 10))
        log.end(Unavailable(reason="it died"))
        depths = []
        for _ in range(5):
            with pytest.raises(Unavailable) as caught:
                await log.open(0).read()
            depth, trace = 0, caught.value.__traceback__
            while trace is not None:
                depth, trace = depth + 1, trace.tb_next
            depths.append(depth)
        assert len(set(depths)) == 1

    asyncio.run(main())
