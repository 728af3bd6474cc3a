"""Declaring: what a signature says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import pytest
from pydantic import BaseModel

from mothlight import Error, File, batched, method, service
from mothlight.calls.record import digest
from mothlight.schema import Payload
from mothlight.services import Cardinality, Method, Service, snake


class Review(BaseModel):
    text: str


class Verdict(BaseModel):
    score: float


@dataclass
class Point:
    x: float
    y: float = 0.0


class TooLong(Error):
    "too long"


class TooShort(Error):
    "too short"


@service
class Every:
    "One of each."

    @method
    def unary(self, review: Review) -> Verdict:
        "Says."
        return Verdict(score=len(review.text))

    @method
    async def unary_async(self, review: Review) -> Verdict:
        return Verdict(score=1)

    @method
    def nothing(self) -> None: ...

    @method
    def out(self, review: Review) -> Iterator[Verdict]:
        yield Verdict(score=1)

    @method
    async def out_async(self, review: Review) -> AsyncIterator[Verdict]:
        yield Verdict(score=1)

    @method
    def out_async_delegated(self, review: Review) -> AsyncIterator[Verdict]:
        return self.out_async(review)

    @method
    def into(self, reviews: Iterator[Review]) -> Verdict:
        return Verdict(score=len(list(reviews)))

    @method
    async def both(self, reviews: AsyncIterator[Review]) -> AsyncIterator[Verdict]:
        async for _ in reviews:
            yield Verdict(score=1)

    @batched(max_size=8, max_wait=0.5)
    def together(self, reviews: list[Review]) -> list[Verdict]:
        return [Verdict(score=len(r.text)) for r in reviews]

    @batched
    async def together_async(self, reviews: Sequence[Review]) -> list[Verdict | TooLong | Error]:
        return [TooLong() for _ in reviews]

    @method(raises=[TooShort])
    def fails(self, review: Review) -> Verdict | TooLong:
        return TooLong()

    @method
    def bare(self, x: float = 1.5) -> float | None:
        return x

    @method
    def file(self, data: File) -> int:
        return len(data.data)

    @method(http="GET /stream_numbers")
    def numbers(self, count: int = 10) -> Iterator[int]:
        yield from range(count)


METHODS = Service.of(Every).methods


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("unary", Cardinality.UNARY),
        ("unary_async", Cardinality.UNARY),
        ("nothing", Cardinality.UNARY),
        ("out", Cardinality.SERVER_STREAM),
        ("out_async", Cardinality.SERVER_STREAM),
        ("out_async_delegated", Cardinality.SERVER_STREAM),
        ("into", Cardinality.CLIENT_STREAM),
        ("both", Cardinality.DUPLEX),
        ("together", Cardinality.UNARY),
        ("together_async", Cardinality.UNARY),
    ],
)
def test_the_cardinality_is_read_off_the_signature(name: str, expected: Cardinality) -> None:
    assert METHODS[name].cardinality is expected
    assert METHODS[name].is_async == ("async" in name or name == "both")


def test_a_batch_is_one_message_and_one_answer_to_its_callers() -> None:
    together = METHODS["together"]
    assert (together.input.hint, together.output.hint) == (Review, Verdict)
    assert together.batching is not None
    assert (together.batching.max_size, together.batching.max_wait) == (8, 0.5)
    default = METHODS["together_async"].batching
    assert default is not None
    assert (default.max_size, default.max_wait) == (32, 0.0)


def test_errors_are_declared_by_raises_and_by_the_return_type() -> None:
    assert METHODS["fails"].raises == (TooShort, TooLong)
    assert METHODS["fails"].output.hint is Verdict
    assert METHODS["together_async"].raises == (TooLong,)
    assert METHODS["bare"].raises == ()


def test_defaults_and_parameters() -> None:
    bare = METHODS["bare"]
    assert (bare.parameter, bare.default, bare.is_bare) == ("x", 1.5, True)
    assert bare.fields == [("x", bare.input.node, False)]
    assert METHODS["nothing"].parameter == ""
    assert METHODS["nothing"].fields == []
    assert not METHODS["unary"].is_bare
    assert [name for name, _, _ in METHODS["unary"].fields] == ["text"]
    assert list(METHODS["file"].media_fields) == ["data"]


def test_place_in_rest() -> None:
    assert (METHODS["unary"].verb, METHODS["unary"].path) == ("POST", "/every/unary")
    assert (METHODS["numbers"].verb, METHODS["numbers"].path) == ("GET", "/stream_numbers")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ImageTagger", "image_tagger"),
        ("HTTPServer", "http_server"),
        ("Llama2Chat", "llama2_chat"),
        ("already_snake", "already_snake"),
        ("X", "x"),
    ],
)
def test_snake(name: str, expected: str) -> None:
    assert snake(name) == expected


def test_the_decorators_only_mark() -> None:
    assert Every().unary(Review(text="abc")) == Verdict(score=3)
    assert Every().together([Review(text="ab")]) == [Verdict(score=2)]
    assert list(Every().numbers(3)) == [0, 1, 2]
    assert Service.of(Every).doc == "One of each."
    assert METHODS["unary"].doc == "Says."


def test_a_method_on_the_class_is_its_description() -> None:
    assert Every.unary is METHODS["unary"]
    assert repr(Every.unary) == "<Unary Every.unary>"
    with pytest.raises(TypeError, match=r"await app.call\(Every.unary"):
        Every.unary(Review(text="x"))


def test_names_and_examples_of_a_service() -> None:
    @service(name="Critic", example=Review(text="fine"))
    class Other:
        @method
        def say(self, review: Review) -> str:
            return review.text

        @method(example=Review(text="own"))
        def own(self, review: Review) -> str:
            return review.text

        @method
        def count(self, x: int) -> int:
            return x

    found = Service.of(Other)
    assert found.name == "Critic"
    assert found.methods["say"].path == "/critic/say"
    assert found.methods["say"].example == Review(text="fine")
    assert found.methods["own"].example == Review(text="own")
    assert found.methods["count"].example is None


def test_a_subclass_inherits_and_may_replace_or_remove() -> None:
    class Base:
        @method
        def first(self, x: int) -> int:
            return x

        @method
        def second(self, x: int) -> int:
            return x

        @method
        def third(self, x: int) -> int:
            return x

    @service
    class Derived(Base):
        @method
        def second(self, x: int) -> str:  # type: ignore[override]
            return str(x)

        third = None  # type: ignore[assignment]

    methods = Service.of(Derived).methods
    assert set(methods) == {"first", "second"}
    assert methods["second"].output.hint is str
    assert methods["first"].path == "/derived/first"
    assert methods["first"].service.cls is Derived


def test_services_that_inherit_one_method_are_told_apart() -> None:
    class Base:
        @method(http="POST /one")
        def say(self, x: int) -> int:
            return x

    @service
    class First(Base):
        pass

    @service(name="Last")
    class Second(Base):
        @method
        def own(self, x: int) -> int:
            return x

    first, second = Service.of(First).methods["say"], Service.of(Second).methods["say"]
    assert (first.qualname, second.qualname) == ("First.say", "Last.say")
    assert digest(first, Payload(b"1")) != digest(second, Payload(b"1"))
    assert Base.say.qualname.endswith(".Base.say"), "the function's own, until it is resolved"
    with pytest.raises(TypeError, match=r"app.call\(Second.own"):  # as it is called in Python
        Second.own(1)


def test_dataclasses_and_annotated_scalars_are_messages() -> None:
    @service
    class Plane:
        @method
        def norm(self, point: Annotated[Point, "a note"]) -> float:
            return point.x

    fields = Service.of(Plane).methods["norm"].fields
    assert [(name, required) for name, _, required in fields] == [("x", True), ("y", False)]


def test_a_mark_is_a_method() -> None:
    assert isinstance(method(Every.unary.func), Method)
    assert isinstance(batched(Every.together.func), Method)
