"""Method: one function of a service, as its signature describes it."""

from __future__ import annotations

import copy
import enum
import inspect
import math
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from . import control, signature
from .errors import DefinitionError, Error
from .schema import (
    Enum,
    ListOf,
    MapOf,
    MediaType,
    Message,
    Nothing,
    Reader,
    Ref,
    Shape,
    present,
)
from .schema.fields import deprecation

if typing.TYPE_CHECKING:
    from .services import Service

I = TypeVar("I")  # noqa: E741
O = TypeVar("O")  # noqa: E741
F = TypeVar("F")

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE")
PAGES = ("/openapi.json", "/docs", "/contract", "/health", "/metrics", "/calls")
_MAX_BATCH = 4096


class Cardinality(enum.Enum):
    """Who sends more than one message (the four kinds of gRPC)."""

    UNARY = "unary"
    SERVER_STREAM = "server_stream"
    CLIENT_STREAM = "client_stream"
    DUPLEX = "duplex"

    def __init__(self, value: str) -> None:
        self.streams_in = value in ("client_stream", "duplex")
        self.streams_out = value in ("server_stream", "duplex")
        self.streams = value != "unary"
        """Whether any side does."""

    @staticmethod
    def of(streams_in: bool, streams_out: bool) -> Cardinality:
        """The cardinality by which side streams."""
        if streams_in:
            return Cardinality.DUPLEX if streams_out else Cardinality.CLIENT_STREAM
        return Cardinality.SERVER_STREAM if streams_out else Cardinality.UNARY


@dataclass(frozen=True)
class Batching:
    """``max_size`` calls run together; a free worker waits at most ``max_wait`` seconds for
    company (0: it takes what is there)."""

    max_size: int
    max_wait: float = 0.0

    @property
    def is_sound(self) -> bool:
        sizes = type(self.max_size) is int and 1 <= self.max_size <= _MAX_BATCH
        return sizes and 0 <= self.max_wait < math.inf


class Method(Generic[I, O, F]):
    """One method of a service: a mark on the function, and after ``@service`` its description.

    ``input`` and ``output`` are the shapes of one message (of one item, where it streams),
    ``parameter`` is the name of the message's parameter, ``verb`` and ``path`` its place in REST.
    Of a ``@stepped`` one ``func`` is the step, and ``start(obj, message)`` makes a state of a
    message (``start(obj)`` where there is no parameter); of all others ``start`` is None.
    """

    service: Service
    cardinality: Cardinality
    input: Shape[I]
    output: Shape[O]
    parameter: str
    default: Any = signature.EMPTY
    verb: str
    path: str
    is_async: bool
    """Whether it runs on the event loop."""

    def __init__(
        self,
        func: Callable[..., Any],
        *,
        batching: Batching | None = None,
        http: str | None = None,
        raises: Sequence[type[Error]] = (),
        example: Any = None,
        start: Callable[..., Any] | None = None,
        idempotent: bool = True,
    ) -> None:
        check_function(func)
        self.func, self.name, self.doc = func, func.__name__, inspect.getdoc(func) or ""
        self.qualname = func.__qualname__
        """``Sentiment.analyze``: once it is resolved, by the service's name, for two services may
        inherit one function."""
        self.batching, self.http, self.example = batching, http, example
        self.start, self.idempotent = start, idempotent
        if isinstance(raises, type):
            raise DefinitionError(
                f"{func.__qualname__} has raises={raises.__name__}",
                f"write a list:   raises=[{raises.__name__}]",
                at=func,
            )
        self.raises = tuple(raises)

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

    def resolve(self, service: Service, cls: type, reader: Reader) -> Method[I, O, F]:
        """A copy that knows its service, shapes and place; DefinitionError where it cannot."""
        own = copy.copy(self)
        own.service = service
        own._read_signature(cls, reader)
        own._read_http()
        own.qualname = f"{service.name}.{self.name}"
        own.__class__ = _KINDS[own.cardinality]
        return own

    # What the signature says

    def _read_signature(self, cls: type, reader: Reader) -> None:
        func, who = self.func, f"{cls.__name__}.{self.name}"
        if (batching := self.batching) and not batching.is_sound:
            raise DefinitionError(
                f"{who} has max_size={batching.max_size}, max_wait={batching.max_wait}",
                f"max_size is 1 to {_MAX_BATCH} calls, max_wait a number of seconds from 0",
                at=func,
            )
        if self.start is not None:
            self.start = _own_start(cls, self.start, who, func)
            found = signature.read_stepped(self.start, func, cls.__name__, raises=self.raises)
        else:
            found = signature.read(func, who, batched=self.is_batched, raises=self.raises)
        self.parameter, self.default = found.parameter, found.default
        self.raises, self.is_async = found.raises, found.is_async
        self.cardinality = Cardinality.of(found.streams_in, found.streams_out)
        taking = self.start or func  # the function that takes the message
        message = reader.read(found.message, f"{who}'s {self.parameter or 'message'}", (), taking)
        result = reader.read(found.result, f"{who}'s result", (), func)
        self.input = Shape(found.message, message, reader.types)
        self.output = Shape(found.result, result, reader.types)
        self._check_default(who, taking)
        if self.cardinality.streams_in:
            self._check_frames(who, func)

    def _check_frames(self, who: str, func: Callable[..., Any]) -> None:
        """A message that looks like a frame of control would be taken for one, without a word."""
        types, taken, given = self.input.types, self.input.node, self.output.node
        sides = {
            "takes": control.clash(taken, types, control.FROM_CLIENT),
            "returns": control.clash(given, types, control.FROM_SERVER, is_whole=True),
        }
        for verb, found in sides.items():
            if found is not None:
                form, name, entry = found
                raise DefinitionError(
                    f"{who} {verb} {name or 'a map'}, which may be {form} on its socket; "
                    f"there that says: {form.meaning}",
                    f"name the field {entry.wire} otherwise, or on the wire alone:   "
                    f'{entry.name}: ... = Field(alias="the_{entry.wire}")'
                    if entry
                    else "put the map into a message:   "
                    "class Found(BaseModel): found: dict[str, ...]",
                    at=func,
                )

    def _check_default(self, who: str, taking: Callable[..., Any]) -> None:
        if not self.has_default:
            return
        try:
            self.input.decode(self.input.encode(self.default))
        except (ValueError, Error) as error:
            raise DefinitionError(
                f"{who} has {self.parameter}={self.default!r}, which is not of its type: {error}",
                f"write another default, or another type:   {self.parameter}: str | None = None",
                at=taking,
            ) from None

    @property
    def is_batched(self) -> bool:
        """Whether many calls are answered together, list in and list out."""
        return self.batching is not None and self.start is None

    @property
    def deprecated(self) -> str:
        """What ``@deprecated("…")`` says (of warnings or typing_extensions); "" without it."""
        return deprecation(getattr(self.func, "__deprecated__", None))

    # Its place in REST

    def _read_http(self) -> None:
        verb, path = "POST", f"/{snake(self.service.name)}/{snake(self.name)}"
        if self.http is not None:
            verb, _, path = self.http.partition(" ")
            right = verb in VERBS and re.fullmatch(r"/[\w\-./~]*", path) and not path.endswith("//")
            if not right or not {".", ".."}.isdisjoint(path.split("/")):  # clients resolve these
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
            if (media := present(node)) and isinstance(media, MediaType)
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
        return [(self.parameter, node, not self.has_default)]

    @property
    def has_default(self) -> bool:
        """Whether its parameter has a default."""
        return self.default is not signature.EMPTY

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

        def __call__(self, messages: Iterable[I], /) -> O: ...

    class Duplex(Method[I, O, F]):
        """Many messages in, many out."""

        def __call__(self, messages: Iterable[I], /) -> Iterator[O]: ...

else:

    class _Described(Method):
        def __call__(self, *_):
            raise TypeError(
                f"{self.qualname} is a description; call it on an instance, "
                f"Client(url).of({self.service.name}).{self.name}(...), "
                f"or await app.call({self.service.cls.__name__}.{self.name}, ...)"
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


def check_function(marked: Any) -> None:
    """Raises DefinitionError for what is no function of an object; and for a staticmethod or a
    classmethod, around a Method too."""
    if isinstance(marked, staticmethod | classmethod):
        func: Any = getattr(marked.__func__, "func", marked.__func__)
        raise DefinitionError(
            f"{func.__qualname__} is a {type(marked).__name__}, and what is served is a method of "
            "the object that holds the model",
            f"take that mark off, and write   def {func.__name__}(self, ...)",
            at=func,
        )
    if not callable(marked) or not hasattr(marked, "__name__"):
        raise DefinitionError(
            f"a function of a class is marked, not {marked!r}",
            'options have names:   @batched(max_size=8)   or   @method(http="POST /analyze")',
        )


def _own_start(
    cls: type, start: Callable[..., Any], who: str, step: Callable[..., Any]
) -> Callable[..., Any]:
    """The start of a ``@stepped`` method as ``cls`` has it: a subclass may have its own."""
    names = (key for base in cls.__mro__ for key, value in vars(base).items() if value is start)
    name = next(names, "")
    found = inspect.getattr_static(cls, name, None)
    if not inspect.isfunction(found):
        shown = name or getattr(start, "__name__", repr(start))
        if hasattr(found, "func"):
            raise DefinitionError(
                f"{who} is stepped from {shown}, which is marked itself",
                f"take the mark off {shown}: it makes the states, and clients call {step.__name__}",
                at=step,
            )
        raise DefinitionError(
            f"{who} is stepped from {shown}, which is not a function of {cls.__name__}",
            "write it in the class, unmarked, and under a name that nothing else takes:   "
            "def start(self, prompt: Prompt) -> State:",
            at=step,
        )
    return found


def _not_in_query(method: Method[Any, Any, Any]) -> str:
    """What of a method's message has no form in a query string; "" when all has."""
    for name, node, _ in method.fields:
        inner = present(node)
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
