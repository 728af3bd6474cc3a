"""Samples: a value of each type, for the example and the README of a package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..schema import Enum, ListOf, MapOf, MediaType, Message, Node, Nothing, Nullable, Ref, Scalar
from . import literals
from .api import Api
from .layout import Doc, call, join, named
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


class Samples:
    """Expressions of an Api's types. ``file``: the expression of a file of a kind and a name."""

    def __init__(self, api: Api, file: Callable[[str], Doc]) -> None:
        self.api, self.file = api, file

    def of(self, node: Node, name: str = "text") -> Doc:
        """One of a type, which fits the rules of lengths and ranges; ``name`` is what it is for."""
        match node:
            case Nullable() | Nothing():
                return "null"
            case ListOf(item, rules):
                count = min(int(rules.get("min_length", 0)), 8)
                return ("[", join([self.of(item, name)] * count, ", "), "]")
            case MapOf():
                return "const {}"
            case MediaType(kind, limits):
                return self.file(_file_name(kind, limits))
            case Ref(ref):
                return self._named(ref)
            case Scalar(kind, rules):
                return _scalar(kind, rules, name)
        return "null"

    def _named(self, ref: str) -> Doc:
        named_type, dart = self.api.types[ref], self.api.names[ref]
        if isinstance(named_type, Enum):
            first = next(iter(named_type.members), None)
            return f"{dart}.{self.api.members[ref][first] if first is not None else 'unknown'}"
        if isinstance(named_type, Message):
            required = [m for m in members(self.api, named_type) if m.mode == "required"]
            arguments = [named(m.name, self.of(m.node, m.wire)) for m in required]
            return call(dart if arguments else f"const {dart}", *arguments)
        return self._named(next(iter(named_type.variants.values())))


def _file_name(kind: str, limits: Any) -> str:
    formats = sorted(getattr(limits, "formats", ()))
    if kind == "image":
        return f"photo.{formats[0]}" if formats and "jpeg" not in formats else "photo.jpg"
    return "speech.wav" if kind == "audio" else "document.pdf"


def _scalar(kind: str, rules: Any, name: str) -> str:
    if kind == "str":
        word = name.replace("_", " ")
        least = min(int(rules.get("min_length", 0)), 60)
        return literals.string((word * (least // max(len(word), 1) + 1))[: rules.get("max_length")])
    if kind in ("int", "float"):
        low = rules.get("ge", rules.get("gt", 0) + 1 if "gt" in rules else 1)
        high = rules.get("le", low)
        value = min(low, high) if isinstance(low, (int, float)) else 1
        return literals.number(int(value) if kind == "int" else float(value))
    return _SCALARS[kind]
