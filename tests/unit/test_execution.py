"""One object of a service, and what becomes of each item of a batch."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import math
import re
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from mothlight import (
    Call,
    Code,
    Error,
    Image,
    Step,
    batched,
    current_call,
    current_calls,
    method,
    service,
    stepped,
)
from mothlight.backend.execution import Calls, Instance, Prepared, Result
from mothlight.backend.wire import each
from mothlight.errors import Internal, InvalidRequest
from mothlight.schema import Payload
from mothlight.services import Service


class Odd(Error):
    "{n} is odd"

    code = Code.INVALID_ARGUMENT
    n: int


class Undeclared(Error):
    "not in the contract"

    code = Code.ABORTED


class Word(BaseModel):
    text: str


class OutOfMemoryError(RuntimeError):
    "As torch has it."


LONG = threading.Event()
ENDED: list[str] = []
CLOSED: list[str] = []
SIZES: list[int] = []
HELD: list[weakref.ref[Any]] = []


class Tensor:
    "Something whose end can be seen."


def fit(xs: list[int], error: type[Exception]) -> list[int]:
    SIZES.append(len(xs))
    assert all(ref() is None for ref in HELD)
    if len(xs) > 3:
        tensor = Tensor()
        HELD.append(weakref.ref(tensor))
        raise error
    return xs


class Letters:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def step(self) -> Step[str] | Odd:
        if self.at == len(self.text):
            return Step(done=True)
        letter = self.text[self.at]
        self.at += 1
        if letter == "!":
            raise ValueError("a secret")
        if letter == "#":
            return Step(Odd(n=1))  # type: ignore[arg-type]
        return Odd(n=1) if letter == "?" else Step(letter)

    def close(self) -> None:
        CLOSED.append(self.text)


@service
class Counting:
    "A model that counts its runs, and fails for multiples of 3, and for 2 above them."

    runs = 0
    at_run: Callable[[int], None] = staticmethod(lambda number: None)

    @batched(raises=[Odd])
    def check(self, xs: list[int]) -> list[int]:
        self.runs += 1
        self.at_run(self.runs)
        for x in xs:
            if x % 3 == 0:
                raise ValueError("a secret")
            if x % 3 == 2:
                raise Odd(n=x)
        return xs


@service
class Model:
    @batched(max_size=9)
    def halve(self, xs: list[int]) -> list[int | Odd]:
        if 13 in xs:
            raise ValueError("a secret")
        if 11 in xs:
            raise Odd(n=11)
        if 99 in xs:
            return [1]
        if 98 in xs:
            return None  # type: ignore[return-value]
        return [Odd(n=x) if x % 2 else x // 2 for x in xs]

    @batched
    async def halve_async(self, xs: list[int]) -> list[int | Odd]:
        if 12 in xs:
            other = asyncio.create_task(asyncio.sleep(9))
            await asyncio.sleep(0)
            other.cancel()
            await other
        return self.halve(xs)

    @batched
    def wrong(self, xs: list[int]) -> list[float]:
        return [float("nan") if x == 0 else "text" if x == 1 else 2.0 for x in xs]  # type: ignore[misc]

    @method(raises=[Odd])
    def alone(self, x: int) -> int:
        if x == 13:
            raise ValueError("a secret")
        if x == 5:
            raise Undeclared
        if x % 2:
            raise Odd(n=x)
        return x

    @batched
    def size(self, pictures: list[Image]) -> list[int]:
        return [p.width for p in pictures]

    @method(raises=[Odd])
    def spell(self, word: Word) -> Iterator[str]:
        for letter in word.text:
            if letter == "!":
                raise ValueError("a secret")
            if letter == "?":
                raise Odd(n=1)
            yield letter

    @method
    async def spell_async(self, word: Word) -> AsyncIterator[str]:
        for letter in word.text:
            if letter == "!":
                raise asyncio.CancelledError
            yield letter

    @method
    def from_list(self, word: Word) -> Iterator[str]:
        return iter(list(word.text))

    @batched(idempotent=False, raises=[Odd])
    def once(self, xs: list[int]) -> list[int]:
        if 2 in xs:
            raise Odd(n=2)
        return [1 // x for x in xs]

    @batched
    def large(self, xs: list[int]) -> list[int]:
        return fit(xs, MemoryError)

    @batched
    def large_torch(self, xs: list[int]) -> list[int]:
        return fit(xs, OutOfMemoryError)

    @batched
    def who(self, xs: list[int]) -> list[list[str]]:
        assert current_call() is current_calls()[0]
        return [[call.id for call in current_calls()]] * len(xs)

    @batched
    async def who_async(self, xs: list[int]) -> list[list[str]]:
        await asyncio.sleep(0)
        return self.who(xs)

    @method
    def who_alone(self, x: int) -> list[str]:
        return [call.id for call in current_calls()]

    @batched
    def long(self, xs: list[int]) -> list[int]:
        LONG.set()
        end = time.monotonic() + 5
        while not current_call().cancelled and time.monotonic() < end:
            time.sleep(0)
        return [call.cancelled for call in current_calls()]

    @method
    def watch(self, word: Word) -> Iterator[str]:
        try:
            for letter in word.text:
                yield f"{current_call().id} {letter}"
        finally:
            ENDED.append(current_call().id)

    @method
    async def watch_async(self, word: Word) -> AsyncIterator[str]:
        try:
            for letter in word.text:
                await asyncio.sleep(0)
                yield f"{current_call().id} {letter}"
        finally:
            ENDED.append(current_call().id)

    def begin(self, word: Word) -> Letters:
        return Letters(word.text)

    @stepped(begin, raises=[Odd])
    def steps(self, states: list[Letters]) -> list[Step[str] | Odd]:
        assert len(states) == 1
        return [state.step() for state in states]


METHODS = Service.of(Model).methods
INSTANCE = Instance(Service.of(Model))


def results(name: str, *items: Any) -> Sequence[Result]:
    payloads = METHODS[name].input.join(
        [item if isinstance(item, Payload) else Payload(str(item).encode()) for item in items]
    )
    batch = Prepared(METHODS[name], payloads, Calls([f"call-{i}" for i in range(len(items))]))
    if METHODS[name].is_async:
        return each(asyncio.run(INSTANCE.run_async(batch)))
    return each(INSTANCE.run(batch))


def shown(name: str, *items: Any) -> list[Any]:
    return [r.json if isinstance(r, Payload) else r["type"] for r in results(name, *items)]


@pytest.mark.parametrize("name", ["halve", "halve_async"])
def test_an_item_fails_alone(name: str) -> None:
    assert shown(name, 2, 3, 4) == [b"1", "Odd", b"2"]
    assert results(name, 3)[0] == {**Odd(n=3).problem()}


@pytest.mark.parametrize("name", ["halve", "halve_async"])
def test_a_bad_message_fails_alone(name: str) -> None:
    assert shown(name, 2, '"x"', 4) == [b"1", "InvalidRequest", b"2"]
    assert shown(name, '"x"') == ["InvalidRequest"]


@pytest.mark.parametrize("name", ["halve", "halve_async"])
@pytest.mark.parametrize(
    ("item", "reason"),
    [(13, "ValueError: a secret"), (98, r"\.py:\d+: Model.* gave .*: NoneType in place of a list")],
)
def test_what_a_model_throws_is_the_guilty_members_alone_logged_and_hidden(
    name: str, item: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = results(name, 4, item, 2)
    assert found[1] == Internal().problem()
    assert [r.json for r in (found[0], found[2]) if isinstance(r, Payload)] == [b"2", b"1"]
    (record,) = caplog.records
    assert f"Model.{name} failed (call call-1)" in record.getMessage()
    assert re.search(reason, caplog.text)
    assert "secret" not in str(found)


@pytest.mark.parametrize("name", ["halve", "halve_async"])
def test_what_fails_only_in_company_is_answered_and_logged(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert shown(name, 99, 2) == [b"1", b"1"]
    (record,) = caplog.records
    assert "failed for several calls together, and for none alone (call call-0, call-1)" in (
        record.getMessage()
    )
    assert re.search(r"Model.* gave .*: 1 answers to 2 messages", caplog.text)


@pytest.mark.parametrize("name", ["halve", "halve_async"])
def test_an_error_that_is_raised_is_the_guilty_members(name: str) -> None:
    assert shown(name, 2, 11, 4) == [b"1", "Odd", b"2"]


def test_a_method_that_may_not_run_twice_fails_as_a_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert shown("once", 1, 0, 1) == ["Internal"] * 3
    assert "Model.once failed (call call-0, call-1, call-2)" in caplog.text
    assert len(caplog.records) == 1
    assert shown("once", 1, 2) == ["Odd", "Odd"]


@given(st.lists(st.sampled_from([1, 1, 1, 1, 0, 2]), min_size=1, max_size=64))
@settings(max_examples=300, deadline=None)
def test_only_the_guilty_fail_and_each_is_answered_once(kinds: list[int]) -> None:
    model = Counting()
    instance = Instance(Service.of(Counting))
    instance.object = model
    method = Service.of(Counting).methods["check"]
    payloads = [Payload(str(3 * i + kind).encode()) for i, kind in enumerate(kinds)]
    logging.disable()
    try:
        batch = Prepared(method, method.input.join(payloads), Calls(list(map(str, kinds))))
        found = each(instance.run(batch))
    finally:
        logging.disable(logging.NOTSET)
    for i, (kind, result) in enumerate(zip(kinds, found, strict=True)):
        if kind == 1:
            assert isinstance(result, Payload)
            assert int(result.json) == 3 * i + 1
        else:
            assert isinstance(result, dict)
            assert result["type"] == ("Internal" if kind == 0 else "Odd")
    guilty, size = len([kind for kind in kinds if kind != 1]), len(kinds)
    assert model.runs <= min(2 * size - 1, 1 + 2 * guilty * math.ceil(math.log2(size)))


# Out of memory


@pytest.mark.parametrize("name", ["large", "large_torch"])
def test_a_batch_that_does_not_fit_is_halved_until_it_does(name: str) -> None:
    assert shown(name, *range(9)) == [str(i).encode() for i in range(9)]
    assert SIZES == [9, 5, 3, 2, 4, 2, 2]
    SIZES.clear()
    assert all(ref() is None for ref in HELD), "what the model held when it failed is let go"


# Calls that nobody waits for


def prepared(name: str, calls: Calls) -> Prepared:
    return Prepared(METHODS[name], [Payload(b"2")] * len(calls), calls)


def run(name: str, batch: Prepared) -> list[Any]:
    found = asyncio.run(INSTANCE.run_async(batch)) if "async" in name else INSTANCE.run(batch)
    return [r.json if isinstance(r, Payload) else r["type"] for r in each(found)]


@pytest.mark.parametrize("name", ["halve", "halve_async", "alone"])
@pytest.mark.parametrize("before", [True, False])
def test_the_expired_and_the_dropped_are_left_out(name: str, before: bool) -> None:
    now = time.monotonic()
    calls = Calls(list("abc"), [now - 1 if before else now + 60, None, now + 60])
    batch = prepared(name, calls)
    calls.drop(2)  # after its message was decoded
    if not before:
        calls.deadlines, calls.soonest = [now - 1, None, None], now - 1
    assert len(batch.messages) == (2 if before else 3)
    assert run(name, batch) == ["DeadlineExceeded", b"1" if name != "alone" else b"2", "Cancelled"]


def test_a_batch_that_nobody_waits_for_does_not_wait_for_the_model() -> None:
    calls = Calls(["a", "b"], [0.0, 0.0])
    with INSTANCE.model:
        assert run("halve", prepared("halve", calls)) == ["DeadlineExceeded"] * 2


def test_who_leaves_while_the_model_is_held_is_left_out() -> None:
    calls = Calls(["a", "b"])
    batch = prepared("halve", calls)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(run("halve", batch)))
    with INSTANCE.model:
        thread.start()
        while not INSTANCE.model._waiting:
            time.sleep(0)
        calls.drop(0)
    thread.join(5)
    assert found == ["Cancelled", b"1"]


def test_who_leaves_between_the_halves_is_left_out() -> None:
    model, calls = Counting(), Calls(list("abcd"))
    instance = Instance(Service.of(Counting))
    instance.object = model
    model.at_run = lambda number: calls.drop(3) if number == 1 else None
    payloads = [Payload(b"0"), *[Payload(b"1")] * 3]
    found = each(instance.run(Prepared(Service.of(Counting).methods["check"], payloads, calls)))
    assert [r.json if isinstance(r, Payload) else r["type"] for r in found] == [
        "Internal", b"1", b"1", "Cancelled",
    ]  # fmt: skip


# The calls that a method knows of


@pytest.mark.parametrize("name", ["who", "who_async", "who_alone"])
def test_a_method_knows_its_calls(name: str) -> None:
    found = results(name, 0, '"bad"', 0)
    ids = [json.loads(r.json) for r in found if isinstance(r, Payload)]
    expected = [["call-0"], ["call-2"]] if name == "who_alone" else [["call-0", "call-2"]] * 2
    assert ids == expected
    assert [call.id for call in current_calls()] == ["direct"]


def test_a_long_method_sees_that_its_call_is_cancelled() -> None:
    calls = Calls(["a", "b"], [None, None])
    batch = Prepared(METHODS["long"], [Payload(b"0")] * 2, calls)
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.extend(run("long", batch)))
    thread.start()
    assert LONG.wait(5)
    calls.drop(1)
    calls.drop(0)
    thread.join(5)
    assert found == [b"1", b"1"]


def test_calls_are_made_when_asked_for() -> None:
    calls = Calls(["a", "b", "c"], [None, 5.0, None])
    calls.drop(2)
    assert calls._made == {}
    assert calls[-1].cancelled
    assert calls[1].deadline == 5.0
    assert [c.id for c in calls[:2]] == ["a", "b"]
    assert calls[1] is calls[1]
    assert [c.id for c in calls] == ["a", "b", "c"]
    assert not calls.all_dropped
    assert calls.latest is None
    assert Calls(["a", "b"], [1.0, 2.0]).latest == 2.0
    with pytest.raises(IndexError):
        calls[3]


@pytest.mark.parametrize("name", ["watch", "watch_async"])
def test_a_stream_knows_its_call_between_its_items_and_nobody_else_does(name: str) -> None:
    payload = Payload(b'{"text": "ab"}')

    async def drain() -> list[bytes]:
        found = []
        async for item in INSTANCE.stream_async(METHODS[name], payload, Call("mine")):
            assert current_call().id == "direct"
            found.append(item.json)
        return found

    if METHODS[name].is_async:
        found = asyncio.run(drain())
    else:
        stream, found = INSTANCE.stream(METHODS[name], payload, Call("mine")), []
        with ThreadPoolExecutor(2) as pool:  # as in LocalBackend: now this thread, now that one
            while item := pool.submit(next, stream, None).result(5):
                assert current_call().id == "direct"
                found.append(item.json)
    assert found == [b'"mine a"', b'"mine b"']
    assert ENDED == ["mine"]
    ENDED.clear()


# Stepped methods alone


def test_a_stepped_method_streams_alone() -> None:
    assert items("steps", "abc") == ([b'"a"', b'"b"', b'"c"'], "")
    assert items("steps", "a?") == ([b'"a"'], "Odd")
    assert items("steps", "a!") == ([b'"a"'], "Internal")
    assert items("steps", "a#b") == ([b'"a"'], "Odd")
    assert CLOSED == ["abc", "a?", "a!", "a#b"]
    stream = INSTANCE.stream(METHODS["steps"], Payload(b'{"text": "abc"}'), Call("call-0"))
    assert next(stream).json == b'"a"'
    stream.close()
    assert CLOSED[4:] == ["abc"]
    CLOSED.clear()


def test_a_cancel_inside_a_method_is_its_failure(caplog: pytest.LogCaptureFixture) -> None:
    assert shown("halve_async", 12) == ["Internal"]
    assert "CancelledError" in caplog.text


def test_methods_that_are_not_batched() -> None:
    assert shown("alone", 2) == [b"2"]
    assert shown("alone", 3) == ["Odd"]
    assert shown("alone", 13) == ["Internal"]


def test_an_undeclared_error_passes_and_its_author_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert shown("alone", 5) == ["Undeclared"]
    assert "Model.alone raised Undeclared; declare it:   raises=[Undeclared]" in caplog.text


def test_an_answer_that_does_not_fit_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    assert shown("wrong", 0, 1, 2) == ["Internal", "Internal", b"2.0"]
    assert "nan is not a finite number; fix the model" in caplog.text
    assert "(call call-1)" in caplog.text


def picture(width: int) -> bytes:
    buffer = io.BytesIO()
    Image.blank(width, 2).save(buffer, "png")
    return buffer.getvalue()


def test_bad_media_fails_alone() -> None:
    good, cut = picture(3), picture(64)[:-30]
    files = [Payload(b'{"$media":0}', ((data, None, None),)) for data in (good, cut, b"no", good)]
    assert shown("size", *files) == [b"3", "BadMedia", "UnsupportedMedia", b"3"]


def items(name: str, text: str) -> tuple[list[bytes], str]:
    payload = Payload(b'{"text": "%s"}' % text.encode())
    found: list[bytes] = []

    async def drain() -> None:
        async for item in INSTANCE.stream_async(METHODS[name], payload, Call("call-0")):
            found.append(item.json)

    try:
        if METHODS[name].is_async:
            asyncio.run(drain())
        else:
            found += (i.json for i in INSTANCE.stream(METHODS[name], payload, Call("call-0")))
    except Error as error:
        return found, type(error).__name__
    return found, ""


def test_streams() -> None:
    assert items("spell", "ab") == ([b'"a"', b'"b"'], "")
    assert items("spell_async", "ab") == ([b'"a"', b'"b"'], "")
    assert items("from_list", "ab") == ([b'"a"', b'"b"'], "")


def test_a_stream_that_fails_says_so(caplog: pytest.LogCaptureFixture) -> None:
    stream = INSTANCE.stream(METHODS["spell"], Payload(b'{"text": "a?"}'), Call("call-0"))
    assert next(stream).json == b'"a"'
    with pytest.raises(Odd):
        next(stream)
    stream = INSTANCE.stream(METHODS["spell"], Payload(b'{"text": "!"}'), Call("call-7"))
    with pytest.raises(Internal):
        next(stream)
    assert "Model.spell failed (call call-7)" in caplog.text
    with pytest.raises(InvalidRequest):
        next(INSTANCE.stream(METHODS["spell"], Payload(b"{}"), Call("call-0")))


def test_a_cancel_inside_a_stream_is_no_silent_end() -> None:
    assert items("spell_async", "a!")[1] == "Internal"


# Examples


def example(function: Any, message: Any, mark: Any = method) -> Instance:
    cls = type("Tried", (), {function.__name__: mark(example=message)(function)})
    return Instance(Service(cls, "Tried"))


def unary(self: Any, x: int) -> int:
    return 10 // x


async def unary_async(self: Any, x: int) -> int:
    return 10 // x


def stream(self: Any, x: int) -> Iterator[int]:
    yield from (10 // x for _ in range(x - 1))


def listed(self: Any, x: int) -> Iterator[int]:
    return iter([10 // x])


async def stream_async(self: Any, x: int) -> AsyncIterator[int]:
    for _ in range(x - 1):
        yield 10 // x


def many(self: Any, xs: list[int]) -> list[int]:
    return [10 // x for x in xs]


CASES = [(unary, method), (unary_async, method), (stream, method), (listed, method),
         (stream_async, method), (many, batched)]  # fmt: skip


@pytest.mark.parametrize(("function", "mark"), CASES, ids=lambda c: getattr(c, "__name__", ""))
def test_examples_are_tried(function: Any, mark: Any) -> None:
    example(function, 2, mark).try_examples(asyncio.run)
    example(function, lambda: 2, mark).try_examples(asyncio.run)
    if function not in (stream, stream_async):
        with pytest.raises(ZeroDivisionError):
            example(function, 0, mark).try_examples(asyncio.run)


@pytest.mark.parametrize("function", [stream, stream_async])
def test_an_example_whose_stream_is_empty_is_fine(function: Any) -> None:
    example(function, 1).try_examples(asyncio.run)


def test_an_example_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(ValueError, match="valid integer"):
        example(unary, "two").try_examples(asyncio.run)


def test_an_example_that_is_answered_by_an_error_is_refused() -> None:
    def odd(self: Any, xs: list[int]) -> list[int | Odd]:
        return [Odd(n=x) for x in xs]

    with pytest.raises(Odd):
        example(odd, 1, batched).try_examples(asyncio.run)
