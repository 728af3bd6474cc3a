"""Declaring: ``@service`` on a class, ``@method``, ``@batched``, ``@stepped`` on its functions.

The signature is the interface: one message in, one message out, and an iterator on either side
makes a stream. The decorators only mark; ``Sentiment().analyze([...])`` stays a plain call, and
``Sentiment.analyze`` on the class is the description that a client or an App calls it by.

    def analyze(self, review: Review) -> Verdict                              unary
    def write(self, prompt: Prompt) -> Iterator[Token]                        server stream
    def sum(self, chunks: Iterator[Audio]) -> Caption                         client stream
    def hear(self, chunks: AsyncIterator[Audio]) -> AsyncIterator[Caption]    both ways
    @batched: def analyze(self, reviews: list[Review]) -> list[Verdict]       unary to its callers
    @stepped(start): def write(self, states: list[State]) -> list[Step[Token]]    server stream
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from hashlib import sha256
from typing import Any, Generic, Protocol, TypeVar, overload

from .call import Step
from .errors import DefinitionError, Error
from .methods import (
    Batching,
    Cardinality,
    ClientStream,
    Duplex,
    Method,
    ServerStream,
    Unary,
    check_function,
    snake,
)
from .schema import Reader, Types, describe

__all__ = [
    "Batching",
    "Cardinality",
    "ClientStream",
    "Duplex",
    "Method",
    "ServerStream",
    "Service",
    "Unary",
    "batched",
    "method",
    "service",
    "snake",
    "stepped",
]

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
S = TypeVar("S")
T = TypeVar("T")
E = TypeVar("E", bound=Error)
C = TypeVar("C", bound=type)


class Service:
    """A class's description: its name, its methods, and the types that they use."""

    def __init__(self, cls: type, name: str, example: Any = None) -> None:
        self.cls, self.name, self.doc = cls, name, inspect.getdoc(cls) or ""
        self.types: Types
        self.methods: dict[str, Method[Any, Any, Any]] = {}
        reader = Reader()
        if not name.isidentifier():
            raise DefinitionError(
                f"{cls.__name__} is called {name!r}, which cannot stand in a path or in Dart",
                f'write a name of letters and digits:   @service(name="{cls.__name__}")',
                at=cls,
            )
        _check_init(cls)
        found = {key: value for base in reversed(cls.__mro__) for key, value in vars(base).items()}
        marks = {key: value for key, value in found.items() if isinstance(value, Method)}
        for base in cls.__mro__:
            for key, value in vars(base).items():
                if isinstance(value, Method) and key not in marks and found[key] is not None:
                    raise DefinitionError(
                        f"{cls.__name__}.{key} replaces a served method and is not marked",
                        f"mark it too, or take it off the wire:   {key} = None",
                        at=found[key],
                    )
        for key, value in found.items():
            if isinstance(value, staticmethod | classmethod) and isinstance(value.__func__, Method):
                check_function(value)
            if isinstance(value, _StepMark):
                raise DefinitionError(
                    f"{cls.__name__}.{key} is @stepped and does not say what makes its states",
                    "name the function above it:   @stepped(start, max_size=8)",
                    at=value.start,
                )
        if not marks:
            raise DefinitionError(
                f"{cls.__name__} has no method to serve",
                "mark one:   @method   or   @batched(max_size=32)",
                at=cls,
            )
        for key, mark in marks.items():
            self.methods[key] = mark.resolve(self, cls, reader)
        self.types = reader.types
        if example is not None:
            self._give(example)

    def _give(self, example: Any) -> None:
        fits = [m for m in self.methods.values() if isinstance(m.input.hint, type)]
        fits = [m for m in fits if isinstance(example, m.input.hint)]
        if not fits:
            raise DefinitionError(
                f"the example of {self.cls.__name__} is a {type(example).__name__}, "
                "which none of its methods takes",
                at=self.cls,
            )
        for method in fits:
            method.example = example if method.example is None else method.example

    @property
    def address(self) -> str:
        """``module:Class``, by which a worker imports it."""
        return f"{self.cls.__module__}:{self.cls.__qualname__}"

    @property
    def fingerprint(self) -> str:
        """Changes when what is on the wire does: a worker's must be the server's."""
        methods = [
            (m.name, m.verb, m.path, m.cardinality, m.parameter,
             describe(m.input.node), describe(m.output.node))
            for m in self.methods.values()
        ]  # fmt: skip
        # By its description, which every process writes alike: a set's own form has no order.
        types = {name: describe(named) for name, named in self.types.items()}
        return sha256(repr((methods, types)).encode()).hexdigest()

    @staticmethod
    def of(marked: object) -> Service:
        """The description of a class that carries ``@service``."""
        found = vars(marked).get("__mothlight__") if isinstance(marked, type) else None
        if not isinstance(found, Service):
            if isinstance(getattr(type(marked), "__mothlight__", None), Service):
                raise DefinitionError(
                    f"a {type(marked).__name__} is given where its class is wanted: each worker "
                    "makes an object of its own",
                    f"write   {type(marked).__name__}",
                )
            if isinstance(marked, list | tuple):
                raise DefinitionError(
                    "a list is given where a service is wanted",
                    "write them side by side:   App(Chat, Vision)",
                )
            raise DefinitionError(
                f"{getattr(marked, '__name__', marked)!s} is not a service",
                "mark the class:   @service",
                at=marked,
            )
        return found


def _check_init(cls: type) -> None:
    """Sees to it that a worker can make an object of the class."""
    try:
        parameters = list(inspect.signature(cls).parameters.values())
    except (TypeError, ValueError):  # of C, or odd: a worker will see
        return
    for parameter in parameters:
        varies = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not varies:
            raise DefinitionError(
                f"{cls.__name__} cannot be made without {parameter.name!r}, and each worker makes "
                f"its own by   {cls.__name__}()",
                "give it a default, or read it in __init__:   os.environ[...]",
                at=cls,
            )


@overload
def service(cls: C, /) -> C: ...
@overload
def service(*, name: str | None = None, example: Any = None) -> Callable[[C], C]: ...
def service(cls: Any = None, /, *, name: str | None = None, example: Any = None) -> Any:
    """Marks a class as a service. ``name`` is its name on the wire (the class's own by default);
    ``example`` is a message that the server tries on its method before it is ready."""

    def mark(cls: C) -> C:
        if not isinstance(cls, type):
            raise DefinitionError(
                f"@service marks a class, not {cls!r}",
                'write it above one:   @service   or   @service(name="...")',
                at=cls,
            )
        cls.__mothlight__ = Service(cls, name or cls.__name__, example)  # type: ignore[attr-defined]
        return cls

    return mark if cls is None else mark(cls)


class _Mark(Protocol):
    # The order of the overloads is the table of cardinalities: the first that fits counts.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, func: Callable[[S, AsyncIterator[I]], AsyncIterator[O]], /
    ) -> Duplex[I, O, Callable[[AsyncIterator[I]], AsyncIterator[O]]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, func: Callable[[S, Iterator[I]], Iterator[O]], /
    ) -> Duplex[I, O, Callable[[Iterator[I]], Iterator[O]]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, func: Callable[[S, AsyncIterator[I]], Awaitable[O]], /
    ) -> ClientStream[I, O, Callable[[AsyncIterator[I]], Awaitable[O]]]: ...
    @overload
    def __call__(
        self, func: Callable[[S, Iterator[I]], O], /
    ) -> ClientStream[I, O, Callable[[Iterator[I]], O]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, func: Callable[[S, I], AsyncIterator[O]], /
    ) -> ServerStream[I, O, Callable[[I], AsyncIterator[O]]]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, func: Callable[[S, I], Iterator[O]], /
    ) -> ServerStream[I, O, Callable[[I], Iterator[O]]]: ...
    @overload
    def __call__(
        self, func: Callable[[S, I], Awaitable[O]], /
    ) -> Unary[I, O, Callable[[I], Awaitable[O]]]: ...
    @overload
    def __call__(self, func: Callable[[S, I], O], /) -> Unary[I, O, Callable[[I], O]]: ...
    @overload
    def __call__(self, func: Callable[[S], O], /) -> Unary[None, O, Callable[[], O]]: ...
    @overload
    def __call__(
        self, *, http: str | None = ..., raises: Sequence[type[Error]] = ..., example: Any = ...
    ) -> _Mark: ...


class _BatchMark(Protocol):
    @overload
    def __call__(
        self, func: Callable[[S, list[I]], Awaitable[list[O | Error]]], /
    ) -> Unary[I, O, Callable[[list[I]], Awaitable[list[O | Error]]]]: ...
    @overload
    def __call__(
        self, func: Callable[[S, list[I]], Awaitable[list[O]]], /
    ) -> Unary[I, O, Callable[[list[I]], Awaitable[list[O]]]]: ...
    @overload
    def __call__(
        self, func: Callable[[S, list[I]], list[O | Error]], /
    ) -> Unary[I, O, Callable[[list[I]], list[O | Error]]]: ...
    @overload
    def __call__(
        self, func: Callable[[S, list[I]], list[O]], /
    ) -> Unary[I, O, Callable[[list[I]], list[O]]]: ...
    @overload
    def __call__(
        self,
        *,
        max_size: int = ...,
        max_wait: float = ...,
        http: str | None = ...,
        raises: Sequence[type[Error]] = ...,
        example: Any = ...,
        idempotent: bool = ...,
    ) -> _BatchMark: ...


class _StepMark(Generic[I, T]):
    """What ``@stepped(start)`` is until it meets its function."""

    def __init__(self, start: Any, options: dict[str, Any]) -> None:
        self.start, self.options = start, options

    @overload
    def __call__(
        self, func: Callable[[S, list[T]], list[Step[O]]], /
    ) -> ServerStream[I, O, Callable[[list[T]], list[Step[O]]]]: ...
    @overload
    def __call__(
        self, func: Callable[[S, list[T]], list[Step[O] | E]], /
    ) -> ServerStream[I, O, Callable[[list[T]], list[Step[O] | E]]]: ...
    def __call__(self, func: Any, /) -> Any:
        if self.start is None:
            raise DefinitionError(
                f"{func.__qualname__} is @stepped and does not say what makes its states",
                "name the function above it:   @stepped(start, max_size=8)",
                at=func,
            )
        return Method(func, start=self.start, **self.options)


def _method(
    func: Any = None,
    /,
    *,
    http: str | None = None,
    raises: Sequence[type[Error]] = (),
    example: Any = None,
) -> Any:
    """Marks a function of a service: one call in, one answer or one stream out.

    ``http``: verb and path in REST (``POST /{service}/{method}`` by default). ``raises``: the
    errors that it declares. ``example``: a message (or a function that makes one; a list of them
    where it takes a stream) that the server tries before it is ready. A synchronous method runs one
    call at a time in a worker, asynchronous ones run together, and what streams, in or out, side by
    side in threads; ``current_call()`` says whether anybody still waits.
    """

    def mark(func: Any) -> Any:
        return Method(func, http=http, raises=raises, example=example)

    return mark if func is None else mark(func)


def _batched(
    func: Any = None,
    /,
    *,
    max_size: int = 32,
    max_wait: float = 0.0,
    http: str | None = None,
    raises: Sequence[type[Error]] = (),
    example: Any = None,
    idempotent: bool = True,
) -> Any:
    """Marks a function that answers many calls at once: list in, list out, same length and order.

    Its callers send one message and get one answer; an item that is returned as an ``Error`` fails
    for its own caller only. ``max_size``: most calls in a batch. ``max_wait``: seconds that a free
    worker waits for company. ``idempotent``: a batch that fails as a whole is run again in
    halves, until only the guilty fail; ``False`` where running a message twice does harm (it sends
    mail, it counts): then every call of such a batch fails. The rest as in ``@method``.
    """

    def mark(func: Any) -> Any:
        batching = Batching(max_size, max_wait)
        return Method(
            func,
            batching=batching,
            http=http,
            raises=raises,
            example=example,
            idempotent=idempotent,
        )

    return mark if func is None else mark(func)


@overload
def stepped(
    start: Callable[[S, I], T],
    /,
    *,
    max_size: int = ...,
    http: str | None = ...,
    raises: Sequence[type[Error]] = ...,
    example: Any = ...,
) -> _StepMark[I, T]: ...
@overload
def stepped(
    start: Callable[[S], T],
    /,
    *,
    max_size: int = ...,
    http: str | None = ...,
    raises: Sequence[type[Error]] = ...,
    example: Any = ...,
) -> _StepMark[None, T]: ...
def stepped(
    start: Any = None,
    /,
    *,
    max_size: int = 8,
    http: str | None = None,
    raises: Sequence[type[Error]] = (),
    example: Any = None,
) -> Any:
    """Marks the step of a model that answers by steps (token decoding, live audio, diffusion)::

        def start(self, prompt: Prompt) -> State: ...

        @stepped(start, max_size=8)
        def write(self, states: list[State]) -> list[Step[Token]]: ...

    Its callers send one message and get a stream. ``start`` makes a state of a message; then every
    step takes the states of the streams that run, at most ``max_size``, and gives each, in the same
    order, a ``Step``: its next items, and whether they were its last. Streams join and leave
    between two steps. An ``Error`` in place of a ``Step`` ends that stream alone
    (``list[Step[Token] | TextTooLong]``), and so does one that ``start`` raises; an exception in a
    step ends all that took part in it. A state never leaves its worker, and may be of any type; one
    that has a ``close()`` is closed when its stream ends, however it ends. ``start`` and the step
    are plain functions of the class, run one at a time. The rest as in ``@method``.
    """
    options = {"http": http, "raises": raises, "example": example}
    return _StepMark(start, {"batching": Batching(max_size), **options})


method: _Mark = _method
batched: _BatchMark = _batched
