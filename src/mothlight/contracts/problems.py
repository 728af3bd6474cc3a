"""The errors of a method as problem documents (RFC 9457), by HTTP status."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

from ..errors import (
    BadMedia,
    Cancelled,
    Code,
    DeadlineExceeded,
    Error,
    Internal,
    InvalidRequest,
    ItemsGone,
    KeyReused,
    MalformedRequest,
    NotAcceptable,
    Overloaded,
    PayloadTooLarge,
    QuotaExceeded,
    RequestTimeout,
    Superseded,
    Unavailable,
    UnsupportedMedia,
)
from ..schema import Nothing, Reader, Types
from ..schema.fields import resolve
from ..services import Method
from .jsonschema import PREFIX, Schema, schema

PROBLEM_NAME = "Mothlight.Problem"
"""What it is called until the user's types are known; no class has a dot in its name."""

PROBLEM: Schema = {
    "type": "object",
    "description": "A problem document (RFC 9457): how a call failed.",
    "properties": {
        "type": {"type": "string", "description": "the error's name"},
        "code": {
            "type": "string",
            "enum": [code.value for code in Code],
            "description": "one of gRPC's canonical codes",
        },
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "what went wrong, for people"},
    },
    "required": ["type", "code", "status", "detail"],
}


def problem(error: type[Error], types: Types) -> Schema:
    """The schema of an error's problem document; ``types`` takes the named types in its fields."""
    reader = Reader()
    hints = resolve(error, error)
    properties: Schema = {
        # Enums of one: generators merge them with Problem's members, which they cannot with const.
        "type": {"type": "string", "enum": [error.__name__]},
        "code": {"type": "string", "enum": [error.code.value]},
        "status": {"type": "integer", "enum": [error.status]},
    }
    required = ["type"]
    for field in fields(error):  # type: ignore[arg-type]
        node = reader.read(hints[field.name], f"{error.__name__}.{field.name}", (), error)
        properties[field.name] = schema(node)
        if field.default is field.default_factory is MISSING:
            required.append(field.name)
    for name, named in reader.types.items():
        types.setdefault(name, named)
    own: Schema = {"type": "object", "properties": properties, "required": required}
    out: Schema = {"allOf": [{"$ref": PREFIX + PROBLEM_NAME}, own]}
    return {"description": error.__doc__, **out} if error.__doc__ else out


def errors(method: Method[Any, Any, Any]) -> list[type[Error]]:
    """What a method's answer may be instead of its result: the declared errors and the built-in
    ones that its kind of request can meet."""
    found: list[type[Error]] = [MalformedRequest, Internal, Overloaded, Unavailable]
    found += [DeadlineExceeded, KeyReused, Superseded, Cancelled, QuotaExceeded]
    if method.cardinality.streams_out:
        found += [NotAcceptable, ItemsGone]
    if not isinstance(method.input.node, Nothing):
        found.append(InvalidRequest)
        if method.verb not in ("GET", "DELETE"):
            found += [PayloadTooLarge, RequestTimeout, UnsupportedMedia]
    if method.input.has_media:
        found.append(BadMedia)
    return [*found, *method.raises]
