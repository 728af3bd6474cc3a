"""Methods that take a stream of messages, in this process and in a worker."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from booth import Booth, Tired

from mothlight import File
from mothlight.backend import Backend, LocalBackend, Pool, Request
from mothlight.backend.answers import decode
from mothlight.backend.inbox import MAX_BYTES, MAX_ITEMS, Inbox
from mothlight.backend.intake import Intake
from mothlight.call import Call
from mothlight.errors import (
    DeadlineExceeded,
    InvalidRequest,
    MalformedRequest,
    Unavailable,
)
from mothlight.principal import Principal
from mothlight.schema import Payload
from mothlight.services import Service
from mothlight.settings import Settings
from mothlight.timeline import Timeline

Run = Callable[[Coroutine[Any, Any, Any]], Any]
BOTH = pytest.mark.parametrize("name", ["echo", "echo_async", "echo_delegated"])


@pytest.fixture(params=[0, 1], ids=["here", "worker"])
def workers(request: pytest.FixtureRequest) -> int:
    return request.param  # type: ignore[no-any-return]


def backend(workers: int) -> Backend:
    kind = Pool if workers else LocalBackend
    return kind([Service.of(Booth)], Settings(workers=workers, drain=2))


@asynccontextmanager
async def running(workers: int) -> AsyncIterator[Backend]:
    made = backend(workers)
    await made.start()
    try:
        yield made
    finally:
        await made.stop(2)


async def until(found: Callable[[], Any], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not found():
            await asyncio.sleep(0.002)


class Talk:
    """One call: what its client sends and gets."""

    def __init__(
        self, made: Backend, name: str, timeout: float | None = None, **options: Any
    ) -> None:
        self.method = getattr(Booth, name)
        self.inbox = Inbox()
        if timeout is not None:
            options["deadline"] = asyncio.get_running_loop().time() + timeout
        request = Request(self.method, Payload(b"null"), "talk", inbox=self.inbox, **options)
        self.items = made.stream(request)

    async def say(self, *messages: Any) -> None:
        for message in messages:
            await self.inbox.put(self.method.input.encode(message))

    async def hear(self) -> list[Any]:
        """The next items that have come."""
        return [self.method.output.decode(one) for one in await anext(self.items)]

    async def rest(self) -> list[Any]:
        found = []
        async for payloads in self.items:
            found += [self.method.output.decode(one) for one in payloads]
        return found

    async def leave(self) -> None:
        await self.items.aclose()  # type: ignore[attr-defined]


async def talk(made: Backend, name: str, messages: list[Any], **options: Any) -> list[Any]:
    """Says everything, and hears everything meanwhile."""
    one = Talk(made, name, **options)

    async def say() -> None:
        await one.say(*messages)
        one.inbox.end()

    async with asyncio.TaskGroup() as group:
        group.create_task(say())
        hearing = group.create_task(one.rest())
    return hearing.result()


# Messages


def test_a_method_may_return_an_asynchronous_generator(workers: int, run: Run) -> None:
    async def main() -> None:
        async with running(workers) as made:
            method = Booth.count_delegated
            items = made.stream(Request(method, method.input.encode(3), "count"))
            found = [method.output.decode(one) async for payloads in items for one in payloads]
            assert found == [0, 1, 2]

    run(main())


@BOTH
def test_each_message_is_answered_before_the_next_is_sent(
    run: Run, workers: int, name: str
) -> None:
    async def main() -> None:
        async with running(workers) as made:
            one = Talk(made, name)
            for word in ["one", "two", "three"]:
                await one.say(word)
                assert await one.hear() == [word.upper()]
            one.inbox.end()
            assert await one.rest() == []

    run(main())


@BOTH
def test_many_messages_come_through_in_order(run: Run, workers: int, name: str) -> None:
    async def main() -> None:
        async with running(workers) as made:
            words = [f"w{number}" for number in range(2000)]
            assert await talk(made, name, words) == [word.upper() for word in words]
            assert await talk(made, name, []) == []

    run(main())


@pytest.mark.parametrize("name", ["sum", "sum_async"])
def test_a_stream_of_messages_gets_one_answer(run: Run, workers: int, name: str) -> None:
    async def main() -> None:
        async with running(workers) as made:
            assert await talk(made, name, list(range(1000))) == [499500]
            assert await talk(made, name, []) == [0]

    run(main())


@pytest.mark.parametrize("name", ["copy", "copy_async"])
@pytest.mark.parametrize("size", [100, 300_000])
def test_files(run: Run, workers: int, name: str, size: int) -> None:
    async def main() -> None:
        async with running(workers) as made:
            contents = [bytes([number]) + bytes(size) for number in range(40)]
            found = await talk(made, name, [File(content) for content in contents])
            assert [file.data[::-1] for file in found] == contents
            assert {file.media_type for file in found} == {"application/x-copy"}

    run(main())


def test_more_bytes_than_may_be_on_their_way(run: Run, workers: int) -> None:
    async def main() -> None:
        async with running(workers) as made:
            large = File(bytes(MAX_BYTES // 3))
            assert await talk(made, "weigh", [large] * 20) == [20 * (MAX_BYTES // 3)]

    run(main())


def test_a_method_may_stop_waiting_and_lose_nothing(run: Run, workers: int) -> None:
    async def main() -> None:
        async with running(workers) as made:
            one = Talk(made, "impatient")
            heard = []
            for word in ["a", "b", "c"]:
                while "..." not in (now := await one.hear()):
                    heard += now
                await one.say(word)
            one.inbox.end()
            heard += await one.rest()
            assert [word for word in heard if word != "..."] == ["a", "b", "c"]

    run(main())


def test_a_file_that_nobody_waited_for_is_the_next_one(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go = threading.Event(), threading.Event()

    def slowly(method: Any, payload: Payload) -> Any:
        began.set()
        assert go.wait(10)
        return decode(method, payload)

    monkeypatch.setattr("mothlight.backend.intake.decode", slowly)

    async def main() -> None:
        wanted: list[int] = []
        intake = Intake(Booth.copy_async, Call("call"), wanted.append)
        encode = Booth.copy_async.input.encode
        intake.put([encode(File(bytes([number]) * 50)) for number in range(64)])
        waiting = asyncio.ensure_future(anext(intake))
        await asyncio.to_thread(began.wait, 10)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go.set()
        intake.close(None)
        found = [file.data[0] async for file in intake]
        assert (found, wanted, intake.taken) == (list(range(64)), [32, 32], 64)

    run(main())


# Errors


@pytest.mark.parametrize("name", ["tire", "tire_async"])
def test_an_error_in_the_middle(run: Run, workers: int, name: str) -> None:
    async def main() -> None:
        async with running(workers) as made:
            one = Talk(made, name)
            await one.say(1, 2, -1, 3)
            heard = []
            with pytest.raises(Tired) as caught:
                while True:
                    heard += await one.hear()
            assert (heard, caught.value.count) == ([1, 2], 2)

    run(main())


@pytest.mark.parametrize("name", ["tired", "tired_async"])
def test_an_error_that_is_returned(run: Run, workers: int, name: str) -> None:
    async def main() -> None:
        async with running(workers) as made:
            with pytest.raises(Tired) as caught:
                one = Talk(made, name)
                await one.say(1, 2)
                one.inbox.end()
                await one.rest()
            assert caught.value.count == 2

    run(main())


@pytest.mark.parametrize("name", ["tire", "tire_async"])
def test_a_message_that_is_not_one(run: Run, workers: int, name: str) -> None:
    async def main() -> None:
        async with running(workers) as made:
            one = Talk(made, name)
            await one.say(1)
            assert await one.hear() == [1]
            await one.inbox.put(Payload(b'"one"'))
            with pytest.raises(InvalidRequest):
                await one.hear()

    run(main())


@pytest.mark.parametrize("name", ["tire", "tire_async", "sum", "sum_async"])
def test_a_client_whose_input_breaks_off(run: Run, workers: int, name: str) -> None:
    async def main() -> None:
        async with running(workers) as made:
            one = Talk(made, name)
            await one.say(1)
            one.inbox.end(MalformedRequest(reason="cut"))
            with pytest.raises(MalformedRequest, match="cut"):
                await one.rest()

    run(main())


@pytest.mark.parametrize("name", ["first", "first_async"])
def test_a_method_that_has_heard_enough(run: Run, workers: int, name: str) -> None:
    async def main() -> None:
        async with running(workers) as made:
            for _ in range(3):
                one = Talk(made, name)
                await one.say(*range(10))
                assert await one.rest() == [0]
            assert await talk(made, "echo", ["and on"]) == ["AND ON"]

    run(main())


# Ends


@pytest.mark.parametrize("name", ["stay", "stay_async"])
def test_leaving_wakes_a_method_that_waits_for_input(
    run: Run, workers: int, name: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with running(workers) as made:
            path = str(tmp_path / "call")
            one = Talk(made, name)
            await one.say(path)
            assert await one.hear() == [path]
            reading = asyncio.create_task(one.hear())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(reading, 0.05)
            await one.leave()
            await until(Path(f"{path}.ended").exists)
            kinds = {"stay": {"Cancelled"}, "stay_async": {"CancelledError"}}
            assert {p.suffix[1:] for p in tmp_path.iterdir()} - {"ended"} <= kinds[name]
            assert await talk(made, "echo", ["next"]) == ["NEXT"]

    run(main())


@pytest.mark.parametrize("name", ["stay", "stay_async"])
def test_a_deadline_wakes_it_too(run: Run, workers: int, name: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(workers) as made:
            path = str(tmp_path / "call")
            one = Talk(made, name, timeout=1.0)
            await one.say(path)
            start = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await one.rest()
            assert time.monotonic() - start < 4
            await until(Path(f"{path}.ended").exists)

    run(main())


def test_stopping_ends_who_waits(run: Run, workers: int, tmp_path: Path) -> None:
    async def main() -> None:
        path = str(tmp_path / "call")
        made = backend(workers)
        await made.start()
        one = Talk(made, "stay")
        await one.say(path)
        assert await one.hear() == [path]
        async with asyncio.timeout(10):
            reading = asyncio.create_task(one.rest())
            await made.stop(0.1)
            with pytest.raises(Unavailable):
                await reading

    run(main())


@pytest.mark.parametrize("messages", [[], [1, 2]])
def test_a_worker_that_dies(run: Run, messages: list[int]) -> None:
    async def main() -> None:
        async with running(1) as made:
            waiting = Talk(made, "echo")
            await waiting.say("first")
            assert await waiting.hear() == ["FIRST"]
            one = Talk(made, "die")
            await one.say(*messages)
            one.inbox.end()
            for each in (one, waiting):
                with pytest.raises(Unavailable, match="died"):
                    await each.rest()

    run(main())


# Bounds


def test_a_slow_method_takes_no_more_than_fits(run: Run, workers: int, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(workers) as made:
            path = str(tmp_path / "sip")
            one = Talk(made, "sip")
            words = [str(number) for number in range(400)]
            saying = asyncio.create_task(one.say(path, *words))
            assert await one.hear() == [path]
            await until(lambda: one.inbox.received >= 2 * MAX_ITEMS)
            for count in range(1, 11):
                Path(f"{path}.{count}").touch()
                assert await one.hear() == [words[count - 1]]
            assert one.inbox.received <= 2 + 11 + 2 * MAX_ITEMS, "its client waits"
            assert not saying.done()
            for count in range(11, 401):
                Path(f"{path}.{count}").touch()
            heard: list[str] = []
            while len(heard) < 390:
                heard += await one.hear()
            assert heard == words[10:]
            await saying
            one.inbox.end()
            assert await one.rest() == []

    run(main())


def test_a_few_large_messages_are_enough(run: Run, workers: int, tmp_path: Path) -> None:
    async def main() -> None:
        async with running(workers) as made:
            path = str(tmp_path / "sip")
            one = Talk(made, "sip")
            large = ["x" * (MAX_BYTES // 4)] * 40
            saying = asyncio.create_task(one.say(path, *large))
            assert await one.hear() == [path]
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(saying), 0.3)
            assert one.inbox.received <= 1 + 1 + 3 * 5, "three times as many bytes as may wait"
            for count in range(1, 41):
                Path(f"{path}.{count}").touch()
            heard = 0
            while heard < 40:
                heard += len(await one.hear())
            await saying
            await one.leave()

    run(main())


@BOTH
def test_two_hundred_at_once(run: Run, workers: int, name: str) -> None:
    async def main() -> None:
        async with running(workers) as made:
            talks = [Talk(made, name) for _ in range(200)]
            for round_ in range(5):
                for number, one in enumerate(talks):
                    await one.say(f"a{number}.{round_}")
                heard = await asyncio.gather(*(one.hear() for one in talks))
                assert heard == [[f"A{number}.{round_}"] for number in range(200)]
            for one in talks:
                one.inbox.end()
            assert await asyncio.gather(*(one.rest() for one in talks)) == [[]] * 200

    run(main())


# What a method knows of its call


def test_a_method_knows_its_principal(run: Run, workers: int) -> None:
    async def main() -> None:
        async with running(workers) as made:
            for name in ("ada", ""):
                quota = Principal(name) if name else None
                options: Any = {"quota": quota, "principal": name or "127.0.0.1"}
                assert await talk(made, "whose_stream", [1, 2], **options) == [name, name]
                request = Request(Booth.whose, Payload(b"null"), "call", **options)
                answer = await made.unary(request)
                assert Booth.whose.output.decode(answer.payload) == name
                request = Request(Booth.whose_async, Payload(b"2"), "call", **options)
                found = [p.json async for payloads in made.stream(request) for p in payloads]
                assert found == [f'"{name}"'.encode()] * 2

    run(main())


def test_a_stream_is_seen_to_run(run: Run, workers: int) -> None:
    async def main() -> None:
        async with running(workers) as made:
            timeline = Timeline()
            one = Talk(made, "echo", timeline=timeline)
            await one.say("now")
            assert timeline.batch is None
            assert await one.hear() == ["NOW"]
            assert timeline.batch
            assert timeline.placed <= timeline.batch.taken
            await one.leave()

    run(main())
