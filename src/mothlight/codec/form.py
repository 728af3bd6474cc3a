"""Names and values (a query, a form, multipart parts) as the payload of a method's message."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json, to_json

from ..errors import InvalidRequest, MalformedRequest, PayloadTooLarge
from ..schema import (
    Choice,
    Enum,
    ListOf,
    MapOf,
    MediaType,
    Node,
    Nullable,
    Payload,
    Ref,
    Scalar,
    Types,
    present,
)
from ..schema.shape import Attached
from ..services import Method
from ..settings import Settings
from .json import check, check_strings

_JSON = {
    "int": re.compile(r"-?(0|[1-9][0-9]{0,17})"),
    "float": re.compile(r"-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,2})?"),
    "bool": re.compile(r"true|false"),
}
"""What a form says as JSON does; a strict type takes nothing else."""

Value = str | Attached
"""A form's value: text, or a file."""


def parse_query(query: bytes, settings: Settings) -> list[tuple[str, Value]]:
    """The names and values of a query string or of a urlencoded body (WHATWG URL, 5.1). Raises
    PayloadTooLarge over ``max_json``: an escape costs as much to parse as a value in JSON."""
    if len(query) > settings.max_json:
        raise PayloadTooLarge(what="the urlencoded form", limit=settings.max_json)
    try:
        text = query.decode("ascii")
        return list(
            parse_qsl(
                text, keep_blank_values=True, errors="strict", max_num_fields=settings.max_parts
            )
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise MalformedRequest(reason=f"the query cannot be read: {error}") from None


def payload(
    method: Method[Any, Any, Any], items: Iterable[tuple[str, Value]], settings: Settings
) -> Payload:
    """The payload of a method's message. Unknown names are passed over, as they are in JSON."""
    given: dict[str, list[Value]] = {}
    for name, value in items:
        given.setdefault(name, []).append(value)
    media: list[Attached] = []
    types = method.input.types
    message: dict[str, Any] = {}
    for name, node, _ in method.fields:
        if name in given:
            message[name] = _value(name, node, given[name], types, media, settings)
    if not method.is_bare:
        check_strings(method.input.node, message, types, settings.max_string)
        return Payload(to_json(message), tuple(media))
    if method.parameter in message:
        bare = message[method.parameter]
        check_strings(method.input.node, bare, types, settings.max_string, method.parameter)
        return Payload(to_json(bare), tuple(media))
    if method.has_default:
        return method.input.encode(method.default)
    raise InvalidRequest(errors=[{"path": method.parameter, "message": "Field required"}])


def _value(
    name: str,
    node: Node,
    values: list[Value],
    types: Types,
    media: list[Attached],
    settings: Settings,
) -> Any:
    inner = present(node)
    if isinstance(inner, ListOf) and (
        not is_json(inner.item, types)
        or (_is_literal(inner.item, types) and not (len(values) == 1 and _is_array(values[0])))
    ):
        return [_single(name, inner.item, value, types, media, settings) for value in values]
    if len(values) > 1:
        raise InvalidRequest(errors=[{"path": name, "message": "is given more than once"}])
    if values[0] == "" and isinstance(node, Nullable) and not is_text(inner):
        return None
    return _single(name, inner, values[0], types, media, settings)


def _single(
    name: str, node: Node, value: Value, types: Types, media: list[Attached], settings: Settings
) -> Any:
    if isinstance(node, MediaType):
        media.append((value.encode(), None, None) if isinstance(value, str) else value)
        return {"$media": len(media) - 1}
    if not isinstance(value, str):
        try:
            value = value[0].decode()
        except UnicodeDecodeError:
            raise InvalidRequest(errors=[{"path": name, "message": "is not UTF-8"}]) from None
    if is_json(node, types):
        return check(value.encode(), settings)
    if isinstance(node, Scalar) and (found := _JSON.get(node.kind)) and found.fullmatch(value):
        return from_json(value)
    return value  # what else a type takes for a number or a bool, pydantic knows


def is_json(node: Node, types: Types) -> bool:
    """Whether a value of this type stands as JSON in a form: objects, maps, lists of lists."""
    match node:
        case Ref(name):
            named = types[name]
            return not isinstance(named, Enum) or _not_strings(named.members.values())
        case Choice(values):
            return _not_strings(values)
    return isinstance(node, MapOf | ListOf | Nullable)


def _is_literal(node: Node, types: Types) -> bool:
    """Whether it is one of some values: a list of such is written as names that repeat."""
    return isinstance(node, Choice) or (
        isinstance(node, Ref) and isinstance(types[node.name], Enum)
    )


def _is_array(value: Value) -> bool:
    text = value if isinstance(value, str) else value[0].decode("latin-1")
    return text.lstrip().startswith("[")


def _not_strings(values: Iterable[Any]) -> bool:
    return not all(isinstance(value, str) for value in values)


def is_text(node: Node) -> bool:
    return getattr(node, "kind", "") in ("str", "bytes")
