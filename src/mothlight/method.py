"""Method: one function of a service, as its signature describes it."""

from __future__ import annotations

import copy
import enum
import inspect
import re
import types
import typing
from collections import abc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, get_args, get_origin, overload

from .errors import DefinitionError, Error
from .schema import (
    Enum,
    ListOf,
    MapOf,
    MediaType,
    Message,
    Nothing,
    Nullable,
    Reader,
    Ref,
    Shape,
)
from .schema.reader import resolve

if typing.TYPE_CHECKING:
    from .service import Service

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
F = TypeVar("F")

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PAGES = ("/openapi.json", "/docs", "/contract", "/health", "/metrics", "/calls")
_STREAMS = (
    abc.AsyncIterator,
    abc.AsyncGenerator,
    abc.AsyncIterable,
    abc.Iterator,
    abc.Generator,
    abc.Iterable,
)
_LISTS = (list, abc.Sequence)
_MAX_BATCH = 4096


class Cardinality(enum.Enum):
    """Who sends more than one message (the four kinds of gRPC)."""

    UNARY = "unary"
    SERVER_STREAM = "server_stream"
    CLIENT_STREAM = "client_stream"
    DUPLEX = "duplex"

    @property
    def streams_in(self) -> bool:
        return self in (Cardinality.CLIENT_STREAM, Cardinality.DUPLEX)

    @property
    def streams_out(self) -> bool:
        return self in (Cardinality.SERVER_STREAM, Cardinality.DUPLEX)


@dataclass(frozen=True)
class Batching:
    """``max_size`` calls run together; a free worker waits at most ``max_wait`` seconds for
    company (0: it takes what is there)."""

    max_size: int
    max_wait: float = 0.0


class Method(Generic[I, O, F]):
    """One method of a service: a mark on the function, and after ``@service`` its description.

    ``input`` and ``output`` are the shapes of one message (of one item, where it streams),
    ``parameter`` is the name of the message's parameter, ``verb`` and ``path`` its place in REST.
    """

    service: Service
    cardinality: Cardinality
    input: Shape[I]
    output: Shape[O]
    parameter: str
    default: Any = inspect.Parameter.empty
    verb: str
    path: str

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        batching: Batching | None = None,
        http: str | None = None,
        raises: Sequence[type[Error]] = (),
        example: Any = None,
    ) -> None:
        self.func, self.name, self.doc = func, func.__name__, inspect.getdoc(func) or ""
        self.batching, self.http, self.example = batching, http, example
        if isinstance(raises, type):
            raise DefinitionError(
                f"{func.__qualname__} has raises={raises.__name__}",
                f"write a list:   raises=[{raises.__name__}]",
                at=func,
            )
        self.raises = tuple(raises)
        self.is_async = inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func)

    @overload
    def __get__(self, obj: None, owner: type) -> typing.Self: ...
    @overload
    def __get__(self, obj: object, owner: type) -> F: ...
    def __get__(self, obj: object | None, owner: type) -> Any:
        if obj is not None:
            return self.func.__get__(obj, owner)
        service = vars(owner).get("__mothlight__")
        return service.methods[self.name] if service else self

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.qualname}>"

    @property
    def qualname(self) -> str:
        """``Sentiment.analyze``."""
        return self.func.__qualname__

    def resolve(self, service: Service, cls: type, reader: Reader) -> Method[I, O, F]:
        """A copy that knows its service, shapes and place; DefinitionError where it cannot."""
        own = copy.copy(self)
        own.service = service
        own._read_signature(cls, reader)
        own._read_http()
        own.__class__ = _KINDS[own.cardinality]
        return own

    # What the signature says

    def _read_signature(self, cls: type, reader: Reader) -> None:
        func, who = self.func, f"{cls.__name__}.{self.name}"
        hints = resolve(func, func)
        parameters = list(inspect.signature(func).parameters.values())[1:]
        if len(parameters) > 1 or any(p.kind not in _PLAIN for p in parameters):
            raise DefinitionError(
                f"{who} takes {len(parameters)} parameters "
                f"({', '.join(str(p).split(':')[0] for p in parameters)}); a method takes one",
                "put them in a message:   " + _as_message(self.name, parameters, hints),
                at=func,
            )
        given = parameters[0] if parameters else None
        self.parameter = given.name if given else ""
        self.default = given.default if given else inspect.Parameter.empty
        if given and given.name not in hints:
            raise DefinitionError(
                f"{who} does not say what {given.name} is",
                f"write its type:   def {self.name}(self, {given.name}: Review) -> ...",
                at=func,
            )
        if "return" not in hints:
            raise DefinitionError(
                f"{who} does not say what it returns",
                f"write its type:   def {self.name}(...) -> Verdict:",
                at=func,
            )
        taken = hints[given.name] if given else None
        returned = hints["return"]
        if self.batching:
            taken, returned = self._unwrap_batch(who, taken, returned)
            streams_in = streams_out = False
        else:
            taken, streams_in = self._item(who, taken)
            returned, streams_out = self._item(who, returned)
            self._check_streams(who, streams_out)
            if not streams_in and get_origin(taken) in _LISTS:
                raise DefinitionError(
                    f"{who} takes a list: is it a batch of calls, or one call's message?",
                    f"a batch: mark it   @batched(max_size=32)   "
                    f"one message: put the list in a field:   "
                    f"class {self.name.title()}Request(BaseModel): items: list[...]",
                    at=func,
                )
        returned, more = _without_errors(returned)
        self.raises = tuple(dict.fromkeys((*self.raises, *more)))
        for error in self.raises:
            if not (isinstance(error, type) and issubclass(error, Error)):
                raise DefinitionError(
                    f"{who} raises={error!r}, which is not an Error",
                    "declare it:   class TextTooLong(Error): ...",
                    at=func,
                )
        self.cardinality = Cardinality(
            [["unary", "server_stream"], ["client_stream", "duplex"]][streams_in][streams_out]
        )
        message = reader.read(taken, f"{who}'s {self.parameter or 'message'}", (), func)
        result = reader.read(returned, f"{who}'s result", (), func)
        self.input = Shape(taken, message, reader.types)
        self.output = Shape(returned, result, reader.types)
        self._check_default(who)

    def _check_default(self, who: str) -> None:
        if self.default is inspect.Parameter.empty:
            return
        try:
            self.input.decode(self.input.encode(self.default))
        except (ValueError, Error) as error:
            raise DefinitionError(
                f"{who} has {self.parameter}={self.default!r}, which is not of its type: {error}",
                f"write another default, or another type:   {self.parameter}: str | None = None",
                at=self.func,
            ) from None

    def _item(self, who: str, hint: Any) -> tuple[Any, bool]:
        """(item type, True) of an iterator's hint; (the hint, False) of any other."""
        if (get_origin(hint) or hint) not in _STREAMS:
            return hint, False
        if not get_args(hint):
            raise DefinitionError(
                f"{who} has a stream that does not say of what",
                "write the type of its items:   Iterator[Token]",
                at=self.func,
            )
        return get_args(hint)[0], True

    def _unwrap_batch(self, who: str, taken: Any, returned: Any) -> tuple[Any, Any]:
        assert self.batching
        size = self.batching.max_size
        if not 1 <= size <= _MAX_BATCH or self.batching.max_wait < 0:
            raise DefinitionError(
                f"{who} is batched with max_size={size}, max_wait={self.batching.max_wait}",
                f"max_size is 1 to {_MAX_BATCH} calls, max_wait a number of seconds from 0",
                at=self.func,
            )
        if not (_is_list(taken) and _is_list(returned)):
            raise DefinitionError(
                f"{who} is @batched and must take a list and return a list",
                f"write   def {self.name}(self, reviews: list[Review]) -> list[Verdict]:"
                "   (each caller sends one Review and gets one Verdict)",
                at=self.func,
            )
        return get_args(taken)[0], get_args(returned)[0]

    def _check_streams(self, who: str, streams_out: bool) -> None:
        if streams_out and inspect.iscoroutinefunction(self.func):
            raise DefinitionError(
                f"{who} is an async def that returns an iterator instead of yielding",
                "yield the items in it, or make it a plain def",
                at=self.func,
            )
        yields = inspect.isgeneratorfunction(self.func) or inspect.isasyncgenfunction(self.func)
        if yields and not streams_out:
            raise DefinitionError(
                f"{who} yields, but its result is not a stream",
                f"write   def {self.name}(...) -> Iterator[Token]:",
                at=self.func,
            )

    # Its place in REST

    def _read_http(self) -> None:
        verb, path = "POST", f"/{snake(self.service.name)}/{snake(self.name)}"
        if self.http is not None:
            verb, _, path = self.http.partition(" ")
            right = verb in VERBS and re.fullmatch(r"/[\w\-./~]*", path) and not path.endswith("//")
            if not right:
                raise DefinitionError(
                    f"{self.qualname} has http={self.http!r}",
                    'write a verb and a fixed path:   http="GET /stream_numbers"'
                    "   (what varies goes into the message)",
                    at=self.func,
                )
        if any(path == page or path.startswith(f"{page}/") for page in PAGES):
            raise DefinitionError(
                f"{self.qualname} takes {path}, which is one of the server's own pages",
                f'choose another path than {", ".join(PAGES)}:   http="POST /..."',
                at=self.func,
            )
        self.verb, self.path = verb, path
        if verb in ("GET", "DELETE") and (odd := _not_in_query(self)):
            raise DefinitionError(
                f"{self.qualname} is a {verb}, and {odd} does not fit into a query string",
                f'write   http="POST {path}"',
                at=self.func,
            )

    @property
    def media_fields(self) -> dict[str, MediaType]:
        """The file parts of its multipart form: field name → type. A file that is the message
        itself goes under its parameter's name."""
        return {
            name: media
            for name, node, _ in self.fields
            if (media := node.of if isinstance(node, Nullable) else node)
            and isinstance(media, MediaType)
        }

    @property
    def fields(self) -> list[tuple[str, Any, bool]]:
        """(name, type, required) of the message's fields as a form or query has them; a message
        that is a bare scalar or file is one field under its parameter's name."""
        node = self.input.node
        if isinstance(node, Ref) and isinstance(named := self.input.types[node.name], Message):
            return [(f.wire, f.type, f.required) for f in named.fields]
        if isinstance(node, Nothing):
            return []
        return [(self.parameter, node, self.default is inspect.Parameter.empty)]

    @property
    def is_bare(self) -> bool:
        """Whether the message is a bare scalar, file or map, not an object with fields."""
        node = self.input.node
        named = isinstance(node, Ref) and isinstance(self.input.types[node.name], Message)
        return not named and not isinstance(node, Nothing)


if typing.TYPE_CHECKING:

    class Unary(Method[I, O, F]):
        """One message in, one out."""

        def __call__(self, message: I = ..., /) -> O: ...

    class ServerStream(Method[I, O, F]):
        """One message in, many out."""

        def __call__(self, message: I = ..., /) -> Iterator[O]: ...

    class ClientStream(Method[I, O, F]):
        """Many messages in, one out."""

    class Duplex(Method[I, O, F]):
        """Many messages in, many out."""

else:

    class _Described(Method):
        def __call__(self, *_):
            raise TypeError(
                f"{self.qualname} is a description; call it on an instance, "
                f"Client(url).of({self.service.name}).{self.name}(...), "
                f"or await app.call({self.qualname}, ...)"
            )

    class Unary(_Described, Generic[I, O, F]):
        """One message in, one out."""

    class ServerStream(_Described, Generic[I, O, F]):
        """One message in, many out."""

    class ClientStream(_Described, Generic[I, O, F]):
        """Many messages in, one out."""

    class Duplex(_Described, Generic[I, O, F]):
        """Many messages in, many out."""


_KINDS: dict[Cardinality, Any] = {
    Cardinality.UNARY: Unary,
    Cardinality.SERVER_STREAM: ServerStream,
    Cardinality.CLIENT_STREAM: ClientStream,
    Cardinality.DUPLEX: Duplex,
}
_PLAIN = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


# Reading signatures


def _is_list(hint: Any) -> bool:
    return get_origin(hint) in _LISTS and bool(get_args(hint))


def _without_errors(hint: Any) -> tuple[Any, list[type[Error]]]:
    """``Verdict | TextTooLong | Error`` as Verdict and the errors that it declares."""
    origin = get_origin(hint)
    if origin is not typing.Union and not isinstance(hint, types.UnionType):
        return hint, []
    errors = [a for a in get_args(hint) if isinstance(a, type) and issubclass(a, Error)]
    rest = [a for a in get_args(hint) if a not in errors]
    if not errors or not rest:
        return hint, []
    return typing.Union[tuple(rest)], [e for e in errors if e is not Error]  # noqa: UP007


def _as_message(name: str, parameters: list[inspect.Parameter], hints: dict[str, Any]) -> str:
    fields = "; ".join(
        f"{p.name}: {getattr(hints.get(p.name), '__name__', 'str')}"
        + ("" if p.default is p.empty else f" = {p.default!r}")
        for p in parameters
    )
    return f"class {name.title().replace('_', '')}Request(BaseModel): {fields}"


def _not_in_query(method: Method[Any, Any, Any]) -> str:
    """What of a method's message has no form in a query string; "" when all has."""
    for name, node, _ in method.fields:
        inner = node.of if isinstance(node, Nullable) else node
        if isinstance(inner, ListOf):
            inner = inner.item
        named = isinstance(inner, Ref) and not isinstance(method.input.types[inner.name], Enum)
        if named or isinstance(inner, MediaType | MapOf | ListOf):
            return f"its field {name}"
    return "a stream of messages" if method.cardinality.streams_in else ""


def snake(name: str) -> str:
    """``ImageTagger`` as ``image_tagger``."""
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
