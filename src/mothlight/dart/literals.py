"""Literals: JSON values as Dart writes them."""

from __future__ import annotations

import json
from typing import Any

from .layout import Doc, delimited, named

SAFE_INT = 2**53 - 1
"""Beyond it Dart on the web has no literal."""

_ESCAPES = {"\\": r"\\", "'": r"\'", "$": r"\$", "\n": r"\n", "\r": r"\r", "\t": r"\t"}


def string(text: str) -> str:
    """A string literal."""
    return "'" + "".join(_escape(char) for char in text) + "'"


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else f"\\u{{{ord(char):x}}}"


def number(value: float) -> str:
    """A number's literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) <= SAFE_INT else repr(float(value))
    return repr(value)


def value(json_value: Any) -> Doc:
    """The literal of a JSON value, in a const context."""
    match json_value:
        case None:
            return "null"
        case bool() | int() | float():
            return number(json_value)
        case str():
            return string(json_value)
        case list():
            items = [value(item) for item in json_value]
            return delimited("[", items, "]") if items else "<Object?>[]"
        case dict():
            entries = [named(string(str(k)), value(v)) for k, v in json_value.items()]
            return delimited("{", entries, "}") if entries else "<String, Object?>{}"
    raise ValueError(f"{json.dumps(json_value, default=str)} has no literal")


def json_text(json_value: Any) -> str:
    """A value as JSON."""
    return json.dumps(json_value, ensure_ascii=False)
