"""Which content types a method takes and answers; the servers and the documents both ask here."""

from __future__ import annotations

from typing import Any

from ..schema import Scalar
from ..services import Method

JSON, MULTIPART, OCTETS = "application/json", "multipart/form-data", "application/octet-stream"
SSE, NDJSON, TEXT = "text/event-stream", "application/x-ndjson", "text/plain"
_NUMBERS = ("int", "float", "bool")


def raw_field(method: Method[Any, Any, Any]) -> str | None:
    """The file field that a raw body fills: a file that is the only required field."""
    media = method.media_fields
    required = [name for name, _, required in method.fields if required]
    if len(media) == 1 and set(required) <= set(media):
        return next(iter(media))
    return None


def content_types(method: Method[Any, Any, Any]) -> list[str]:
    """The content types that a method takes, the usual one first."""
    if not method.media_fields:
        return [JSON]
    if not raw_field(method):
        return [MULTIPART, JSON]
    kind = next(iter(method.media_fields.values())).kind
    raw = [OCTETS] if kind == "file" else [f"{kind}/*", OCTETS]
    return [MULTIPART, *raw, JSON]


def stream_types(method: Method[Any, Any, Any]) -> list[str]:
    """The forms of a method's stream, the one for clients without a preference first: numbers go
    one a line, all else as events."""
    node = method.output.node
    if isinstance(node, Scalar):
        return [TEXT, SSE, NDJSON] if node.kind in _NUMBERS else [SSE, NDJSON, TEXT]
    return [SSE, NDJSON]
