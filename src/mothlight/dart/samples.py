"""Samples: a value of each type, for the example and the README of a package."""

from __future__ import annotations

from typing import Any

from ..schema import Enum, ListOf, MapOf, MediaType, Message, Node, Nothing, Nullable, Ref, Scalar
from . import text
from .api import Api
from .layout import Doc, call, named
from .messages import members

_SCALARS = {
    "bool": "true",
    "bytes": "Uint8List(0)",
    "datetime": "DateTime.utc(2026)",
    "date": "DateTime.utc(2026)",
    "time": "'12:00:00'",
    "duration": "const Duration(seconds: 1)",
    "uuid": "'00000000-0000-4000-8000-000000000000'",
    "decimal": "'1.5'",
}


def sample(api: Api, node: Node, name: str = "text") -> Doc:
    """An expression of the type; it fits the rules of lengths and ranges."""
    match node:
        case Nullable() | Nothing():
            return "null"
        case ListOf(item, rules):
            count = min(int(rules.get("min_length", 0)), 8)
            return ("[", *_joined([sample(api, item, name)] * count), "]")
        case MapOf():
            return "const {}"
        case MediaType(kind):
            return call(
                "FileData.bytes",
                "Uint8List(0)",
                f"name: {text.string(f'{kind}.bin')}",
            )
        case Ref(ref):
            return _named(api, ref)
        case Scalar(kind, rules):
            return _scalar(kind, rules, name)
    return "null"


def _joined(docs: list[Doc]) -> list[Doc]:
    return [part for i, doc in enumerate(docs) for part in ((", ", doc) if i else (doc,))]


def _named(api: Api, ref: str) -> Doc:
    named_type, dart = api.types[ref], api.names[ref]
    if isinstance(named_type, Enum):
        first = next(iter(named_type.members), None)
        return f"{dart}.{api.members[ref][first] if first is not None else 'unknown'}"
    if isinstance(named_type, Message):
        required = [m for m in members(api, named_type) if m.mode == "required"]
        arguments = [named(m.name, sample(api, m.node, m.wire)) for m in required]
        return call(dart if arguments else f"const {dart}", *arguments)
    return _named(api, next(iter(named_type.variants.values())))


def _scalar(kind: str, rules: Any, name: str) -> str:
    if kind == "str":
        word = name.replace("_", " ")
        least = min(int(rules.get("min_length", 0)), 60)
        return text.string((word * (least // max(len(word), 1) + 1))[: rules.get("max_length")])
    if kind in ("int", "float"):
        low = rules.get("ge", rules.get("gt", 0) + 1 if "gt" in rules else 1)
        high = rules.get("le", low)
        value = min(low, high) if isinstance(low, (int, float)) else 1
        return text.number(int(value) if kind == "int" else float(value))
    return _SCALARS[kind]
