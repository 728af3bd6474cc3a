"""The neutral tree: what a message is, said without Python, Dart, JSON Schema or protobuf.

Named types (Message, Enum, Union) stand once in ``Types`` and are pointed at by ``Ref``, so that a
type may contain itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal

from pydantic import RootModel

from ..media.limits import Limits

Kind = Literal[
    "str",
    "int",
    "float",
    "bool",
    "bytes",
    "datetime",
    "date",
    "time",
    "duration",
    "uuid",
    "decimal",
]
Json = Any


@dataclass(frozen=True)
class Scalar:
    """One value. ``rules``: min_length, max_length, pattern, ge, gt, le, lt, multiple_of, and
    ``finite=False`` for a float that may be NaN or infinite (then a string on the wire, as in
    proto3's JSON mapping)."""

    kind: Kind
    rules: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """One of some literal values (``Literal["a", "b"]``)."""

    kind: ClassVar[str] = "literal"
    values: tuple[Json, ...]


@dataclass(frozen=True)
class MediaType:
    """A file field: ``image``, ``audio`` or ``file``, with its limits."""

    kind: Literal["image", "audio", "file"]
    limits: Limits


@dataclass(frozen=True)
class ListOf:
    kind: ClassVar[str] = "list"
    item: Node
    rules: Mapping[str, Json] = field(default_factory=dict)
    unique: bool = False


@dataclass(frozen=True)
class MapOf:
    kind: ClassVar[str] = "map"
    value: Node
    rules: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Nullable:
    kind: ClassVar[str] = "nullable"
    of: Node


@dataclass(frozen=True)
class Nothing:
    """No value: a method that returns None."""

    kind: ClassVar[str] = "nothing"


@dataclass(frozen=True)
class Ref:
    """A named type."""

    kind: ClassVar[str] = "ref"
    name: str


Node = Scalar | Choice | MediaType | ListOf | MapOf | Nullable | Nothing | Ref


@dataclass(frozen=True)
class Field:
    """``name`` in Python, ``wire`` in JSON; ``default`` counts where ``required`` is false, and is
    a JSON value, or ``...`` where only Python knows it (a default factory). ``deprecated``: what to
    do instead; "" where it is not."""

    name: str
    wire: str
    type: Node
    required: bool
    default: Json = None
    doc: str = ""
    deprecated: str = ""


@dataclass(frozen=True)
class Message:
    kind: ClassVar[str] = "message"
    name: str
    fields: tuple[Field, ...]
    doc: str = ""


@dataclass(frozen=True)
class Enum:
    kind: ClassVar[str] = "enum"
    name: str
    members: Mapping[str, Json]
    doc: str = ""


@dataclass(frozen=True)
class Union:
    """Tagged: ``variants`` maps the value of the field ``tag`` to a message's name."""

    kind: ClassVar[str] = "union"
    name: str
    tag: str
    variants: Mapping[str, str]
    doc: str = ""


Named = Message | Enum | Union
Types = dict[str, Named]


def describe(thing: Node | Named | Field) -> dict[str, Json]:
    """The JSON form of a part of the tree, as ``/contract`` shows it; empty members left out."""
    out: dict[str, Json] = {}
    if not isinstance(thing, Field):
        out["kind"] = thing.kind
    for entry in fields(thing):
        value = getattr(thing, entry.name)
        if entry.name == "kind" or (value in ("", None, {}) and entry.name != "default"):
            continue
        match value:
            case Limits():
                out.update(_limits(value))
            case tuple() if value and isinstance(value[0], Field):
                out[entry.name] = [describe(item) for item in value]
            case tuple():
                out[entry.name] = list(value)
            case Mapping():
                out.update(value) if entry.name == "rules" else out.update(
                    {entry.name: dict(value)}
                )
            case _ if isinstance(value, Node):
                out[entry.name] = describe(value)
            case _:
                out[entry.name] = value
    if isinstance(thing, Field):
        if thing.required or thing.default is ...:
            del out["default"]
        if thing.wire == thing.name:
            del out["wire"]
    return out


def _limits(limits: Limits) -> dict[str, Json]:
    return {
        name: sorted(value) if isinstance(value, (set, frozenset)) else value
        for name, value in vars(limits).items()
        if value is not None and value != frozenset()
    }


def tag_attribute(union: Union, types: Types) -> str:
    """The name in Python of a union's tag, which an alias may spell otherwise on the wire."""
    message = types[next(iter(union.variants.values()))]
    fields_ = message.fields if isinstance(message, Message) else ()
    return next((f.name for f in fields_ if f.wire == union.tag), union.tag)


def present(node: Node) -> Node:
    """The type of a value that is there: without its Nullable."""
    return node.of if isinstance(node, Nullable) else node


def leaves(node: Node, value: Any, types: Types, path: str = "") -> Iterator[tuple[Any, Any, str]]:
    """(leaf node, value, path) of each scalar and file in a message."""
    while isinstance(value, RootModel):  # its node is that of its root
        value = value.root
    match node:
        case Scalar() | Choice() | MediaType() | Nothing():
            yield node, value, path
        case Nullable(of):
            if value is not None:
                yield from leaves(of, value, types, path)
        case ListOf(item):
            for index, element in enumerate(value):
                yield from leaves(item, element, types, f"{path}[{index}]")
        case MapOf(of):
            for key, element in value.items():
                yield from leaves(of, element, types, f"{path}.{key}" if path else str(key))
        case Ref(name):
            named = types[name]
            if isinstance(named, Union):
                tag = getattr(value, tag_attribute(named, types))
                named = types[named.variants[str(getattr(tag, "value", tag))]]
            if isinstance(named, Message):
                for entry in named.fields:
                    inner = f"{path}.{entry.wire}" if path else entry.wire
                    yield from leaves(entry.type, getattr(value, entry.name), types, inner)
