"""Api: a contract with the names that everything in it has in Dart."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..methods import Cardinality
from ..schema import (
    Choice,
    Enum,
    Field,
    ListOf,
    MapOf,
    Message,
    Node,
    Nothing,
    Nullable,
    Ref,
    Types,
    Union,
    present,
)
from ..schema.document import read_named, read_node
from . import names
from .names import Scope, lower_camel, upper_camel

VERSION = 1


class Unreadable(Exception):
    """A contract that no package can be made of; the message says why."""


@dataclass(frozen=True)
class MethodPlan:
    """A method. ``node`` and ``result`` have enums for literals, ``wire_node`` has not."""

    name: str
    wire: str
    doc: str
    deprecated: str
    cardinality: str
    verb: str
    path: str
    parameter: str
    wire_parameter: str
    node: Node
    wire_node: Node
    result: Node
    default: Any
    errors: tuple[str, ...]

    @property
    def streams_in(self) -> bool:
        return self.cardinality in ("client_stream", "duplex")

    @property
    def streams_out(self) -> bool:
        return self.cardinality in ("server_stream", "duplex")


@dataclass(frozen=True)
class ServicePlan:
    """A service, and the names of what is made for it."""

    wire: str
    doc: str
    hash: str
    member: str
    api: str
    client: str
    methods_name: str
    fake: str
    limits: str
    methods: tuple[MethodPlan, ...]


@dataclass(frozen=True)
class ErrorPlan:
    """A declared error: (name in Dart, name on the wire, type, required) of its fields."""

    name: str
    wire: str
    doc: str
    fields: tuple[tuple[str, str, Node, bool], ...]


@dataclass
class Api:
    """``types`` are the named types, those of literals included (``wire_types``: those of the
    contract, which has literals); ``names`` are their classes."""

    package: str
    command: str
    types: Types = field(default_factory=dict)
    wire_types: Types = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    fields: dict[str, dict[str, str]] = field(default_factory=dict)
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    limits: dict[str, str] = field(default_factory=dict)
    services: list[ServicePlan] = field(default_factory=list)
    errors: dict[str, ErrorPlan] = field(default_factory=dict)
    hash: str = ""
    all: str = ""

    def message(self, node: Node) -> Message | None:
        """The message that a node is; None where it is no message."""
        named = self.types.get(node.name) if isinstance(node, Ref) else None
        return named if isinstance(named, Message) else None

    def unions_of(self, message: str) -> list[str]:
        """The unions that a message is a variant of."""
        return [
            name
            for name, named in self.types.items()
            if isinstance(named, Union) and message in named.variants.values()
        ]

    def tags(self, union: Union) -> dict[str, list[Any]]:
        """The values of the tag by the variants that they mean."""
        found: dict[str, list[Any]] = {}
        for variant in dict.fromkeys(union.variants.values()):
            message = self.types[variant]
            assert isinstance(message, Message)
            tag = next((f for f in message.fields if f.wire == union.tag), None)
            values = self._values(tag.type) if tag else []
            found[variant] = [v for v in values if union.variants.get(str(v)) == variant]
        return found

    def _values(self, node: Node) -> list[Any]:
        match present(node):
            case Choice(values):
                return list(values)
            case Ref(name) if isinstance(enum := self.types.get(name), Enum):
                return list(enum.members.values())
        return []

    def taken_in(self) -> set[str]:
        """The messages that methods take, with all that stands in them."""
        found: set[str] = set()
        todo = [method.node for service in self.services for method in service.methods]
        while todo:
            for name in refs(todo.pop()):
                if name not in found:
                    found.add(name)
                    todo += children(self.types[name])
        return found


def refs(node: Node) -> Iterator[str]:
    """The named types that a node points at."""
    match node:
        case Ref(name):
            yield name
        case Nullable(inner) | ListOf(inner) | MapOf(inner):
            yield from refs(inner)


def children(named: Any) -> list[Node]:
    """The types of a named type's parts."""
    match named:
        case Message(fields=fields):
            return [entry.type for entry in fields]
        case Union(variants=variants):
            return [Ref(name) for name in dict.fromkeys(variants.values())]
    return []


def read(document: Mapping[str, Any], package: str, command: str) -> Api:
    """The Api of a contract. Raises Unreadable, or what a lookup raises."""
    version = document.get("mothlight")
    if version != VERSION:
        raise Unreadable(f"the contract is of version {version!r}, this generator reads {VERSION}")
    return _Reader(document, package, command).api


class _Reader:
    def __init__(self, document: Mapping[str, Any], package: str, command: str) -> None:
        self.api = Api(package, command, hash=_word(document["hash"]))
        self.scope = Scope(names.TYPES, mark="Model")
        tree = {name: read_named(name, one) for name, one in document["types"].items()}
        self.api.wire_types = tree
        described = document["services"]
        if not described or not all(one["methods"] for one in described):
            raise ValueError("it has a service without a method, or no service")
        bases = [self._claim_service(_word(one["name"])) for one in described]
        if len(bases) > 1:
            base = upper_camel(package).removesuffix("Api") or "Api"
            self.api.all = self.scope.claim(f"{base}Services")
        for name in tree:
            self.api.names[name] = self.scope.claim(upper_camel(name))
        self._errors: dict[str, str] = {
            name: self.scope.claim(upper_camel(name), mark="Exception")
            for name in document["errors"]
        }
        for name, named in tree.items():
            self._named(name, named)
        for name, one in document["errors"].items():
            self._error(name, one)
        members = Scope(names.RESERVED | names.OBJECT)
        for one, base in zip(described, bases, strict=True):
            self.api.services.append(self._service(one, base, members))
        for name, named in self.api.types.items():
            if isinstance(named, Union):
                self.api.unknown[name] = self.scope.claim(f"Unknown{self.api.names[name]}")
        for name in self.api.types:
            if isinstance(self.api.types[name], Message):
                self.api.limits[name] = self.scope.claim(f"{self.api.names[name]}Limits")

    def _claim_service(self, name: str) -> str:
        base, number = upper_camel(name), 2
        made = ("{}Api", "{}Client", "{}Methods", "Fake{}Api")
        while any(form.format(base) in self.scope.taken for form in made):
            base, number = f"{upper_camel(name)}{number}", number + 1
        self.scope.taken |= {form.format(base) for form in made}
        return base

    # Types

    def _named(self, name: str, named: Any) -> None:
        if isinstance(named, Message):
            scope = Scope(names.MESSAGE)
            known: dict[str, str] = {}
            fields: list[Field] = []
            for entry in named.fields:
                known[entry.wire] = scope.claim(lower_camel(entry.name, "field"))
                node = entry.type
                is_tag = isinstance(node, Choice) and len(set(map(repr, node.values))) == 1
                if not is_tag:
                    node = self._node(node, f"{self.api.names[name]}{_upper(known[entry.wire])}")
                fields.append(dataclasses.replace(entry, type=node))
            self.api.fields[name] = known
            named = dataclasses.replace(named, fields=tuple(fields))
        elif isinstance(named, Enum):
            self._members(name, named.members)
        self.api.types[name] = named

    def _members(self, name: str, members: Mapping[str, Any]) -> None:
        scope = Scope(names.ENUM | {self.api.names[name]})
        self.api.members[name] = {key: scope.claim(lower_camel(key)) for key in members}

    def _node(self, node: Node, where: str) -> Node:
        """A type whose literals are enums; ``where`` is what a new one is called."""
        match node:
            case Choice(values):
                rest = tuple(value for value in values if value is not None)
                if not rest:
                    return Nullable(Nothing())
                key = f"{where} (literal)"
                self.api.names[key] = self.scope.claim(where)
                members = {_member(value): value for value in dict.fromkeys(rest)}
                self.api.types[key] = Enum(key, _distinct(rest) or members)
                self._members(key, self.api.types[key].members)  # type: ignore[union-attr]
                return Nullable(Ref(key)) if len(rest) < len(values) else Ref(key)
            case Nullable(of):
                inner = self._node(of, where)
                return inner if isinstance(inner, Nullable) else Nullable(inner)
            case ListOf(item):
                return dataclasses.replace(node, item=self._node(item, where))
            case MapOf(value):
                return dataclasses.replace(node, value=self._node(value, where))
        return node

    # Errors and services

    def _error(self, name: str, described: Mapping[str, Any]) -> None:
        scope, fields = Scope(names.ERROR), []
        for entry in described["fields"]:
            dart = scope.claim(lower_camel(entry["name"], "field"))
            node = self._node(read_node(entry["type"]), f"{self._errors[name]}{_upper(dart)}")
            fields.append((dart, str(entry["name"]), node, bool(entry["required"])))
        doc = str(described.get("doc", ""))
        self.api.errors[name] = ErrorPlan(self._errors[name], name, doc, tuple(fields))

    def _service(self, described: Mapping[str, Any], base: str, members: Scope) -> ServicePlan:
        scope = Scope(names.METHOD)
        methods = tuple(self._method(one, base, scope) for one in described["methods"])
        member = members.claim(lower_camel(described["name"], "service"))
        return ServicePlan(
            wire=str(described["name"]),
            doc=str(described.get("doc", "")),
            hash=str(described.get("hash", self.api.hash)),
            member=member,
            api=f"{base}Api",
            client=f"{base}Client",
            methods_name=f"{base}Methods",
            fake=f"Fake{base}Api",
            limits=self.scope.claim(f"{base}Limits"),
            methods=methods,
        )

    def _method(self, described: Mapping[str, Any], base: str, scope: Scope) -> MethodPlan:
        name = scope.claim(lower_camel(described["name"], "method"))
        node, where = read_node(described["input"]), f"{base}{_upper(name)}"
        wire_parameter = str(described.get("parameter", ""))
        streams_in = described["cardinality"] in ("client_stream", "duplex")
        called = wire_parameter
        if isinstance(node, Ref) and isinstance(self.api.types[node.name], Message):
            called = called if streams_in else node.name
        parameter = Scope(names.PARAMETER).claim(lower_camel(called or "message"))
        return MethodPlan(
            name=name,
            wire=str(described["name"]),
            doc=str(described.get("doc", "")),
            deprecated=str(described.get("deprecated", "")),
            cardinality=Cardinality(described["cardinality"]).value,
            verb=str(described["http"]["verb"]),
            path=str(described["http"]["path"]),
            parameter=parameter,
            wire_parameter=wire_parameter,
            node=self._node(node, f"{where}{_upper(parameter)}"),
            wire_node=node,
            result=self._node(read_node(described["output"]), f"{where}Result"),
            default=described.get("default", ...),
            errors=tuple(described.get("errors", ())),
        )


def _word(value: Any) -> str:
    """A text that stands in files as it is, where a newline would begin code of a stranger."""
    if not isinstance(value, str) or not re.fullmatch(r"[\w:.-]*", value):
        raise ValueError(f"{value!r} is no name")
    return value


def _upper(name: str) -> str:
    name = name.rstrip("_")
    return name[0].upper() + name[1:]


def _member(value: Any) -> str:
    """What a literal's member is called before it is spelled as Dart has it."""
    match value:
        case "":
            return "empty"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return f"value {str(value).replace('-', 'minus ').replace('.', ' point ')}"
    return str(value)


def _distinct(values: tuple[Any, ...]) -> dict[str, Any]:
    """Members of a literal; equal names are told apart."""
    found: dict[str, Any] = {}
    for value in values:
        name = _member(value)
        if name in found and type(found[name]) is type(value) and found[name] == value:
            continue
        while name in found:
            name += " "
        found[name] = value
    return found
