"""Messages: immutable classes with fromJson, toJson, copyWith and equality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..schema import Choice, Field, ListOf, MapOf, Message, Node, Nullable, Scalar
from . import comments, literals
from .api import Api
from .layout import (
    BLANK,
    EMPTY,
    HARD,
    Assign,
    Doc,
    Group,
    Initialized,
    Line,
    Nest,
    call,
    conditional,
    declared,
    delimited,
    infix,
    join,
    named,
    parameters,
)
from .types import Dart, NotConst, const

Mode = Literal["tag", "required", "constant", "computed", "left_out", "optional"]
_MOST = 19
"""Values that Object.hash takes beside the type."""


@dataclass(frozen=True)
class Member:
    """A field of a class. ``mode``: a tag's one value; required; with a default that is constant,
    or computed by the constructor; left out where it is null, or where it is ``Optional.absent``
    (the server alone knows the default)."""

    name: str
    wire: str
    node: Node
    type: str
    mode: Mode
    doc: str
    deprecated: str
    default: Any = None

    @property
    def key(self) -> str:
        return literals.string(self.wire)


def members(api: Api, message: Message) -> list[Member]:
    """The fields of a message's class."""
    return [_member(api, message, entry) for entry in message.fields]


def _member(api: Api, message: Message, entry: Field) -> Member:
    dart = Dart(api)
    name, node = api.fields[message.name][entry.wire], entry.type
    mode: Mode = "required"
    default: Any = None
    if isinstance(node, Choice):
        mode, default = "tag", node.values[0]
    elif not entry.required:
        try:
            if entry.default is ...:
                raise NotConst
            default, is_const = dart.default(node, entry.default)
            mode = "constant" if is_const else "computed"
            if mode == "computed" and isinstance(node, Nullable):
                raise NotConst
        except NotConst:
            mode = "optional" if isinstance(node, Nullable) else "left_out"
    type_ = dart.type(node)
    if mode == "left_out":
        type_ += "?"
    elif mode == "optional":
        type_ = f"Optional<{type_}>"
    return Member(name, entry.wire, node, type_, mode, entry.doc, entry.deprecated, default)


def message_class(api: Api, message: Message) -> Doc:
    """The class of a message."""
    name = api.names[message.name]
    every = members(api, message)
    fields = [member for member in every if member.mode != "tag"]
    unions = [api.names[union] for union in api.unions_of(message.name)]
    bases: Doc = f" implements {', '.join(unions)}" if unions else ""
    parts = [
        _constructor(name, fields),
        _from_json(api, name, fields),
        *(_field(member) for member in fields),
        _to_json(api, every, is_override=bool(unions)),
    ]
    if fields:
        parts.append(_copy_with(name, fields))
    parts += [_equals(name, fields), _hash_code(name, fields), _to_string(name, fields)]
    fallback = f"The message `{message.name}`."
    return (
        comments.comment(message.doc, fallback, indent=0),
        ("final class ", name, bases, " {"),
        Nest(2, (HARD, join(parts, BLANK))),
        HARD,
        "}",
    )


def _constructor(name: str, fields: list[Member]) -> Doc:
    computed = [member for member in fields if member.mode == "computed"]
    head: Doc = ("" if computed else "const ", name, parameters([], map(_parameter, fields)))
    if computed:
        initializers: list[Doc] = [
            (m.name, Assign(" =", infix("??", [m.name, m.default]))) for m in computed
        ]
        head = Initialized(head, tuple(initializers))
    return (_about_constructor(name, fields), head, ";")


def _about_constructor(name: str, fields: list[Member]) -> Doc:
    omitted = [f"[{m.name}]" for m in fields if m.mode in ("left_out", "optional")]
    if not omitted:
        return comments.plain("See the fields." if fields else f"The one `{name}`.")
    verb = "is" if len(omitted) == 1 else "are"
    shown = ", ".join(omitted)
    return comments.plain(f"Where {shown} {verb} left out, the server takes its own default.")


def _parameter(member: Member) -> Doc:
    match member.mode:
        case "required":
            return f"required this.{member.name}"
        case "constant" if member.default == "null":
            return f"this.{member.name}"
        case "constant":
            return (f"this.{member.name}", Assign(" =", const(member.default), "always"))
        case "computed":
            return declared(f"{member.type}?", member.name)
        case "optional":
            return f"this.{member.name} = const Optional.absent()"
    return f"this.{member.name}"


def _field(member: Member) -> Doc:
    return (
        comments.comment(
            member.doc, comments.about(member.wire, is_flag=member.type.startswith("bool"))
        ),
        deprecated(member.deprecated),
        (declared(f"final {member.type}", member.name), ";"),
    )


def deprecated(why: str) -> Doc:
    """The annotation, and a newline; nothing where there is no reason."""
    return (call("@Deprecated", literals.string(why)), HARD) if why else EMPTY


# JSON


def _from_json(api: Api, name: str, fields: list[Member]) -> Doc:
    about = comments.plain("Reads one out of JSON. Throws [DecodeException].")
    head = (call(f"factory {name}.fromJson", "Object? json"), " {")
    read = call("JsonMap.of", "json", literals.string(name))
    if not fields:
        body: Doc = (read, ";", HARD, f"return const {name}();")
    else:
        arguments = [named(member.name, *_read(api, member)) for member in fields]
        given = call(name, *arguments)
        body = ("final map", Assign(" =", read, "always"), ";", HARD, "return ", given, ";")
    return (about, head, Nest(2, (HARD, body)), HARD, "}")


def _read(api: Api, member: Member) -> tuple[Doc, Any]:
    dart, node = Dart(api), member.node
    decoder = dart.decoder(node)
    match member.mode:
        case "required":
            return call("map.read", member.key, decoder), "always"
        case "constant":
            return call("map.readOr", member.key, decoder, const(member.default)), "always"
        case "computed" | "left_out":
            return call("map.readOr", member.key, call("nullable", decoder), "null"), "always"
    there = f"map.members.containsKey({member.key})"
    value = call("Optional.of", call("map.read", member.key, decoder))
    return conditional(there, value, "const Optional.absent()"), "never"


def _to_json(api: Api, every: list[Member], *, is_override: bool) -> Doc:
    entries = [_entry(api, member) for member in every]
    plain = all(member.mode == "tag" for member in every)
    about = "@override" if is_override else "/// As JSON; a file stands in it as it is."
    body = delimited("{", entries, "}")
    body = const(body) if plain else body
    return (about, HARD, "Map<String, Object?> toJson()", Assign(" =>", body, "always"), ";")


def _entry(api: Api, member: Member) -> Doc:
    dart, node, name = Dart(api), member.node, member.name
    if member.mode == "tag":
        return named(member.key, literals.value(member.default))
    if member.mode == "optional":
        value = dart.encode(node, "value", promoted=True)
        test = f"if ({name} case Present(:final value))"
    elif member.mode == "left_out":
        value = dart.encode(node, name if dart.is_json(node) else "value", promoted=True)
        bind = f"if ({name} case final value?)"
        test = bind if not dart.is_json(node) else f"if ({name} != null)"
    else:
        return _pair(member, dart.encode(node, name))
    return Group((test, Nest(2, (Line(), _pair(member, value)))))


def _pair(member: Member, value: Doc) -> Doc:
    is_conditional = isinstance(member.node, Nullable) and isinstance(value, Group)
    return named(member.key, value, "never" if is_conditional else "always")


# Values


def _copy_with(name: str, fields: list[Member]) -> Doc:
    def parameter(member: Member) -> Doc:
        kind = member.type
        return declared(f"{kind} Function()?" if _is_nullable(member) else f"{kind}?", member.name)

    def argument(member: Member) -> Doc:
        own = member.name
        if _is_nullable(member):
            return named(own, conditional(f"{own} == null", f"this.{own}", f"{own}()"), "never")
        return named(own, infix("??", [own, f"this.{own}"]), "never")

    nullable = next((member.name for member in fields if _is_nullable(member)), "")
    about = "The same with other values."
    if nullable:
        about = f"The same with other values; `{nullable}: () => null` makes it null."
    head: Doc = (f"{name} copyWith", parameters([], map(parameter, fields)))
    body = call(name, *map(argument, fields))
    return (comments.plain(about), head, Assign(" =>", body, "else"), ";")


def _is_nullable(member: Member) -> bool:
    return member.type.endswith("?")


def _equals(name: str, fields: list[Member]) -> Doc:
    tests: list[Doc] = [f"other is {name}"]
    for member in fields:
        own = "this.other" if member.name == "other" else member.name
        if _is_deep(member):
            tests.append(call("deepEquals", f"other.{member.name}", own))
        else:
            tests.append(f"other.{member.name} == {own}")
    head = "bool operator ==(Object other)"
    return ("@override", HARD, head, Assign(" =>", infix("&&", tests)), ";")


def _hash_code(name: str, fields: list[Member]) -> Doc:
    values = [call("deepHash", m.name) if _is_deep(m) else m.name for m in fields]
    body: Doc
    if not values:
        body = f"({name}).hashCode"
    elif len(values) <= _MOST:
        body = call("Object.hash", name, *values)
    else:
        body = ("Object.hashAll(", delimited("[", [name, *values], "]"), ")")
    return ("@override", HARD, "int get hashCode", Assign(" =>", body, "else"), ";")


def _is_deep(member: Member) -> bool:
    if member.mode == "optional":
        return False  # Optional does it
    node = member.node.of if isinstance(member.node, Nullable) else member.node
    if isinstance(node, Scalar):
        may_be_nan = node.kind == "float" and node.rules.get("finite") is False
        return node.kind == "bytes" or may_be_nan
    return isinstance(node, ListOf | MapOf)


def _to_string(name: str, fields: list[Member]) -> Doc:
    pieces = [f"{member.name}: ${member.name}" for member in fields]
    rows, row = [], f"{name}("
    for index, piece in enumerate(pieces):
        last = index == len(pieces) - 1
        item = piece + (")" if last else ", ")
        if len(row) + len(item) > 70:
            rows.append(row)
            row = ""
        row += item
    rows.append(row if pieces else f"{name}()")
    body: Doc = join([f"'{row}'" for row in rows], HARD)
    return ("@override", HARD, "String toString()", Assign(" =>", body), ";")
