"""The classes of a contract's types and errors: pydantic models, enums, exceptions."""

from __future__ import annotations

import dataclasses
import enum
import string
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, ForwardRef, Literal, Optional

from pydantic import BaseModel, ConfigDict, Field, create_model, model_serializer

from .. import errors as built_in
from ..errors import Code, Error
from ..media import File, FileLimits
from ..media.limits import Limits
from ..schema import (
    Choice,
    Enum,
    ListOf,
    MapOf,
    MediaType,
    Message,
    Named,
    Node,
    Nothing,
    Nullable,
    Ref,
    Scalar,
    Shape,
    Types,
    Union,
)
from ..schema import Field as TreeField
from ..schema.document import read_node
from ..schema.reader import SCALARS

_PYTHON: dict[str, Any] = {kind: cls for cls, kind in SCALARS.items()}
_BUILT_IN = {cls.__name__: cls for cls in built_in.BUILT_IN}


def fitted(named: Named) -> Named:
    """A named type with the fields that a pydantic model can have."""
    if not isinstance(named, Message):
        return named
    return dataclasses.replace(named, fields=tuple(map(_fitted, named.fields)))


def _fitted(field: TreeField) -> TreeField:
    name, node, default = field.name, field.type, field.default
    if name.startswith("_") or hasattr(BaseModel, name):  # a dataclass may have such names
        name = name.strip("_") + "_"
    if not field.required and getattr(node, "kind", "") == "bytes":
        default = ...
    if not field.required and default is ...:
        node = node if isinstance(node, Nullable) else Nullable(node)
    return dataclasses.replace(field, name=name, type=node, default=default)


# Classes


class Record(BaseModel):
    """A message made of a contract."""

    model_config = ConfigDict(populate_by_name=True, protected_namespaces=())
    _by_server: ClassVar[dict[str, str]] = {}  # wire names of fields whose default only it knows

    @model_serializer(mode="wrap")
    def _without_unset(self, handler: Any) -> dict[str, Any]:
        dumped: dict[str, Any] = handler(self)
        for name, wire in self._by_server.items():
            if name not in self.model_fields_set:
                dumped.pop(wire, None)
                dumped.pop(name, None)
        return dumped


class Models:
    """The classes of a contract's types."""

    def __init__(self, tree: Types) -> None:
        self.tree = tree
        self.classes: dict[str, type] = {}
        messages = [named for named in tree.values() if isinstance(named, Message)]
        for named in tree.values():
            if isinstance(named, Enum):
                self.classes[named.name] = _enum(named)
        # A message may contain itself, or one that comes after it: fields refer to each other by
        # names that no builtin and no module has, and are resolved when all are there.
        made: dict[str, type[Record]] = {m.name: self._message(m) for m in messages}
        self.classes.update(made)
        namespace = {_forward(name): cls for name, cls in made.items()}
        for cls in made.values():
            cls.model_rebuild(_types_namespace=namespace)

    def shape(self, node: Node) -> Shape[Any]:
        """A node with the functions that carry it over the wire."""
        return Shape(self.hint(node), node, self.tree)

    def hint(self, node: Node) -> Any:
        """The Python type of a node; of a message that is not yet made, a reference to it."""
        match node:
            case Scalar(kind):
                return _PYTHON[kind]
            case Choice(values):
                return Literal[values]
            case Nothing():
                return None
            case MediaType(kind, limits):
                return _media(kind, limits)
            case Nullable(of):
                return Optional[self.hint(of)]  # noqa: UP045
            case ListOf(item, _, unique):
                inner = self.hint(item)
                return set[inner] if unique else list[inner]  # type: ignore[valid-type]
            case MapOf(value):
                inner = self.hint(value)
                return dict[str, inner]  # type: ignore[valid-type]
            case Ref(name):
                return self._ref(name)

    def _ref(self, name: str) -> Any:
        named = self.tree[name]
        if not isinstance(named, Union):
            return self.classes.get(name) or ForwardRef(_forward(name))
        variants = [self._ref(variant) for variant in dict.fromkeys(named.variants.values())]
        first = typing.cast("Message", self.tree[next(iter(named.variants.values()))])
        tag = next(field.name for field in first.fields if field.wire == named.tag)
        if len(variants) == 1:
            return variants[0]
        return Annotated[typing.Union[tuple(variants)], Field(discriminator=tag)]  # noqa: UP007

    def _message(self, message: Message) -> type[Record]:
        fields: dict[str, Any] = {}
        by_server: dict[str, str] = {}
        for field in message.fields:
            info: dict[str, Any] = {"description": field.doc or None}
            if field.wire != field.name:
                info["alias"] = field.wire
            if not field.required and field.default is ...:
                by_server[field.name] = field.wire
                info["default"] = None
            elif not field.required:
                info |= {"default": field.default, "validate_default": True}
            fields[field.name] = (self.hint(field.type), Field(**info))
        cls = create_model(
            message.name, __base__=Record, __doc__=message.doc, __module__=MODULE, **fields
        )
        cls._by_server = by_server
        return cls


MODULE = "mothlight.contract"
"""The module that made classes claim; there is none, so that no name of ours is mixed in."""


def _forward(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{name!r} is no name of a type")
    return f"mothlight_contract_{name}"


def _enum(named: Enum) -> type[enum.Enum]:
    values = list(named.members.values())
    base: Any = enum.Enum
    if all(isinstance(value, str) for value in values):
        base = enum.StrEnum
    elif all(type(value) is int for value in values):
        base = enum.IntEnum
    made: type[enum.Enum] = base(named.name, dict(named.members), module=MODULE)
    made.__doc__ = named.doc
    return made


def _media(kind: str, limits: Limits) -> Any:
    from .. import media

    try:
        if kind == "image":
            return Annotated[media.Image, limits]
        if kind == "audio":
            return Annotated[media.Audio, limits]
    except ImportError:  # without the extra, a picture is a file: bytes that can be sent and kept
        limits = FileLimits(max_bytes=limits.max_bytes)
    return Annotated[File, limits]


def error_class(name: str, described: Mapping[str, Any], models: Models) -> type[Error]:
    """The exception of a declared error; of a built-in one, that itself."""
    if name in _BUILT_IN:
        return _BUILT_IN[name]
    body: dict[str, Any] = {
        "__module__": MODULE,
        "__annotations__": {},
        "code": Code(described["code"]),
        "status": int(described["status"]),
    }
    for field in described["fields"]:
        hint = models.hint(read_node(field["type"]))
        if not field["required"]:
            hint, body[field["name"]] = Optional[hint], None  # noqa: UP045
        body["__annotations__"][field["name"]] = hint
    body["__doc__"] = _template(str(described.get("doc", "")), body["__annotations__"])
    return types.new_class(name, (Error,), {}, lambda namespace: namespace.update(body))


def _template(doc: str, fields: Mapping[str, Any]) -> str:
    """An error's message. It comes from elsewhere and str.format does what it says, so that it may
    name fields and nothing more."""
    try:
        plain = all(
            name is None or (name in fields and len(spec or "") <= 5)
            for _, name, spec, _ in string.Formatter().parse(doc)
        )
    except ValueError:
        plain = False
    return doc if plain else doc.replace("{", "{{").replace("}", "}}")
