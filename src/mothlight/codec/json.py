"""JSON from strangers (RFC 8259), read more strictly than parsers do."""

from __future__ import annotations

import base64
import re
from itertools import accumulate
from typing import Any

import jiter
from pydantic_core import from_json, to_json

from ..errors import InvalidRequest, MalformedRequest, PayloadTooLarge
from ..schema import ListOf, MapOf, Message, Node, Nullable, Payload, Ref, Scalar, Types, Union
from ..settings import Settings

_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)  # possessive: no backtracking
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


def check(body: bytes, settings: Settings) -> Any:
    """The parsed body. Raises MalformedRequest for what is not JSON: NaN, a key that stands twice,
    half a surrogate pair, invalid UTF-8, more levels than ``max_depth``; PayloadTooLarge over
    ``max_json``, for this is the event loop and parsing takes about 0.2 s a hostile megabyte."""
    if len(body) > settings.max_json:
        raise PayloadTooLarge(what="the JSON", limit=settings.max_json)
    if body.count(b"[") + body.count(b"{") > settings.max_depth:
        check_depth(body, settings.max_depth)
    try:
        return jiter.from_json(
            body, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="none"
        )
    except ValueError as error:
        reason = str(error) if body else "the body is empty"
        raise MalformedRequest(reason=f"not JSON: {reason}") from None


def check_depth(body: bytes, limit: int) -> None:
    """Counts the levels outside strings; parsers recurse, and strangers know it."""
    # Of the body only its brackets are left, as steps of +1 and -1, summed up without a loop of
    # Python's own: this is the event loop, and a body has up to 32 MB (measured: 1 s at worst).
    steps = memoryview(_STRING.sub(b"", body).translate(_STEPS, _NOT_BRACKETS)).cast("b")
    if max(accumulate(steps), default=0) > limit:
        raise MalformedRequest(reason=f"more than {limit} levels of nesting")


def check_strings(node: Node, value: Any, types: Types, limit: int, path: str = "") -> None:
    """Bounds the strings for which the type has no ``max_length``. ``value`` is parsed JSON."""
    match node, value:
        case Scalar(kind="str", rules=rules), str():
            if "max_length" not in rules and len(value) > limit:
                message = f"string is longer than {limit} characters"
                raise InvalidRequest(errors=[{"path": path, "message": message}])
        case Nullable(of), _:
            check_strings(of, value, types, limit, path)
        case ListOf(item), list():
            for index, element in enumerate(value):
                check_strings(item, element, types, limit, f"{path}[{index}]")
        case MapOf(of), dict():
            for key, element in value.items():
                check_strings(of, element, types, limit, f"{path}.{key}" if path else key)
        case Ref(name), dict():
            match types[name]:
                case Message(fields=fields):
                    for field in fields:
                        inner = f"{path}.{field.wire}" if path else field.wire
                        check_strings(field.type, value.get(field.wire), types, limit, inner)
                case Union(tag=tag, variants=variants):
                    if variant := variants.get(str(value.get(tag))):
                        check_strings(Ref(variant), value, types, limit, path)


def inline(payload: Payload) -> bytes:
    """The JSON of a payload, its files as base64 strings."""
    if not payload.media:
        return payload.json
    return to_json(_inline(from_json(payload.json), payload))


def _inline(value: Any, payload: Payload) -> Any:
    match value:
        case {"$media": int(index), **rest} if not rest:
            return base64.b64encode(payload.media[index][0]).decode()
        case dict():
            return {key: _inline(inner, payload) for key, inner in value.items()}
        case list():
            return [_inline(inner, payload) for inner in value]
    return value
