"""A service on the client's side: an object whose attributes call the server's methods."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..errors import InvalidRequest
from ..services import Method
from .body import ABSENT
from .errors import UnknownName


class Caller(Protocol):
    """A client, synchronous or not."""

    def call(self, method: Any, message: Any = ...) -> Any: ...
    def stream(self, method: Any, message: Any = ...) -> Any: ...


class Described(Protocol):
    """A service, read off its class or off a contract."""

    @property
    def name(self) -> str: ...
    @property
    def doc(self) -> str: ...
    @property
    def methods(self) -> Mapping[str, Method[Any, Any, Any]]: ...


class Stub:
    """``stub.analyze(Review(text="fine"))``, ``stub.analyze({"text": "fine"})`` and
    ``stub.analyze(text="fine")`` are the same call."""

    def __init__(self, client: Caller, service: Described) -> None:
        self._client, self._service = client, service
        self.__doc__ = service.doc

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return bind(self._client, self._service, name)

    def __dir__(self) -> list[str]:
        return list(self._service.methods)

    def __repr__(self) -> str:
        return f"<{self._service.name} of {self._client!r}>"


def bind(client: Caller, service: Described, name: str) -> Callable[..., Any]:
    """A method as a function that calls it; UnknownName where the service has none such."""
    method = service.methods.get(name)
    if method is None:
        raise unknown(service.name, name, service.methods)
    call = client.stream if method.cardinality.streams_out else client.call

    def function(*args: Any, **fields: Any) -> Any:
        return call(method, _message(method, args, fields))

    function.__name__, function.__qualname__ = name, f"{service.name}.{name}"
    function.__doc__ = method.doc
    function.__method__ = method  # type: ignore[attr-defined]
    return function


def described(method: Any) -> Any:
    """The method that a stub's function calls; a method itself as it is. By its type a stub is its
    service, and so ``client.begin(client.of(Sentiment).analyze)`` must be what it seems."""
    return getattr(method, "__method__", method)


def unknown(owner: str, name: str, known: Mapping[str, Any]) -> UnknownName:
    """The error of a name that is not there; the nearest ones stand first."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    names = near or sorted(known)[:10]
    return UnknownName(owner=owner, missing=name, known=", ".join(names) or "nothing")


def _message(method: Method[Any, Any, Any], args: tuple[Any, ...], fields: dict[str, Any]) -> Any:
    if len(args) + bool(fields) > 1:
        what = "takes one message, or its fields by name"
        raise InvalidRequest(errors=[{"path": method.name, "message": what}])
    if args:
        return args[0]
    if not fields:
        return ABSENT
    return (
        fields[method.parameter] if method.is_bare and set(fields) == {method.parameter} else fields
    )
