"""Reads Python type hints into the neutral tree, and says what to write where it cannot."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import inspect
import math
import re
import types
import typing
import uuid
from collections import abc
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo
from pydantic_core import to_jsonable_python

from ..errors import DefinitionError
from ..media.file import Media
from ..media.limits import Limits
from .fields import Entry, entries, unknown
from .serializers import Serializer, check_metadata, check_returned, returned
from .tree import (
    Choice,
    Enum,
    Field,
    Kind,
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
    Types,
    Union,
    present,
)

SCALARS: dict[Any, Kind] = {
    str: "str",
    int: "int",
    float: "float",
    bool: "bool",
    bytes: "bytes",
    datetime.datetime: "datetime",
    datetime.date: "date",
    datetime.time: "time",
    datetime.timedelta: "duration",
    uuid.UUID: "uuid",
    decimal.Decimal: "decimal",
}
LISTS = (list, tuple, set, frozenset, abc.Sequence, abc.Set)
MAPS = (dict, abc.Mapping, abc.MutableMapping)
RULES = (
    "min_length",
    "max_length",
    "pattern",
    "ge",
    "gt",
    "le",
    "lt",
    "multiple_of",
    "allow_inf_nan",
)


class Reader:
    """Collects the named types that it meets in ``types``."""

    def __init__(self) -> None:
        self.types: Types = {}
        self._sources: dict[str, Any] = {}
        self._open: dict[Any, int] = {}  # what has no name of its own → the names known before it

    def read(self, hint: Any, where: str, metadata: Iterable[Any] = (), at: Any = None) -> Node:
        """The node of a type hint. ``where`` names it in an error, ``at`` is the user's class or
        function whose line the error shows."""
        metadata = list(metadata)
        while get_origin(hint) is Annotated:
            hint, *inner = get_args(hint)
            metadata = [*inner, *metadata]
        check_metadata(metadata, where, at)
        written = [m for m in metadata if isinstance(m, Serializer)]
        others = [m for m in metadata if not isinstance(m, Serializer)]
        node = self._read(hint, where, others, at)
        for serializer in written:
            check_returned(self._returned(serializer, where), node, where, at)
        return node

    def _returned(self, serializer: Serializer, where: str) -> Node | None:
        try:
            return self.read(returned(serializer), where)
        except DefinitionError:
            return None

    def _read(self, hint: Any, where: str, metadata: list[Any], at: Any) -> Node:
        if hasattr(hint, "__value__"):  # type Score = float   (Python 3.12)
            return self._nameless(hint, hint.__value__, where, metadata, at)
        origin, args = get_origin(hint), get_args(hint)
        rules = _rules(metadata)
        if hint is None or hint is type(None):
            return Nothing()
        if isinstance(hint, type) and issubclass(hint, Media):
            limits = next((m for m in metadata if isinstance(m, Limits)), hint.default_limits())
            return MediaType(typing.cast("Any", hint.kind), limits)
        if hint in SCALARS:
            return _scalar(SCALARS[hint], rules)
        if origin is Literal:
            return Choice(_literals(hint, where, at))
        if origin in (typing.Union, types.UnionType):
            return self._union(args, where, metadata, at)
        if isinstance(hint, typing.NewType):
            return self.read(hint.__supertype__, where, metadata, at)
        if hint in MAPS or origin in MAPS:
            return self._map(args, where, rules, at)
        if hint in LISTS or origin in LISTS:
            return self._list(hint, origin, args, where, rules, at)
        if isinstance(hint, type):
            return self._class(hint, where, metadata, at)
        raise _unreadable(hint, where, at)

    # Containers

    def _list(self, hint: Any, origin: Any, args: Any, where: str, rules: Any, at: Any) -> Node:
        fixed = origin is tuple and not (len(args) == 2 and args[1] is ...)
        if not args or fixed:
            raise DefinitionError(
                f"{where} is {_shown(hint)}: its items have no names or types",
                "write   list[float]   or a message with named fields",
                at=at,
            )
        unique = origin in (set, frozenset, abc.Set)
        item = self.read(args[0], f"an item of {where}", (), at)
        if unique and not self._is_value(args[0], item):
            name = getattr(_unannotated(args[0]), "__name__", "Item")
            raise DefinitionError(
                f"{where} is {_shown(hint)}, a set of what is no single value",
                f"write   list[{name}]   for clients cannot compare such items",
                at=at,
            )
        return ListOf(item, rules, unique)

    def _is_value(self, hint: Any, node: Node) -> bool:
        """Whether items can stand in a set, here and in clients."""
        hint = _unannotated(hint)
        classes = map(_unannotated, (hint, *get_args(hint)))
        if any(isinstance(cls, type) and issubclass(cls, RootModel) for cls in classes):
            return False
        node = present(node)
        named = isinstance(node, Ref) and isinstance(self.types[node.name], Enum)
        return named or isinstance(node, Scalar | Choice)

    def _map(self, args: Any, where: str, rules: Any, at: Any) -> Node:
        key = args[0] if args else None
        if _unannotated(key) is not str:
            raise DefinitionError(
                f"{where} is a map without str keys", "write   dict[str, float]", at=at
            )
        return MapOf(self.read(args[1], f"a value of {where}", (), at), rules)

    def _union(self, args: Any, where: str, metadata: list[Any], at: Any) -> Node:
        rest = [arg for arg in args if arg is not type(None)]
        if len(rest) < len(args):
            inner = rest[0] if len(rest) == 1 else typing.Union[tuple(rest)]  # noqa: UP007
            return Nullable(self.read(inner, where, metadata, at))
        variants = [self.read(arg, where, (), at) for arg in rest]
        tagged = [
            self.types[v.name]
            for v in variants
            if isinstance(v, Ref) and isinstance(self.types.get(v.name), Message)
        ]
        if len(tagged) < len(variants):
            names = " | ".join(_shown(arg) for arg in rest)
            raise DefinitionError(
                f"{where} is {names}: only messages can be told apart on the wire",
                'make each a message with a tag:   kind: Literal["text"]',
                at=at,
            )
        messages = typing.cast("list[Message]", tagged)
        infos = [m for m in metadata if isinstance(m, FieldInfo)]
        said = next((i.discriminator for i in infos if i.discriminator), None)
        tag, mapping = self._tag(messages, said, where, at)
        name = "Or".join(message.name for message in messages)
        wanted = next((i.title for i in infos if i.title), None)
        return self._name(Union(wanted or name, tag, mapping), (tag, tuple(mapping.items())), at)

    def _tag(
        self, messages: list[Message], said: Any, where: str, at: Any
    ) -> tuple[str, dict[str, str]]:
        first, respelled = messages[0], None
        for candidate in sorted(first.fields, key=lambda field: field.name != said):
            mapping: dict[str, str] = {}
            for message in messages:
                match = next((f for f in message.fields if f.name == candidate.name), None)
                if match is None or not isinstance(match.type, Choice):
                    break
                if match.wire != candidate.wire:
                    respelled = DefinitionError(
                        f"{where} is told by {match.name}, which is called {candidate.wire!r} in "
                        f"{first.name} and {match.wire!r} in {message.name}",
                        "give it one name on the wire:   "
                        f'{match.name}: Literal[...] = Field(alias="{candidate.wire}")',
                        at=at,
                    )
                    break
                values = [str(value) for value in match.type.values]
                if not mapping.keys().isdisjoint(values):
                    break
                mapping.update(dict.fromkeys(values, message.name))
            else:
                return candidate.wire, mapping
        names = ", ".join(message.name for message in messages)
        raise respelled or DefinitionError(
            f"{where} is one of {names}, and no field tells which",
            f'give each a tag:   kind: Literal["{messages[0].name.lower()}"]'
            f'   kind: Literal["{messages[1].name.lower()}"]',
            at=at,
        )

    # Named types

    def _class(self, hint: type, where: str, metadata: list[Any], at: Any) -> Node:
        if issubclass(hint, enum.Enum):
            return self._name(Enum(hint.__name__, _members(hint), _doc(hint)), hint, at)
        if issubclass(hint, RootModel):
            (root,) = entries(hint, at)
            return self._nameless(hint, root.hint, where, [*root.metadata, *metadata], at)
        name = re.sub(r"\W+(\w?)", lambda m: m[1].upper(), hint.__name__)  # Page[int]: PageInt
        if self._sources.get(name) is hint:
            return Ref(name)
        if issubclass(hint, BaseModel) or dataclasses.is_dataclass(hint):
            return self._message(name, hint, list(entries(hint, at)), at)
        raise _unreadable(hint, where, at)

    def _nameless(self, hint: Any, inner: Any, where: str, metadata: list[Any], at: Any) -> Node:
        """What a RootModel or an alias holds; only by way of a named type may that be itself."""
        if self._open.get(hint) == len(self._sources):
            raise DefinitionError(
                f"{hint.__name__} holds itself, and only a message can",
                f"write   class {hint.__name__}(BaseModel): children: list[{hint.__name__}] = []",
                at=hint,
            )
        self._open[hint] = len(self._sources)
        node = self.read(inner, where, metadata, at)
        self._open.pop(hint, None)
        return node

    def _message(self, name: str, cls: type, found: list[Entry], at: Any) -> Node:
        # Page[int] is made, Page stands in a file.
        source = getattr(cls, "__pydantic_generic_metadata__", {}).get("origin") or cls

        def read(e: Entry) -> Field:
            node = self.read(e.hint, f"{cls.__name__}.{e.name}", e.metadata, source)
            return Field(e.name, e.wire, node, e.required, e.default, e.doc, e.deprecated)

        wires = [e.wire for e in found]
        if twice := next((wire for wire in wires if wires.count(wire) > 1), None):
            raise DefinitionError(
                f"two fields of {cls.__name__} are called {twice!r} on the wire",
                "give one of them another alias",
                at=source,
            )
        tags = tuple(read(e) for e in found if _is_literal(e.hint))
        # A placeholder: the type may contain itself, also in a union, which asks for its tag.
        self._name(Message(name, tags), cls, at)
        fields = tuple(map(read, found))
        self.types[name] = Message(name, fields, _doc(cls))
        return Ref(name)

    def _name(self, named: Named, source: Any, at: Any) -> Ref:
        known = self._sources.setdefault(named.name, source)
        if known != source:
            raise DefinitionError(
                f"two types are called {named.name}: {_shown(known)} and {_shown(source)}",
                "rename one; on the wire and in Dart a name means one type",
                at=at,
            )
        self.types.setdefault(named.name, named)
        return Ref(named.name)


def _is_literal(hint: Any) -> bool:
    return get_origin(_unannotated(hint)) is Literal


def _unannotated(hint: Any) -> Any:
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    return hint


def _members(cls: type[enum.Enum]) -> dict[str, Any]:
    """The members of an enum as they are on the wire."""
    mend = f'write   class {cls.__name__}(Enum): RED = "red"'
    if issubclass(cls, enum.Flag):
        what = "is a flag, and what is made of two of its members has no name"
        mend = f"make it an Enum, and take several in a set:   set[{cls.__name__}]"
        raise DefinitionError(f"{cls.__name__} {what}", mend, at=cls)
    members = {member.name: member.value for member in cls}
    if not members:
        raise DefinitionError(f"{cls.__name__} has no members", mend, at=cls)
    for name, value in members.items():
        is_real = isinstance(value, float) and math.isfinite(value)
        if not (is_real or value is None or isinstance(value, str | int)):
            raise DefinitionError(
                f"{cls.__name__}.{name} is {value!r}; from the wire come strings and numbers alone",
                mend,
                at=cls,
            )
    return {name: to_jsonable_python(value) for name, value in members.items()}


def _scalar(kind: Kind, rules: Mapping[str, Any]) -> Scalar:
    rules = dict(rules)
    not_finite = rules.pop("allow_inf_nan", None)
    if kind == "float" and not_finite:
        rules["finite"] = False
    return Scalar(kind, rules)


def _rules(metadata: Iterable[Any]) -> dict[str, Any]:
    """The constraints in Annotated metadata: annotated_types, StringConstraints and pydantic's."""
    found: dict[str, Any] = {}
    for entry in metadata:
        if isinstance(entry, FieldInfo):
            found.update(_rules(entry.metadata))
            continue
        inner = entry.__dict__ if hasattr(entry, "__dict__") else {}
        for name in RULES:
            value = inner.get(name, getattr(entry, name, None))
            if value is not None and not callable(value):
                found[name] = getattr(value, "pattern", to_jsonable_python(value, fallback=str))
    return found


def _doc(cls: type) -> str:
    own = cls.__dict__.get("__doc__") or ""
    if own.startswith(f"{cls.__name__}(") or (issubclass(cls, enum.Enum) and not own):
        return ""  # what dataclass() writes of itself
    return inspect.cleandoc(own)


def _literals(hint: Any, where: str, at: Any) -> tuple[Any, ...]:
    """The values of a literal as they are on the wire."""
    found = []
    for value in get_args(hint):
        # Pydantic finds a member by its JSON value only where it is equal to that.
        is_equal = isinstance(value, enum.Enum) and isinstance(value, str | int)
        found.append(value.value if is_equal else value)
    if any(type(value) not in (str, int, bool, type(None)) for value in found):
        raise DefinitionError(
            f"{where} is {_shown(hint)}: from the wire come strings and numbers alone",
            'write the values   Literal["left", "right"]   or members of a StrEnum or an IntEnum',
            at=at,
        )
    return tuple(found)


def _shown(hint: Any) -> str:
    if isinstance(hint, type) and not get_args(hint):
        return f"{hint.__module__}.{hint.__qualname__}".removeprefix("builtins.")
    return str(hint).replace("typing.", "")


def _unreadable(hint: Any, where: str, at: Any) -> DefinitionError:
    if isinstance(hint, typing.ForwardRef):
        return unknown(f"{where}: the type {hint.__forward_arg__!r}", at)
    if type(hint).__name__ == "PydanticRecursiveRef":
        return DefinitionError(
            f"{where} is its own generic class again, which pydantic does not resolve",
            "write it out for one type:   class IntPage(BaseModel): next: IntPage | None = None",
            at=at,
        )
    shown = _shown(hint)
    if "ndarray" in shown or "Tensor" in shown:
        mend = "return numbers as list[float] (x.tolist()), or raw values as bytes (x.tobytes())"
    elif shown.startswith("PIL."):
        mend = "write   mothlight.Image   (it is a PIL image)"
    elif hint in (Any, object) or isinstance(hint, typing.TypeVar):
        mend = "a phone needs a type: write a pydantic model, or dict[str, float], or str"
    else:
        mend = "write a pydantic model or a dataclass:   class Review(BaseModel): text: str"
    return DefinitionError(f"{where} is {shown}, which has no form on the wire", mend, at=at)
