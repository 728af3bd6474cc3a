"""A message as what a request carries: a query, JSON, or a form whose files go as they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode

from pydantic_core import from_json, to_json

from ..codec.form import Value, is_json, is_text
from ..codec.json import inline
from ..errors import InvalidRequest
from ..schema import ListOf, MediaType, Node, Nothing, Nullable, Payload, Types, present
from ..services import Method

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
    """The body of a call. Raises InvalidRequest where the message does not fit the method, or a
    query cannot say it, and what its files raise (UnsupportedMedia, PayloadTooLarge)."""
    if isinstance(method.input.node, Nothing):
        return Body()
    made = payload(method, message)
    if method.verb in ("GET", "DELETE"):
        items, unsaid = _items(method, made)
        if unsaid and (lost := _lost(method, made, unsaid)):
            raise InvalidRequest(errors=lost)
        return Body(query=urlencode(items))
    if made.media:
        items, unsaid = _items(method, made)
        carried = sum(isinstance(value, tuple) for _, value in items)
        if not unsaid and carried == len(made.media) and len(items) <= MAX_PARTS:
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


def _items(
    method: Method[Any, Any, Any], payload: Payload
) -> tuple[list[tuple[str, Value]], dict[str, Any]]:
    """The names and values of a message as a form has them, and the fields that a form cannot say:
    it leaves them out, and they are not known to be the defaults."""
    value = from_json(payload.json)
    fields = {method.parameter: value} if method.is_bare else value
    items: list[tuple[str, Value]] = []
    unsaid: dict[str, Any] = {}
    for name, node, required in method.fields:
        if name in fields:
            values = _values(node, fields[name], payload, method.input.types)
            if values is not None:
                items += [(name, value) for value in values]
            elif required or _default(method, name) != fields[name]:
                unsaid[name] = fields[name]
    return items, unsaid


def _lost(
    method: Method[Any, Any, Any], payload: Payload, unsaid: dict[str, Any]
) -> list[dict[str, str]]:
    """What a query would lose by leaving these fields out. The value of a default factory only the
    class knows: it reads the message without them."""
    required = {name for name, _, is_required in method.fields if is_required}
    found: dict[str, Any] = {}
    if not method.is_bare:
        value = from_json(payload.json)
        rest = {k: v for k, v in value.items() if k in required or k not in unsaid}
        with suppress(InvalidRequest):  # a validator of its own needs one of them
            read = method.input.decode(Payload(to_json(rest)))
            found = from_json(method.input.encode(read).json)
    return [
        {
            "path": name,
            "message": f"a query cannot say {value!r}: it would be left out, which says something "
            "else; a POST can",
        }
        for name, value in unsaid.items()
        if name in required or found.get(name, ...) != value
    ]


def _values(node: Node, value: Any, payload: Payload, types: Types) -> list[Value] | None:
    """The values of a field; None where no form can say this one."""
    inner = present(node)
    if isinstance(inner, ListOf) and not is_json(inner.item, types):
        return [_value(inner.item, item, payload, types) for item in value or ()] or None
    if isinstance(node, Nullable):
        if value is None:
            return None if is_text(inner) else [""]
        if value == "" and not is_text(inner):  # which is null in a form
            return None
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
