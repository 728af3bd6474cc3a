"""Forms: how the fields of a message stand in a query or a form (the inverse of codec.form)."""

from __future__ import annotations

from typing import Any

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
    present,
)
from . import literals
from .api import Api, MethodPlan
from .layout import Doc, call


def form(api: Api, method: MethodPlan) -> list[Doc] | None:
    """The form fields of a method's message; None where it goes as JSON."""
    if isinstance(method.wire_node, Nothing) or method.streams_in:
        return None
    fields = _fields(api, method)
    in_query = method.verb in ("GET", "DELETE")
    if not in_query and not any(_is_file(node) for _, node, _ in fields):
        return None
    return [_field(api, name, node, default) for name, node, default in fields]


def _fields(api: Api, method: MethodPlan) -> list[tuple[str, Node, Any]]:
    """(name, type, default) of each; ``...``: it has none, or none that is known here."""
    node = method.wire_node
    named = api.wire_types.get(node.name) if isinstance(node, Ref) else None
    if isinstance(named, Message):
        return [(f.wire, f.type, ... if f.required else f.default) for f in named.fields]
    return [(method.wire_parameter, node, method.default)]


def _is_file(node: Node) -> bool:
    inner = present(node)
    return isinstance(inner.item if isinstance(inner, ListOf) else inner, MediaType)


def _field(api: Api, name: str, node: Node, default: Any) -> Doc:
    inner = present(node)
    is_list = isinstance(inner, ListOf) and not is_json(api, inner.item)
    one = inner.item if isinstance(inner, ListOf) and is_list else inner
    kind = "file" if isinstance(one, MediaType) else "json" if is_json(api, one) else "text"
    is_text = getattr(inner, "kind", "") in ("str", "bytes")
    flags = {
        "isList": is_list,
        "nullIsAbsent": isinstance(node, Nullable) and default is None,
        "nullIsEmpty": isinstance(node, Nullable) and not is_list and not is_text,
        "emptyIsAbsent": is_list and default == [],
    }
    arguments = [f"{flag}: true" for flag, is_set in flags.items() if is_set]
    return call("FormField", literals.string(name), f"FormKind.{kind}", *arguments)


def is_json(api: Api, node: Node) -> bool:
    """Whether a value stands as JSON in a form: objects, maps, lists of lists."""
    match node:
        case Ref(name):
            named = api.wire_types[name]
            return not isinstance(named, Enum) or _not_strings(named.members.values())
        case Choice(values):
            return _not_strings(values)
    return isinstance(node, MapOf | ListOf | Nullable)


def _not_strings(values: Any) -> bool:
    return not all(isinstance(value, str) for value in values)
