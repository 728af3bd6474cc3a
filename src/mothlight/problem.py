"""Problem documents (RFC 9457): the form in which errors travel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RESERVED = frozenset({"type", "title", "status", "detail", "instance", "code"})
"""Members that RFC 9457 and we give to every problem document: no field may have their names."""

_INTEGERS = range(-(2**63), 2**63)


def members(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What an error says of itself, in a form that JSON and MessagePack can carry. It never raises:
    a report of a failure must not fail itself."""
    from pydantic_core import from_json, to_json

    try:
        plain = from_json(
            to_json(fields, fallback=str, inf_nan_mode="strings", bytes_mode="base64")
        )
    except Exception:  # half a surrogate pair has no form in JSON, nor has what is its own part
        plain = {name: ascii(value) for name, value in fields.items()}
    return {name: _carried(value) for name, value in plain.items()}


def _carried(value: Any) -> Any:
    """The value without integers of more than 64 bits, which JSON has and MessagePack has not."""
    if isinstance(value, dict):
        return {key: _carried(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_carried(member) for member in value]
    if isinstance(value, int) and value not in _INTEGERS:
        return str(value)
    return value
