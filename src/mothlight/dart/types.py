"""Types: what a node of the tree is in Dart, how it is read out of JSON, written, and defaulted."""

from __future__ import annotations

import datetime
import math
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..schema import (
    Choice,
    Enum,
    ListOf,
    MapOf,
    MediaType,
    Message,
    Node,
    Nothing,
    Nullable,
    Ref,
    Scalar,
)
from . import literals
from .api import Api
from .layout import Assign, Doc, Group, Line, Nest, call, conditional, delimited

_DART = {
    "str": "String",
    "int": "int",
    "float": "double",
    "bool": "bool",
    "bytes": "Uint8List",
    "datetime": "DateTime",
    "date": "DateTime",
    "time": "String",
    "duration": "Duration",
    "uuid": "String",
    "decimal": "String",
}
_READERS = {
    "int": "readInt",
    "float": "readFloat",
    "bool": "readBool",
    "bytes": "readBytes",
    "datetime": "readDateTime",
    "date": "readDate",
    "duration": "readDuration",
}
_WRITERS = {
    "float": "writeFloat",
    "bytes": "writeBytes",
    "datetime": "writeDateTime",
    "date": "writeDate",
    "duration": "writeDuration",
}
_DURATION = TypeAdapter(datetime.timedelta)


class NotConst(Exception):
    """A default that only the server can say."""


class Dart:
    """The Dart of an Api's types."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def type(self, node: Node) -> str:
        """``List<Verdict>``."""
        match node:
            case Scalar(kind):
                return _DART[kind]
            case Choice():
                return "Object?"
            case MediaType():
                return "FileData"
            case ListOf(item):
                return f"List<{self._inner(item)}>"
            case MapOf(value):
                return f"Map<String, {self._inner(value)}>"
            case Nullable(of):
                inner = self._inner(of)
                return inner if inner.endswith("?") else f"{inner}?"
            case Ref(name):
                return self.api.names[name]
            case Nothing():
                return "void"

    def _inner(self, node: Node) -> str:
        return "Object?" if isinstance(node, Nothing) else self.type(node)

    def decoder(self, node: Node) -> Doc:
        """A function that reads it: ``listOf(Verdict.fromJson)``."""
        match node:
            case Scalar(kind):
                return _READERS.get(kind, "readString")
            case Choice():
                return "readAny"
            case MediaType():
                return "readFile"
            case ListOf(item):
                return call("listOf", self._inner_decoder(item))
            case MapOf(value):
                return call("mapOf", self._inner_decoder(value))
            case Nullable(Nothing()):
                return "readAny"
            case Nullable(of):
                return call("nullable", self.decoder(of))
            case Ref(name):
                return f"{self.api.names[name]}.fromJson"
            case Nothing():
                return "readNothing"

    def _inner_decoder(self, node: Node) -> Doc:
        return "readAny" if isinstance(node, Nothing) else self.decoder(node)

    def is_json(self, node: Node) -> bool:
        """Whether its Dart value is its JSON value (files stay what they are)."""
        match node:
            case Scalar(kind):
                return kind not in _WRITERS
            case ListOf(inner) | MapOf(inner) | Nullable(inner):
                return self.is_json(inner)
            case Ref():
                return False
        return True

    def encode(self, node: Node, name: str, *, promoted: bool = False, depth: int = 0) -> Doc:
        """The JSON of the value that ``name`` is; ``promoted``: a null check of it counts."""
        if self.is_json(node):
            return name
        variable = f"item{depth + 1 if depth else ''}"
        if variable == name:
            variable = "each"
        match node:
            case Scalar(kind):
                return call(_WRITERS[kind], name)
            case Ref():
                return f"{name}.toJson()"
            case ListOf(item):
                inner = self.encode(item, variable, promoted=True, depth=depth + 1)
                head = f"for (final {variable} in {name})"
                return delimited("[", [Group((head, Nest(2, (Line(), inner))))], "]")
            case MapOf(value):
                head = f"for (final {variable} in {name}.entries)"
                inner = self.encode(value, f"{variable}.value", depth=depth + 1)
                entry = (f"{variable}.key", Assign(":", inner, _hug(inner)))
                return delimited("{", [Group((head, Nest(2, (Line(), entry))))], "}")
            case Nullable(Ref()):
                return f"{name}?.toJson()"
            case Nullable(of):
                inner = self.encode(of, name if promoted else f"{name}!", depth=depth)
                return conditional(f"{name} == null", "null", inner)
        raise AssertionError(node)

    # Defaults

    def default(self, node: Node, value: Any) -> tuple[Doc, bool]:
        """The expression of a default, without ``const``, and whether it is constant.
        Raises NotConst where Dart cannot say it."""
        match node, value:
            case Nullable(of), _:
                return ("null", True) if value is None else self.default(of, value)
            case ListOf(item), list():
                found = [self.default(item, one) for one in value]
                return delimited("[", [doc for doc, _ in found], "]"), all(c for _, c in found)
            case MapOf(inner), dict():
                pairs = [(key, *self.default(inner, one)) for key, one in value.items()]
                docs = [(literals.string(key), Assign(":", doc, "always")) for key, doc, _ in pairs]
                return delimited("{", docs, "}"), all(const for _, _, const in pairs)
            case Ref(name), _:
                return self._named_default(name, value)
            case Scalar(kind), _:
                return _scalar_default(kind, value)
            case Nothing(), None:
                return "null", True
        raise NotConst

    def _named_default(self, name: str, value: Any) -> tuple[Doc, bool]:
        named, dart = self.api.types[name], self.api.names[name]
        if isinstance(named, Enum):
            for member, wire in named.members.items():
                if type(wire) is type(value) and wire == value:
                    return f"{dart}.{self.api.members[name][member]}", True
            raise NotConst
        if not isinstance(value, dict):
            raise NotConst
        if isinstance(named, Message) and not named.fields:
            return f"{dart}()", True
        if not _is_sayable(value):
            raise NotConst
        return call(f"{dart}.fromJson", ("const ", literals.value(value))), False


def _is_sayable(value: Any) -> bool:
    """Whether Dart on the web has literals for all that is in a JSON value."""
    if isinstance(value, (dict, list)):
        return all(map(_is_sayable, value.values() if isinstance(value, dict) else value))
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) <= literals.SAFE_INT


def _hug(doc: Doc) -> Any:
    return "never" if isinstance(doc, Group) and _is_conditional(doc) else "always"


def _is_conditional(doc: Group) -> bool:
    return isinstance(doc.doc, tuple) and len(doc.doc) == 2 and isinstance(doc.doc[1], Nest)


def _scalar_default(kind: str, value: Any) -> tuple[Doc, bool]:
    match kind, value:
        case "str" | "uuid" | "decimal" | "time", str():
            return literals.string(value), True
        case "bool", bool():
            return literals.number(value), True
        case "int", int() if abs(value) <= literals.SAFE_INT and not isinstance(value, bool):
            return literals.number(value), True
        case "float", "NaN":
            return "double.nan", True
        case "float", "Infinity":
            return "double.infinity", True
        case "float", "-Infinity":
            return "double.negativeInfinity", True
        case "float", int() | float() if math.isfinite(value) and not isinstance(value, bool):
            return literals.number(float(value)), True
        case "bytes", str():
            return call("readBytes", literals.string(value)), False
        case "datetime", str():
            return call("readDateTime", literals.string(value)), False
        case "date", str():
            return call("readDate", literals.string(value)), False
        case "duration", str() | int() | float():
            return _duration(value), True
    raise NotConst


def _duration(value: Any) -> Doc:
    try:
        span = _DURATION.validate_python(value)
    except ValidationError:
        raise NotConst from None
    micros = span // datetime.timedelta(microseconds=1)
    for unit, size in (
        ("days", 86_400_000_000),
        ("hours", 3_600_000_000),
        ("minutes", 60_000_000),
        ("seconds", 1_000_000),
        ("milliseconds", 1000),
    ):
        if micros % size == 0 and micros:
            return f"Duration({unit}: {micros // size})"
    return "Duration.zero" if micros == 0 else f"Duration(microseconds: {micros})"


def const(doc: Doc) -> Doc:
    """A constant, spelled as one: ``const []``."""
    needs = isinstance(doc, Group) or (isinstance(doc, tuple) and bool(doc))
    if isinstance(doc, str):
        needs = doc[:1] in "[{" or (doc.endswith(")") and doc[:1].isupper())
    return ("const ", doc) if needs else doc
