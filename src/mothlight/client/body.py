"""A message as what a request carries: a query, JSON, or a form whose files go as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode

from pydantic_core import from_json, to_json

from ..codec.form import Value, is_json, is_text
from ..codec.json import inline
from ..errors import InvalidRequest
from ..schema import ListOf, MediaType, Node, Nothing, Nullable, Payload, Types, present
from ..service import Method

ABSENT: Any = ...
"""The message of a call that gives none: the method's default, or a message of defaults."""

Progress = Callable[[int, int], None]
"""Called with the bytes sent and the bytes in all, while a request's body is sent."""

CHUNK = 64 * 1024
MAX_PARTS = 32
"""Above so many parts a message goes as JSON: servers bound the parts of a form."""


@dataclass(frozen=True)
class Body:
    """The query string, the content type ("" without a body) and the pieces of the body."""

    query: str = ""
    content_type: str = ""
    pieces: tuple[bytes, ...] = ()

    @property
    def length(self) -> int:
        """Bytes in all."""
        return sum(map(len, self.pieces))


class Upload:
    """A body in chunks of 64 kB, which tells how far it is; each iteration is a new sending."""

    def __init__(self, body: Body, progress: Progress | None) -> None:
        self.body, self.progress = body, progress

    def __iter__(self) -> Iterator[bytes]:
        total, sent = self.body.length, 0
        for piece in self.body.pieces:
            view = memoryview(piece)
            for start in range(0, len(piece), CHUNK):
                chunk = bytes(view[start : start + CHUNK])
                yield chunk  # comes back when the chunk is handed to the network
                sent += len(chunk)
                if self.progress:
                    self.progress(sent, total)


class AsyncUpload:
    """The same for an asynchronous client; httpx2 takes what is both for the first."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.upload:
            yield chunk


def encode(method: Method[Any, Any, Any], message: Any) -> Body:
    """The body of a call. Raises InvalidRequest where the message does not fit the method, and
    what its files raise (UnsupportedMedia, PayloadTooLarge)."""
    if isinstance(method.input.node, Nothing):
        return Body()
    made = payload(method, message)
    if method.verb in ("GET", "DELETE"):
        found, _ = _items(method, made)
        return Body(query=urlencode([(name, value) for name, value in found]))
    if made.media:
        items, whole = _items(method, made)
        if whole and len(items) <= MAX_PARTS:
            return _multipart(items)
    return Body(content_type="application/json", pieces=(inline(made),))


def payload(method: Method[Any, Any, Any], message: Any) -> Payload:
    """A message as it travels. Raises as ``encode`` does."""
    if message is ABSENT and method.has_default:
        message = method.default
    elif message is ABSENT:
        if method.is_bare:
            raise InvalidRequest(errors=[{"path": method.parameter, "message": "Field required"}])
        message = {}  # right where every field has a default; else it names the missing ones
    try:
        return method.input.encode(method.input.validate(message))
    except ValueError as error:  # the message was changed after it was made
        raise InvalidRequest(errors=[{"path": "", "message": str(error)}]) from error


# Forms: the inverse of codec.form


def _items(method: Method[Any, Any, Any], payload: Payload) -> tuple[list[tuple[str, Value]], bool]:
    """The names and values of a message as a form has them, and whether they say all of it."""
    value = from_json(payload.json)
    fields = {method.parameter: value} if method.is_bare else value
    items: list[tuple[str, Value]] = []
    whole, types = True, method.input.types
    for name, node, required in method.fields:
        if name in fields:
            values = _values(node, fields[name], payload, types)
            if values is None:  # left out; right where that means the same
                whole = whole and not required and _default(method, name) == fields[name]
            else:
                items += [(name, value) for value in values]
    carried = sum(isinstance(value, tuple) for _, value in items)
    return items, whole and carried == len(payload.media)


def _values(node: Node, value: Any, payload: Payload, types: Types) -> list[Value] | None:
    inner = present(node)
    many = isinstance(inner, ListOf) and not is_json(inner.item, types)
    if value is None and isinstance(node, Nullable):
        return None if many or is_text(inner) else [""]
    if many:
        assert isinstance(inner, ListOf)
        return [_value(inner.item, item, payload, types) for item in value or ()] or None
    return [_value(inner, value, payload, types)]


def _value(node: Node, value: Any, payload: Payload, types: Types) -> Value:
    if isinstance(node, MediaType):
        return payload.media[value["$media"]]
    if isinstance(value, str) and not is_json(node, types):
        return value
    return to_json(value).decode()


def _default(method: Method[Any, Any, Any], name: str) -> Any:
    if method.is_bare:
        return method.default
    message: Any = method.input.types[method.input.node.name]  # type: ignore[union-attr]
    return next(field.default for field in message.fields if field.wire == name)


def _multipart(items: Sequence[tuple[str, Value]]) -> Body:
    boundary = token_hex(16)
    pieces: list[bytes] = []
    for name, value in items:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
        if isinstance(value, str):
            pieces.append(f"{head}\r\n\r\n".encode() + value.encode())
        else:
            data, media_type, file_name = value
            head += f'; filename="{_quoted(file_name or name)}"'
            head += f"\r\nContent-Type: {media_type or 'application/octet-stream'}\r\n\r\n"
            pieces += [head.encode(), data]
        pieces.append(b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return Body(content_type=f"multipart/form-data; boundary={boundary}", pieces=tuple(pieces))


def _quoted(name: str) -> str:
    """A name in a part's header (WHATWG HTML, multipart/form-data encoding algorithm)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
