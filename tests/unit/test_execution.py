"""One object of a service, and what becomes of each item of a batch."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from mothlight import Code, Error, Image, batched, method, service
from mothlight.backend.execution import Instance, Prepared, Result
from mothlight.errors import Internal, InvalidRequest
from mothlight.schema import Payload
from mothlight.service import Service


class Odd(Error):
    "{n} is odd"

    code = Code.INVALID_ARGUMENT
    n: int


class Undeclared(Error):
    "not in the contract"

    code = Code.ABORTED


class Word(BaseModel):
    text: str


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


METHODS = Service.of(Model).methods
INSTANCE = Instance(Service.of(Model))


def results(name: str, *items: Any) -> list[Result]:
    payloads = [
        item if isinstance(item, Payload) else Payload(str(item).encode()) for item in items
    ]
    batch = Prepared(METHODS[name], payloads, [f"call-{i}" for i in range(len(items))])
    if METHODS[name].is_async:
        return asyncio.run(INSTANCE.run_async(batch))
    return INSTANCE.run(batch)


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
    [
        (13, "ValueError: a secret"),
        (99, "Model.halve(_async)? got 2 and returned 1"),
        (98, "returned a NoneType, not a list"),
    ],
)
def test_what_a_model_throws_is_logged_with_the_calls_and_hidden(
    name: str, item: int, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    import re

    with caplog.at_level(logging.ERROR, "mothlight"):
        found = results(name, item, 2)
    assert found == [Internal().problem()] * 2
    assert f"Model.{name} failed (call call-0, call-1)" in caplog.text
    assert re.search(reason, caplog.text)
    assert "secret" not in str(found)


@pytest.mark.parametrize("name", ["halve", "halve_async"])
def test_an_error_that_is_raised_is_every_items(name: str) -> None:
    assert shown(name, 11, 2) == ["Odd", "Odd"]


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
        async for item in INSTANCE.stream_async(METHODS[name], payload, "call-0"):
            found.append(item.json)

    try:
        if METHODS[name].is_async:
            asyncio.run(drain())
        else:
            found += (i.json for i in INSTANCE.stream(METHODS[name], payload, "call-0"))
    except Error as error:
        return found, type(error).__name__
    return found, ""


def test_streams() -> None:
    assert items("spell", "ab") == ([b'"a"', b'"b"'], "")
    assert items("spell_async", "ab") == ([b'"a"', b'"b"'], "")
    assert items("from_list", "ab") == ([b'"a"', b'"b"'], "")


def test_a_stream_that_fails_says_so(caplog: pytest.LogCaptureFixture) -> None:
    stream = INSTANCE.stream(METHODS["spell"], Payload(b'{"text": "a?"}'), "call-0")
    assert next(stream).json == b'"a"'
    with pytest.raises(Odd):
        next(stream)
    stream = INSTANCE.stream(METHODS["spell"], Payload(b'{"text": "!"}'), "call-7")
    with pytest.raises(Internal):
        next(stream)
    assert "Model.spell failed (call call-7)" in caplog.text
    with pytest.raises(InvalidRequest):
        next(INSTANCE.stream(METHODS["spell"], Payload(b"{}"), "call-0"))


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
    with pytest.raises(ValueError, match="Expected `int`"):
        example(unary, "two").try_examples(asyncio.run)


def test_an_example_that_is_answered_by_an_error_is_refused() -> None:
    def odd(self: Any, xs: list[int]) -> list[int | Odd]:
        return [Odd(n=x) for x in xs]

    with pytest.raises(Odd):
        example(odd, 1, batched).try_examples(asyncio.run)
