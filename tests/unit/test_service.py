"""Declaring: what a signature says."""

from __future__ import annotations

import types
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from mothlight import Error, File, batched, method, service
from mothlight.errors import DefinitionError
from mothlight.service import Cardinality, Method, Service, snake


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


def test_dataclasses_and_annotated_scalars_are_messages() -> None:
    @service
    class Plane:
        @method
        def norm(self, point: Annotated[Point, "a note"]) -> float:
            return point.x

    fields = Service.of(Plane).methods["norm"].fields
    assert [(name, required) for name, _, required in fields] == [("x", True), ("y", False)]


# What cannot work


def declare(*functions: Any, name: str = "Shop", **options: Any) -> Service:
    """A service of functions that are marked already."""
    cls = types.new_class(name, (), {}, lambda ns: ns.update({f.name: f for f in functions}))
    return Service(cls, options.pop("as_", name), **options)


def refusal(mark: Any, function: Any) -> DefinitionError:
    """Why a function is refused; its location is that of the function's ``def``."""
    with pytest.raises(DefinitionError) as caught:
        declare(mark(function))
    line = function.__code__.co_firstlineno
    assert str(caught.value).startswith(f"{__file__}:{line}: "), "it points at the def"
    return caught.value


def two(self: Any, text: str, top_k: int = 3) -> str: ...
def star(self: Any, *texts: str) -> str: ...
def untyped(self: Any, text) -> str: ...  # type: ignore[no-untyped-def]
def no_result(self: Any, text: str): ...  # type: ignore[no-untyped-def]
def lists(self: Any, texts: list[str]) -> list[str]: ...
def bad_batch(self: Any, text: str) -> str: ...
def bare_batch(self: Any, texts: list) -> list: ...  # type: ignore[type-arg]
def bare_stream(self: Any, text: str) -> Iterator: ...  # type: ignore[type-arg]
def fine(self: Any, text: str) -> str: ...
def fine_batch(self: Any, texts: list[str]) -> list[str]: ...
def anything(self: Any, text: Any) -> str: ...
def tensor(self: Any, text: str) -> types.ModuleType: ...
def mixed(self: Any, text: str) -> int | str: ...
def unknown(self: Any, text: Nowhere) -> str: ...  # type: ignore[name-defined]  # noqa: F821
def fixed(self: Any, text: str) -> tuple[int, str]: ...
def keys(self: Any, text: str) -> dict[int, str]: ...
def wrong_default(self: Any, text: str = None) -> str: ...  # type: ignore[assignment]
def nested(self: Any, review: Review) -> str: ...


async def returns_iterator(self: Any, text: str) -> Iterator[str]: ...


def yields(self: Any, text: str) -> str:
    yield text


@pytest.mark.parametrize(
    ("mark", "function", "what", "mend"),
    [
        (method, two, "takes 2 parameters (text, top_k)",
         "class TwoRequest(BaseModel): text: str; top_k: int = 3"),
        (method, star, "takes 1 parameters (*texts); a method takes one", "class StarRequest"),
        (method, untyped, "does not say what text is", "def untyped(self, text: Review)"),
        (method, no_result, "does not say what it returns", "def no_result(...) -> Verdict:"),
        (method, lists, "takes a list: is it a batch", "@batched(max_size=32)"),
        (method, returns_iterator, "returns an iterator instead of yielding", "plain def"),
        (method, yields, "yields, but its result is not a stream", "-> Iterator[Token]:"),
        (method, bare_stream, "a stream that does not say of what", "Iterator[Token]"),
        (batched, bad_batch, "must take a list and return a list",
         "def bad_batch(self, reviews: list[Review]) -> list[Verdict]:"),
        (batched, bare_batch, "must take a list and return a list", "list[Verdict]"),
        (batched(max_size=0), fine_batch, "batched with max_size=0", "1 to 4096"),
        (batched(max_wait=-1), fine_batch, "max_wait=-1", "seconds from 0"),
        (method(raises=[ValueError]), fine, "which is not an Error", "class TextTooLong(Error)"),
        (method(http="/x"), fine, "http='/x'", 'http="GET /stream_numbers"'),
        (method(http="get /x"), fine, "http='get /x'", "a verb and a fixed path"),
        (method(http="GET /x/{id}"), fine, "http='GET /x/{id}'", "goes into the message"),
        (method(http="GET /docs"), fine, "one of the server's own pages", "choose another path"),
        (method(http="POST /health/x"), fine, "one of the server's own pages", "/openapi.json"),
        (method(http="GET /x"), anything, "which has no form on the wire", "a phone needs a type"),
        (method, tensor, "which has no form on the wire", "class Review(BaseModel)"),
        (method, mixed, "only messages can be told apart", 'kind: Literal["text"]'),
        (method, unknown, "'Nowhere' is not known at run time", "`if TYPE_CHECKING:`"),
        (method, fixed, "its items have no names or types", "list[float]"),
        (method, keys, "a map without str keys", "dict[str, float]"),
        (method, wrong_default, "text=None, which is not of its type", "text: str | None = None"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_line_and_mend(
    mark: Any, function: Any, what: str, mend: str
) -> None:
    error = refusal(mark, function)
    assert what in error.what
    assert mend in error.mend


def test_raises_must_be_a_list() -> None:
    with pytest.raises(DefinitionError) as caught:
        method(raises=TooLong)(fine)  # type: ignore[call-overload]
    assert caught.value.mend == "write a list:   raises=[TooLong]"


def test_paths_that_only_begin_like_a_page_are_free() -> None:
    found = declare(method(http="GET /docsearch")(fine))
    assert found.methods["fine"].path == "/docsearch"


def test_a_service_may_not_take_a_page_by_its_name() -> None:
    with pytest.raises(DefinitionError, match="one of the server's own pages"):
        declare(method(fine), name="Health")


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_a_query_holds_no_nested_message(verb: str) -> None:
    class Outer(BaseModel):
        inner: Review

    def outer(self: Any, message: Outer) -> str: ...

    outer.__annotations__["message"] = Outer
    with pytest.raises(DefinitionError) as caught:
        declare(method(http=f"{verb} /x")(outer))
    assert "its field inner does not fit into a query string" in caught.value.what
    assert caught.value.mend == 'write   http="POST /x"'


def test_a_class_without_methods_is_no_service() -> None:
    with pytest.raises(DefinitionError, match="Empty has no method to serve") as caught:

        @service
        class Empty:
            def helper(self) -> None: ...

    assert "@method" in caught.value.mend
    assert caught.value.location.startswith(__file__)


def test_only_classes_are_services() -> None:
    with pytest.raises(DefinitionError, match="@service marks a class"):
        service(fine)  # type: ignore[type-var]
    for odd in (Review, fine, 3):
        with pytest.raises(DefinitionError, match="is not a service"):
            Service.of(odd)


def test_a_name_must_fit_into_a_path() -> None:
    with pytest.raises(DefinitionError, match="'my service', which cannot stand in a path"):
        declare(method(fine), as_="my service")


def test_an_example_must_fit_a_method() -> None:
    with pytest.raises(DefinitionError, match="is a Verdict, which none of its methods takes"):
        declare(method(nested), example=Verdict(score=1))


def test_a_replaced_method_must_be_marked_again() -> None:
    class Base:
        @method
        def say(self, x: int) -> int:
            return x

    with pytest.raises(DefinitionError, match="replaces a served method and is not marked") as e:

        @service
        class Derived(Base):
            def say(self, x: int) -> int:  # type: ignore[override]
                return -x

    assert "say = None" in e.value.mend


def test_two_types_of_one_name_are_refused() -> None:
    def one() -> Any:
        class Twin(BaseModel):
            a: int

        return Twin

    def other() -> Any:
        class Twin(BaseModel):
            b: int

        return Twin

    def both(self: Any, message: Any) -> Any: ...

    both.__annotations__.update({"message": one(), "return": other()})
    with pytest.raises(DefinitionError, match="two types are called Twin") as caught:
        declare(method(both))
    assert "rename one" in caught.value.mend


def test_a_mark_is_a_method() -> None:
    assert isinstance(method(fine), Method)
    assert isinstance(batched(fine_batch), Method)
