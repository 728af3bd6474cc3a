"""Declaring: what cannot work is refused, with the line and with what to write instead."""

from __future__ import annotations

import functools
import math
import types
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from mothlight import Error, batched, method, service
from mothlight.errors import DefinitionError
from mothlight.services import Service


class Review(BaseModel):
    text: str


class Verdict(BaseModel):
    score: float


class TooLong(Error):
    "too long"


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
def wrong_default(self: Any, text: str = None) -> str: ...  # type: ignore[assignment]  # noqa: RUF013
def nested(self: Any, review: Review) -> str: ...


async def returns_iterator(self: Any, text: str) -> Iterator[str]: ...


async def takes_plainly(self: Any, texts: Iterator[str]) -> str: ...
def takes_async(self: Any, texts: AsyncIterator[str]) -> str: ...


def yields(self: Any, text: str) -> str:
    yield text


def batch_yields(self: Any, texts: list[str]) -> list[str]:
    yield texts


async def batch_yields_async(self: Any, texts: list[str]) -> list[str]:
    yield texts


def empty() -> str: ...
def no_self(text: str) -> str: ...
def only_named(*, text: str) -> str: ...
def delegates(self: Any, texts: Iterator[str]) -> AsyncIterator[str]: ...


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
        (method, takes_plainly, "awaits, and could not take its stream", "AsyncIterator[...]"),
        (method, takes_async, "does not await, and could not take its stream", "   Iterator[...]"),
        (method, yields, "yields, but its result is not a stream", "-> Iterator[Token]:"),
        (batched, batch_yields, "is @batched and yields", "@method"),
        (batched, batch_yields_async, "is @batched and yields", "@stepped(start)"),
        (method, empty, "Shop.empty has no self", "def empty(self, ...)"),
        (method, no_self, "Shop.no_self has no self", "def no_self(self, ...)"),
        (batched, no_self, "Shop.no_self has no self", "def no_self(self, ...)"),
        (method, only_named, "Shop.only_named has no self", "def only_named(self, ...)"),
        (method, delegates, "awaits, and could not take its stream", "AsyncIterator[...]"),
        (method, bare_stream, "a stream that does not say of what", "Iterator[Token]"),
        (batched, bad_batch, "must take a list and return a list",
         "def bad_batch(self, reviews: list[Review]) -> list[Verdict]:"),
        (batched, bare_batch, "must take a list and return a list", "list[Verdict]"),
        (batched(max_size=0), fine_batch, "Shop.fine_batch has max_size=0", "1 to 4096"),
        (batched(max_size="8"), fine_batch, "Shop.fine_batch has max_size=8", "1 to 4096"),
        (batched(max_size=True), fine_batch, "Shop.fine_batch has max_size=True", "1 to 4096"),
        (batched(max_wait=-1), fine_batch, "max_wait=-1", "seconds from 0"),
        (batched(max_wait=math.inf), fine_batch, "max_wait=inf", "seconds from 0"),
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


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
@pytest.mark.parametrize("mark", [method, batched])
@pytest.mark.parametrize("is_outside", [False, True])
def test_a_served_method_is_one_of_an_object(kind: Any, mark: Any, is_outside: bool) -> None:
    def say(texts: list[str]) -> list[str]: ...

    with pytest.raises(DefinitionError) as caught:
        odd = kind(mark(say)) if is_outside else mark(kind(say))
        names = {"say": odd, "fine": method(fine)}
        Service(types.new_class("Shop", (), {}, lambda ns: ns.update(names)), "Shop")
    line = say.__code__.co_firstlineno
    assert caught.value.location == f"{__file__}:{line}"
    assert f"say is a {kind.__name__}" in caught.value.what
    assert "def say(self, ...)" in caught.value.mend


@pytest.mark.parametrize("odd", [3, functools.partial(fine, text="a"), method(fine)])
def test_what_is_marked_is_a_function(odd: Any) -> None:
    with pytest.raises(DefinitionError, match="a function of a class is marked, not"):
        method(odd)


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
