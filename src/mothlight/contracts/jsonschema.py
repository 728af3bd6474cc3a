"""The neutral tree as JSON Schema 2020-12, with what OpenAPI adds to it (discriminators)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..media.file import MEDIA_TYPES, OCTETS
from ..schema import (
    Choice,
    Enum,
    Field,
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
    describe,
)

Schema = dict[str, Any]

PREFIX = "#/components/schemas/"
NOT_FINITE = ("NaN", "Infinity", "-Infinity")

# The usual alphabet; ``bytes`` fields take the URL-safe one, too.
_BASE64 = "^([A-Za-z0-9{0}]{{4}})*([A-Za-z0-9{0}]{{2}}==|[A-Za-z0-9{0}]{{3}}=)?$"

# ISO 8601, as pydantic writes it: a sign, and days right after years ("-P1Y3DT4.5S"), both of which
# the format "duration" (RFC 3339, A) forbids. A year is 365 days, a month 30.
_DURATION = (
    "^[-+]?P(?=[0-9T])([0-9]{1,6}Y)?([0-9]{1,5}M)?([0-9]{1,5}W)?([0-9]{1,7}D)?"
    "(T(?=[0-9])([0-9]{1,6}H)?([0-9]{1,6}M)?([0-9]{1,7}([.][0-9]{1,6})?S)?)?$"
)

# As Python writes it: "0E-8" is a nought of eight places. Its own exponents have seven digits.
_DECIMAL = r"^-?\d+(\.\d+)?([eE][-+]?\d{1,7})?$"

_SCALARS: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "bytes": {"type": "string", "contentEncoding": "base64", "pattern": _BASE64.format("+/_-")},
    "datetime": {"type": "string", "format": "date-time"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "format": "time"},
    "duration": {"type": "string", "pattern": _DURATION},
    "uuid": {"type": "string", "format": "uuid"},
    "decimal": {"type": "string", "format": "decimal", "pattern": _DECIMAL},
}
_TEXT_RULES = {"min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}
_NUMBER_RULES = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_RULES: dict[str, Mapping[str, str]] = {
    "str": _TEXT_RULES,
    "int": _NUMBER_RULES,
    "float": _NUMBER_RULES,
    "list": {"min_length": "minItems", "max_length": "maxItems"},
    "map": {"min_length": "minProperties", "max_length": "maxProperties"},
}


def schema(node: Node) -> Schema:
    """The schema of a type as it stands in JSON. Named types are references."""
    match node:
        case Scalar(kind, rules) if rules.get("finite") is False:
            rest = {name: value for name, value in rules.items() if name != "finite"}
            return {"anyOf": [_ruled(kind, rest), {"enum": list(NOT_FINITE)}]}
        case Scalar(kind, rules):
            return _ruled(kind, rules)
        case Choice(values):
            return _choice(list(values))
        case MediaType():
            return {
                "type": "string",
                "contentEncoding": "base64",
                "pattern": _BASE64.format("+/"),
                "contentMediaType": ", ".join(media_types(node)),
                "maxLength": _base64_length(node.limits.max_bytes),
                "x-mothlight-limits": limits(node),
            }
        case ListOf(item, rules, unique):
            out = {"type": "array", "items": schema(item), **_keywords("list", rules)}
            return {**out, "uniqueItems": True} if unique else out
        case MapOf(value, rules):
            keywords = _keywords("map", rules)
            return {"type": "object", "additionalProperties": schema(value), **keywords}
        case Nullable(of):
            return {"anyOf": [schema(of), {"type": "null"}]}
        case Ref(name):
            return {"$ref": PREFIX + name}
        case Nothing():
            return {"type": "null"}


def binary(media: MediaType) -> Schema:
    """The schema of a file that stands as its bytes: a part of a form, a whole body."""
    return {
        "type": "string",
        "format": "binary",
        "contentMediaType": ", ".join(media_types(media)),
        "x-mothlight-limits": limits(media),
    }


def media_types(media: MediaType) -> list[str]:
    """The media types that a file field takes."""
    formats: list[str] = sorted(getattr(media.limits, "formats", ()))
    return [MEDIA_TYPES.get(name, name) for name in formats] or [OCTETS]


def limits(media: MediaType) -> Schema:
    """All limits of a file field."""
    return {name: value for name, value in describe(media).items() if name != "kind"}


def definition(named: Named, types: Types) -> Schema:
    """The schema that stands in ``components/schemas`` under a named type's name."""
    out: Schema
    match named:
        case Message(fields=fields):
            tags = _tags_of(named.name, types)
            required = [f.wire for f in fields if f.required or f.wire in tags]
            out = {"type": "object", "properties": {f.wire: property_(f) for f in fields}}
            if required:
                out["required"] = required
        case Enum(members=members):
            out = _choice(list(members.values()))
            out["x-enum-varnames"] = list(members)
        case Union(tag=tag, variants=variants):
            mapping = {value: PREFIX + name for value, name in variants.items()}
            out = {
                "oneOf": [{"$ref": PREFIX + name} for name in dict.fromkeys(variants.values())],
                "discriminator": {"propertyName": tag, "mapping": mapping},
            }
    return {"description": named.doc, **out} if named.doc else out


def property_(field: Field) -> Schema:
    """The schema of a message's field, with its documentation and default."""
    out = schema(field.type)
    if field.doc:
        out["description"] = field.doc
    if not field.required and field.default is not ...:
        out["default"] = field.default
    if field.deprecated:
        out["deprecated"] = True
    return out


def _tags_of(message: str, types: Types) -> set[str]:
    """The fields by which unions know a message; they need it, whatever default it has."""
    unions = (t for t in types.values() if isinstance(t, Union))
    return {union.tag for union in unions if message in union.variants.values()}


def _choice(values: list[Any]) -> Schema:
    out: Schema = {"const": values[0]} if len(values) == 1 else {"enum": values}
    kinds = {type(value) for value in values}
    if len(kinds) == 1 and (name := _JSON_TYPES.get(kinds.pop())):
        return {"type": name, **out}
    return out


_JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _ruled(kind: str, rules: Mapping[str, Any]) -> Schema:
    out = dict(_SCALARS[kind])
    if kind == "bytes":  # their lengths count bytes, the schema's count characters of base64
        lengths = {k: _base64_length(v) for k, v in rules.items() if k in _TEXT_RULES}
        return {**out, **_keywords("str", lengths)}
    return {**out, **_keywords(kind, rules)}


def _keywords(kind: str, rules: Mapping[str, Any]) -> Schema:
    """The rules as JSON Schema; those that it has no keyword for (``ge`` of a date) stay ours."""
    known = _RULES.get(kind, {})
    out: Schema = {known[name]: value for name, value in rules.items() if name in known}
    if rest := {name: value for name, value in rules.items() if name not in known}:
        out["x-mothlight-rules"] = rest
    return out


def _base64_length(size: int) -> int:
    return (size + 2) // 3 * 4
