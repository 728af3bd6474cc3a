"""Reads the tree back from its JSON form: the inverse of ``describe``."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from ..media.limits import AudioLimits, FileLimits, ImageLimits, Limits
from .reader import RULES, SCALARS
from .tree import (
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
    Union,
)

_LIMITS: dict[str, type[Limits]] = {
    "image": ImageLimits,
    "audio": AudioLimits,
    "file": FileLimits,
}
_KINDS = frozenset(SCALARS.values())


def read_node(described: Mapping[str, Any]) -> Node:
    """A type as the contract describes it. Raises ValueError, KeyError, TypeError."""
    rules = {name: described[name] for name in (*RULES, "finite") if name in described}
    match described["kind"]:
        case "ref":
            return Ref(described["name"])
        case "nullable":
            return Nullable(read_node(described["of"]))
        case "list":
            return ListOf(read_node(described["item"]), rules, bool(described.get("unique")))
        case "map":
            return MapOf(read_node(described["value"]), rules)
        case "literal":
            return Choice(tuple(described["values"]))
        case "nothing":
            return Nothing()
        case "image" | "audio" | "file" as kind:
            cls = _LIMITS[kind]
            names = {entry.name for entry in dataclasses.fields(cls)}
            given = {name: described[name] for name in names & described.keys()}
            formats = frozenset(given.get("formats", ()))
            given["formats"] = formats & getattr(cls, "FORMATS", formats)  # a newer server has more
            return MediaType(typing.cast("Any", kind), cls(**given))
        case kind if kind in _KINDS:
            return Scalar(kind, rules)
        case kind:
            raise ValueError(f"{kind!r} is no type")


def read_named(name: str, described: Mapping[str, Any]) -> Named:
    """A named type as the contract describes it. Raises ValueError, KeyError, TypeError."""
    doc = str(described.get("doc", ""))
    match described["kind"]:
        case "message":
            return Message(name, tuple(read_field(entry) for entry in described["fields"]), doc)
        case "enum":
            return Enum(name, described["members"], doc)
        case "union":
            return Union(name, described["tag"], described["variants"], doc)
        case kind:
            raise ValueError(f"{name} is a {kind!r}, which is no named type")


def read_field(described: Mapping[str, Any]) -> Field:
    """A field as the contract describes it. Raises ValueError, KeyError, TypeError."""
    required = bool(described["required"])
    return Field(
        name=described["name"],
        wire=described.get("wire", described["name"]),
        type=read_node(described["type"]),
        required=required,
        default=None if required else described.get("default", ...),
        doc=described.get("doc", ""),
        deprecated=described.get("deprecated", ""),
    )
