"""The message of a call, as its client sent it, made a payload; every protocol that takes JSON or
raw files asks here."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json

from ..codec import form
from ..codec.json import check, check_strings
from ..contracts.content import raw_field
from ..errors import InvalidRequest, UnsupportedMedia
from ..schema import Payload
from ..services import Method
from ..settings import Settings

BODILESS = ("GET", "DELETE")
"""Verbs whose message is in the query."""


def from_json(method: Method[Any, Any, Any], body: bytes, settings: Settings) -> Payload:
    """The payload that a JSON text is; none at all is the default of a parameter that has one.
    Of a method that takes a query it may be the object of its parameters, too. Raises
    MalformedRequest, InvalidRequest for strings that are too long, PayloadTooLarge."""
    if not body and method.has_default and method.is_bare:
        return method.input.encode(method.default)
    parsed = check(body, settings)
    if method.verb in BODILESS and method.is_bare and isinstance(parsed, dict):
        if method.parameter not in parsed:
            return form.payload(method, (), settings)
        parsed = parsed[method.parameter]
        body = to_json(parsed, inf_nan_mode="constants")
    if len(body) > settings.max_string and method.input.has_strings:
        check_strings(method.input.node, parsed, method.input.types, settings.max_string)
    return Payload(body)


def from_file(
    method: Method[Any, Any, Any], data: bytes, kind: str | None, settings: Settings
) -> Payload | None:
    """The payload of a message that is a file, or whose only required field is one; None where the
    method takes none. ``kind``: its media type, if it is told."""
    name = raw_field(method)
    return form.payload(method, [(name, (data, kind, None))], settings) if name else None


def from_frame(method: Method[Any, Any, Any], frame: str | bytes, settings: Settings) -> Payload:
    """The validated payload of a WebSocket frame: text is JSON, anything else a file."""
    if isinstance(frame, str):
        return validated(method, from_json(method, frame.encode(), settings))
    payload = from_file(method, frame, None, settings)
    if payload is None:
        raise UnsupportedMedia(reason="this message is no file", supported=["text frames"])
    return validated(method, payload)


def validated(method: Method[Any, Any, Any], payload: Payload) -> Payload:
    """The same. Raises InvalidRequest where it does not fit the method's message."""
    try:
        method.input.decode(payload)
    except InvalidRequest as error:
        if not method.is_bare:
            raise
        # A bare value's own path is empty; its parameter's name tells the reader more.
        errors = [{**e, "path": e["path"] or method.parameter} for e in error.errors]
        raise InvalidRequest(errors=errors) from None
    return payload
