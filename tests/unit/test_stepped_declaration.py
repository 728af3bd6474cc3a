"""``@stepped``: what it declares, and what of it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from mothlight import Code, Error, Step, batched, method, service, stepped
from mothlight.contracts import contract, openapi
from mothlight.errors import DefinitionError
from mothlight.services import Cardinality, Method, Service

if TYPE_CHECKING:
    import heavy  # type: ignore[import-not-found]


class Prompt(BaseModel):
    text: str
    max_tokens: int = 3


class Token(BaseModel):
    text: str


class TooLong(Error):
    "too long"

    code = Code.INVALID_ARGUMENT


class TooRude(Error):
    "too rude"


@dataclass
class State:
    rest: list[str]


class Base:
    def start(self, prompt: Prompt) -> State:
        if len(prompt.text) > 9:
            raise TooLong
        return State(list(prompt.text))

    @stepped(start, max_size=4, http="POST /write", raises=[TooLong], example=Prompt(text="hi"))
    def write(self, states: list[State]) -> list[Step[Token]]:
        "Writes."
        return [Step(Token(text=s.rest.pop(0)), done=not s.rest) for s in states]


@service
class Writer(Base):
    pass


WRITE: Method[Any, Any, Any] = Service.of(Writer).methods["write"]


def test_a_stepped_method_is_a_server_stream_of_batches() -> None:
    assert WRITE.cardinality is Cardinality.SERVER_STREAM
    assert (WRITE.input.hint, WRITE.output.hint) == (Prompt, Token)
    assert (WRITE.parameter, WRITE.has_default, WRITE.is_async) == ("prompt", False, False)
    assert WRITE.batching is not None
    assert (WRITE.batching.max_size, WRITE.batching.max_wait) == (4, 0.0)
    assert (WRITE.verb, WRITE.path, WRITE.doc) == ("POST", "/write", "Writes.")
    assert WRITE.raises == (TooLong,)
    assert WRITE.example == Prompt(text="hi")
    assert not WRITE.is_batched
    assert repr(Writer.write) == "<ServerStream Writer.write>"


def test_what_runs_it_finds_both_functions() -> None:
    model = Writer()
    assert WRITE.start is not None
    state = WRITE.start(model, Prompt(text="ab"))
    assert WRITE.func(model, [state]) == [Step(Token(text="a"))]
    assert WRITE.func(model, [state]) == [Step(Token(text="b"), done=True)]


def test_it_stays_a_plain_call_in_a_unit_test() -> None:
    writer = Writer()
    state = writer.start(Prompt(text="ab"))
    assert writer.write([state]) == [Step(Token(text="a"))]
    with pytest.raises(TooLong):
        writer.start(Prompt(text="x" * 10))


def test_other_methods_have_no_start() -> None:
    @service
    class Other:
        @method
        def one(self, x: int) -> int:
            return x

        @batched
        def many(self, xs: list[int]) -> list[int]:
            return xs

        @batched(idempotent=False)
        def mail(self, xs: list[int]) -> list[int]:
            return xs

    methods = Service.of(Other).methods
    assert [m.start for m in methods.values()] == [None, None, None]
    assert [m.is_batched for m in methods.values()] == [False, True, True]
    assert [m.idempotent for m in methods.values()] == [True, True, False]
    with pytest.raises(TypeError, match="idempotent"):
        method(idempotent=False)  # type: ignore[call-overload]


def test_a_start_without_a_message() -> None:
    @service
    class Clock:
        def begin(self) -> int:
            return 7

        @stepped(begin, http="GET /tick")
        def tick(self, states: Sequence[int]) -> list[Step[int]]:
            return [Step(state, done=True) for state in states]

    tick = Service.of(Clock).methods["tick"]
    assert (tick.parameter, tick.fields, tick.input.hint) == ("", [], None)
    assert tick.batching is not None and tick.batching.max_size == 8
    assert tick.start is not None
    assert tick.start(Clock()) == 7


def test_a_default_is_that_of_start() -> None:
    @service
    class Counter:
        def begin(self, count: int = 10) -> int:
            return count

        @stepped(begin, http="GET /count")
        def count(self, states: list[int]) -> list[Step[int]]:
            return [Step(done=True) for _ in states]

    count = Service.of(Counter).methods["count"]
    assert (count.parameter, count.default, count.has_default) == ("count", 10, True)


def test_errors_are_declared_by_the_type_of_a_step_too() -> None:
    @service
    class Careful:
        def start(self, prompt: Prompt) -> State:
            return State([])

        @stepped(start, raises=[TooLong])
        def write(self, states: list[State]) -> list[Step[Token] | TooRude | Error]:
            return [TooRude() for _ in states]

    write = Service.of(Careful).methods["write"]
    assert write.raises == (TooLong, TooRude)
    assert write.output.hint is Token


def test_an_example_of_the_service_fits_the_message_of_start() -> None:
    @service(example=Prompt(text="x"))
    class Other:
        def start(self, prompt: Prompt) -> State:
            return State([])

        @stepped(start)
        def write(self, states: list[State]) -> list[Step[Token]]:
            return []

    assert Service.of(Other).methods["write"].example == Prompt(text="x")


def test_a_subclass_has_its_own_start() -> None:
    class Bigger(BaseModel):
        words: list[str]

    def start(self: Any, bigger: Any) -> State:
        return State([*bigger.words, "!"])

    start.__annotations__["bigger"] = Bigger
    louder = service(type("Louder", (Base,), {"start": start}))
    write = Service.of(louder).methods["write"]
    assert (write.parameter, write.input.hint) == ("bigger", Bigger)
    assert write.start is not None
    assert write.start(louder(), Bigger(words=["a"])) == State(["a", "!"])
    assert WRITE.input.hint is Prompt, "the base keeps its own"


def test_a_subclass_may_have_its_own_step_of_an_inherited_start() -> None:
    @service
    class Quiet(Base):
        @stepped(Base.start, max_size=2)
        def write(self, states: list[State]) -> list[Step[Token]]:
            return [Step(done=True) for _ in states]

    write = Service.of(Quiet).methods["write"]
    assert write.start is Base.start
    assert write.func(Quiet(), [State([])]) == [Step(done=True)]


def test_a_private_or_wrapped_start_is_found() -> None:
    def wrapped(function: Callable[..., Any]) -> Callable[..., Any]:
        def around(self: Any, prompt: Prompt) -> State:
            return State(["around", *function(self, prompt).rest])

        return around

    @service
    class Private:
        @wrapped
        def __start(self, prompt: Prompt) -> State:
            return State([prompt.text])

        @stepped(__start)
        def write(self, states: list[State]) -> list[Step[Token]]:
            return [Step() for _ in states]

    write = Service.of(Private).methods["write"]
    assert write.start is not None
    assert write.start(Private(), Prompt(text="x")) == State(["around", "x"])


def test_a_state_may_be_of_a_type_that_only_a_type_checker_knows() -> None:
    """The front process need not import torch."""

    @service
    class Lazy:
        def start(self, prompt: Prompt) -> heavy.State:
            return prompt.text

        @stepped(start)
        def write(self, states: list[heavy.State]) -> list[Step[Token]]:
            return [Step(Token(text=state)) for state in states]

        def begin(self, prompt: Prompt) -> heavy.Cache[int] | None:
            return None

        @stepped(begin)
        def read(self, states: list[heavy.Cache[int] | None]) -> list[Step[Token]]:
            return [Step() for _ in states]

    assert Service.of(Lazy).methods["write"].output.hint is Token
    assert Service.of(Lazy).methods["read"].input.hint is Prompt


def plain(self: Any, prompt: Prompt) -> Iterator[Token]: ...


@pytest.mark.parametrize("build", [contract.build, openapi.build])
def test_clients_see_an_ordinary_stream(build: Callable[..., Any]) -> None:
    @service(name="Writer")
    class Generator:
        @method(http="POST /write", raises=[TooLong], example=Prompt(text="hi"))
        def write(self, prompt: Prompt) -> Iterator[Token]:
            "Writes."
            yield Token(text="a")

    assert build([Service.of(Writer)]) == build([Service.of(Generator)])


# What is refused


def start(self: Any, prompt: Prompt) -> State: ...
def two(self: Any, prompt: Prompt, seed: int = 0) -> State: ...
def untyped(self: Any, prompt) -> State: ...  # type: ignore[no-untyped-def]
def no_state(self: Any, prompt: Prompt): ...  # type: ignore[no-untyped-def]
def none(self: Any, prompt: Prompt) -> None: ...
def of_list(self: Any, prompts: list[Prompt]) -> State: ...
def of_stream(self: Any, prompts: Iterator[Prompt]) -> State: ...
def or_error(self: Any, prompt: Prompt) -> State | TooLong: ...
def text(self: Any, prompt: Prompt) -> str: ...
def unknown(self: Any, prompt: heavy.Prompt) -> State: ...
def odd(self: Any, prompt: complex) -> State: ...
def wrong_default(self: Any, count: int = None) -> State: ...  # type: ignore[assignment]  # noqa: RUF013


async def start_async(self: Any, prompt: Prompt) -> State: ...


def start_yields(self: Any, prompt: Prompt) -> State:
    yield prompt


def step(self: Any, states: list[State]) -> list[Step[Token]]: ...
def lone(self: Any, state: State) -> Step[Token]: ...
def nothing(self: Any) -> list[Step[Token]]: ...
def more(self: Any, states: list[State], seed: int) -> list[Step[Token]]: ...
def bare_list(self: Any, states: list) -> list[Step[Token]]: ...  # type: ignore[type-arg]
def no_result(self: Any, states: list[State]): ...  # type: ignore[no-untyped-def]
def iterator(self: Any, states: list[State]) -> Iterator[Token]: ...
def tokens(self: Any, states: list[State]) -> list[Token]: ...
def bare_step(self: Any, states: list[State]) -> list[Step]: ...  # type: ignore[type-arg]
def error_item(self: Any, states: list[State]) -> list[Step[Token | TooLong]]: ...
def odd_item(self: Any, states: list[State]) -> list[Step[complex]]: ...
def unknown_item(self: Any, states: list[State]) -> list[Step[heavy.Token]]: ...


async def step_async(self: Any, states: list[State]) -> list[Step[Token]]: ...


def step_yields(self: Any, states: list[State]) -> list[Step[Token]]:
    yield states


START = "def start(self, prompt: Prompt) -> State:"
STEP = "(self, states: list[State]) -> list[Step[Token]]:"


def declare(start: Any, step: Any, **options: Any) -> None:
    marked = stepped(start, **options)(step)
    Service(type("Shop", (), {start.__name__: start, step.__name__: marked}), "Shop")


@pytest.mark.parametrize(
    ("start", "step", "at", "what", "mend"),
    [
        (two, step, two, "Shop.two takes 2 parameters (prompt, seed)", "class TwoRequest"),
        (untyped, step, untyped, "does not say what prompt is", "def untyped(self, prompt: Review"),
        (no_state, step, no_state, "no_state does not say what state", "no_state(...) -> State:"),
        (none, step, none, "Shop.none does not say what state it returns", "none(...) -> State:"),
        (of_list, step, of_list, "of_list takes a list: is it", "one message: put the list in"),
        (of_stream, step, of_stream, "takes a stream; a stepped", "ordinary generator:   @method"),
        (or_error, step, step, "or_error returns test_stepped", "raise an error, don't return it"),
        (text, step, step, "Shop.text returns str, and Shop.step takes a list of State",
         "let text return what is in the list:   def step(self, states: list[State])"),
        (unknown, step, unknown, "the type 'heavy' is not known at run time", "TYPE_CHECKING"),
        (odd, step, odd, "Shop.step's prompt is complex, which has no form", "BaseModel"),
        (wrong_default, step, wrong_default, "count=None, which is not of its type", "another"),
        (start_async, step, start_async, "start_async is an async def", "plain def:   def start_a"),
        (start_yields, step, start_yields, "start_yields yields", "def start_yields(self, prompt"),
        (start, lone, lone, "must take a list of states and return a list", f"def lone{STEP}"),
        (start, nothing, nothing, "must take a list of states", f"def nothing{STEP}"),
        (start, more, more, "must take a list of states", f"def more{STEP}"),
        (start, bare_list, bare_list, "must take a list of states", STEP),
        (start, no_result, no_result, "and return a list of steps", STEP),
        (start, iterator, iterator, "and return a list of steps", STEP),
        (start, tokens, tokens, "returns a list of Token, not of steps", STEP),
        (start, bare_step, bare_step, "returns a list of Step, not of steps", STEP),
        (start, error_item, error_item, "not of steps", "-> list[Step[Token] | TextTooLong]:"),
        (start, odd_item, odd_item, "odd_item's result is complex, which has no form", "BaseModel"),
        (start, unknown_item, unknown_item, "'heavy' is not known at run time", "TYPE_CHECKING"),
        (start, step_async, step_async, "step_async is an async def", f"step_async{STEP}"),
        (start, step_yields, step_yields, "step_yields yields", f"def step_yields{STEP}"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_line_and_mend(
    start: Any, step: Any, at: Any, what: str, mend: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        declare(start, step)
    assert what in caught.value.what
    assert mend in caught.value.mend
    assert caught.value.location == f"{__file__}:{at.__code__.co_firstlineno}"


@pytest.mark.parametrize("size", [0, -1, 4097, "8", None])
def test_a_size_has_bounds(size: Any) -> None:
    with pytest.raises(DefinitionError, match=rf"Shop.step has max_size={size}, ") as caught:
        declare(start, step, max_size=size)
    assert "max_size is 1 to 4096" in caught.value.mend


@method
def served(self: Any, prompt: Prompt) -> Token: ...


@pytest.mark.parametrize(
    ("parts", "given", "shown"),
    [
        ({}, start, "start"),  # not in the class
        ({"start": text}, start, "start"),  # replaced by another
        ({"start": staticmethod(start)}, staticmethod(start), "start"),
        ({"size": int}, int, "size"),
        ({"start": start}, "start", "'start'"),
    ],
)
def test_a_start_is_a_function_of_the_class(parts: dict[str, Any], given: Any, shown: str) -> None:
    marked = stepped(given)(step)
    with pytest.raises(DefinitionError) as caught:
        Service(type("Shop", (), {**parts, "step": marked}), "Shop")
    expected = f"Shop.step is stepped from {shown}, which is not a function of Shop"
    assert caught.value.what == expected
    assert START in caught.value.mend
    assert caught.value.location == f"{__file__}:{step.__code__.co_firstlineno}"


def test_a_start_is_not_served_itself() -> None:
    marked = stepped(served)(step)
    told = "Shop.step is stepped from served, which is marked itself"
    with pytest.raises(DefinitionError, match=told) as caught:
        Service(type("Shop", (), {"served": served, "step": marked}), "Shop")
    assert caught.value.mend.startswith("take the mark off served:")


def test_a_subclass_may_not_take_a_start_away() -> None:
    with pytest.raises(DefinitionError, match="which is not a function of Mute"):
        service(type("Mute", (Base,), {"start": None}))
    gone = service(type("Gone", (Base,), {"start": None, "write": None, "ping": served}))
    assert set(Service.of(gone).methods) == {"ping"}


def test_a_step_without_its_start_is_refused() -> None:
    with pytest.raises(DefinitionError, match="@stepped and does not say") as caught:

        @service
        class Bare:
            @stepped  # type: ignore[call-overload, arg-type]
            def write(self, states: list[State]) -> list[Step[Token]]: ...

    assert caught.value.mend == "name the function above it:   @stepped(start, max_size=8)"
    assert caught.value.location.startswith(__file__)
    with pytest.raises(DefinitionError, match="@stepped and does not say") as caught:

        @service
        class Sized:
            @stepped(max_size=8)  # type: ignore[call-overload, untyped-decorator]
            def write(self, states: list[State]) -> list[Step[Token]]: ...

    assert caught.value.location.startswith(__file__)
