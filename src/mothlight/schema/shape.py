"""Shape: one type with its tree and the two functions that carry it over the wire.

A ``Payload`` is how a message travels between the front process and a worker: JSON, and beside it
the bytes of the files that it holds (in the JSON each is ``{"$media": index}``).
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import warnings
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError, from_json, to_json

from ..errors import InvalidRequest
from ..media.file import Media
from .tree import (
    ListOf,
    MapOf,
    MediaType,
    Message,
    Node,
    Nullable,
    Ref,
    Scalar,
    Types,
    Union,
    leaves,
    tag_attribute,
)

T = TypeVar("T")
Attached = tuple[bytes, str | None, str | None]
"""A file beside the JSON: its bytes, media type and name."""

_URL_SAFE = str.maketrans("-_", "+/")
# A float may be infinite or NaN only where one of these stands in the JSON ("1e400" is infinite).
_NOT_FINITE = re.compile(rb"nan|inf|e\+?\d{3}|\d{200}", re.IGNORECASE)

_NOT_IN_JSON = frozenset(
    ("datetime_type", "date_type", "time_type", "time_delta_type", "set_type", "frozen_set_type",
     "tuple_type", "dataclass_exact_type", "is_instance_of")
)  # fmt: skip
"""What a strict type finds wrong with values out of JSON that are right; UUIDs, decimals and the
members of enums are instances."""


class Payload(NamedTuple):
    """A message as it travels: JSON bytes and the files that it refers to."""

    json: bytes
    media: tuple[Attached, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of both."""
        json, media = self
        return len(json) + sum(len(data) for data, _, _ in media) if media else len(json)


def split(array: bytes) -> list[Payload]:
    """The messages that were joined."""
    return [Payload(bytes(raw)) for raw in _split(array)]


_split = msgspec.json.Decoder(list[msgspec.Raw]).decode


class Shape(Generic[T]):
    """A Python type as the wire sees it."""

    def __init__(self, hint: Any, node: Node, types: Types) -> None:
        self.hint, self.node, self.types = hint, node, types
        self.adapter: TypeAdapter[T] = TypeAdapter(hint)
        found = list(_nodes(node, types, set()))
        scalars = [n for n in found if isinstance(n, Scalar)]
        self.has_floats = any(n.kind == "float" for n in scalars)
        self.has_strings = any(n.kind == "str" for n in scalars)
        self.has_media = any(isinstance(n, MediaType) for n in found)
        # pydantic writes bytes as UTF-8 and NaN as null unless each model is configured otherwise;
        # types that hold them take a longer way, through the tree.
        self.plain = not any(n.kind == "bytes" or n.rules.get("finite") is False for n in scalars)
        self.joins = self.plain and not self.has_media
        """Whether the messages of a batch stand in one JSON array: nobody on their way has to take
        each in hand."""

    def decode(self, payload: Payload, seen: list[Media] | None = None) -> T:
        """The message. ``seen`` collects its files. Raises InvalidRequest, and the errors of files
        (UnsupportedMedia, PayloadTooLarge)."""
        context: dict[str, Any] = {"media": payload.media}
        if seen is not None:
            context["seen"] = seen
        value: T
        try:
            if self.plain:
                # The adapter's own validate_json and dump_json take longer than small messages.
                value = self.adapter.validator.validate_json(payload.json, context=context)
            else:
                raw = from_json(payload.json, allow_inf_nan=False)
                value = self._validate_parsed(
                    _read_scalars(self.node, raw, self.types, ""), context
                )
        except ValidationError as error:
            raise InvalidRequest(errors=_violations(_errors(error))) from None
        if (
            self.has_floats
            and _NOT_FINITE.search(payload.json)
            and (odd := self._not_finite(value))
        ):
            raise InvalidRequest(errors=[{"path": odd[0], "message": odd[1]}])
        return value

    def join(self, payloads: list[Payload]) -> list[Payload] | bytes:
        """The messages of a batch as they go to its method. Each has to be one JSON value, as the
        codecs see to it."""
        if not self.joins or len(payloads) < 2:
            return payloads
        return b"[%b]" % b",".join([payload.json for payload in payloads])

    def decode_all(self, array: bytes, count: int) -> list[T] | None:
        """The ``count`` messages of a batch, joined, which takes half the time; None where each has
        to be looked at by itself."""
        if self.has_floats and _NOT_FINITE.search(array):
            return None
        try:
            found: list[T] = self._list.validator.validate_json(array)
        except Exception:  # whatever it is, it belongs to one of them
            return None
        return found if len(found) == count else None

    @cached_property
    def _list(self) -> TypeAdapter[list[T]]:
        hint: Any = list[self.hint]  # type: ignore[name-defined]
        return TypeAdapter(hint)

    def _validate_parsed(self, raw: Any, context: dict[str, Any]) -> T:
        try:
            return self.adapter.validate_python(raw, context=context)
        except ValidationError as error:
            found = _errors(error)
            strict = [entry for entry in found if entry["type"] not in _NOT_IN_JSON]
            if len(strict) == len(found):
                raise
        # A strict type refuses what has no form of its own in JSON, since this is not pydantic's
        # JSON mode: that alone, and what it holds, is read in the lax mode.
        if "seen" in context:
            context["seen"].clear()
        value = self.adapter.validate_python(raw, strict=False, context=context)
        if strict:
            raise InvalidRequest(errors=_violations(strict))
        return value

    def validate(self, value: Any) -> T:
        """The message that a Python value is, or is made into (a dict of fields, a PIL image).
        Raises InvalidRequest, and the errors of files."""
        try:
            return self.adapter.validate_python(value)
        except ValidationError as error:
            raise InvalidRequest(errors=_violations(_errors(error))) from None

    def encode(self, value: T) -> Payload:
        """The JSON and files of a message; ValueError names a value that does not fit the type."""
        self._check(value)
        context: dict[str, Any] = {}
        try:
            if self.plain:
                _make_misfits_errors()
                json = self.adapter.serializer.to_json(
                    value, by_alias=True, context=context, warnings=True
                )
            else:
                raw = self.adapter.dump_python(value, by_alias=True, warnings="error")
                json = to_json(_write_bytes(raw, context), inf_nan_mode="strings")
        except (PydanticSerializationError, Warning) as error:
            raise ValueError(_misfit(str(error))) from None
        if self.has_floats and _is_suspect(json) and (odd := self._not_finite(value)):
            mend = "fix the model, or let it pass with   Field(allow_inf_nan=True)"
            raise ValueError(f"{odd[0] or 'the value'}: {odd[1]}; {mend}")
        return Payload(json, tuple(context.get("media", ())))

    def encode_all(self, values: list[T]) -> bytes | None:
        """The answers of a batch, joined, likewise."""
        if not self.joins or not self._list.validator.isinstance_python(values):
            return None
        _make_misfits_errors()
        try:
            array = self._list.serializer.to_json(values, by_alias=True, warnings=True)
        except Exception:  # whatever it is, it belongs to one of them
            return None
        return None if self.has_floats and _is_suspect(array) else array

    def _check(self, value: T) -> None:
        """Sees to what pydantic does not when it writes: there None is null, and one model is as
        good as another."""
        if self.has_media and value is not None:  # which it would open, or make of a picture
            return
        validator = self.adapter.validator
        if not validator.isinstance_python(value):
            try:
                validator.validate_python(value)
            except ValidationError as error:
                found = error.errors(include_url=False, include_context=False)[0]
                it, path = type(found["input"]).__name__, path_of(found["loc"]) or "the value"
                told = found["msg"].replace("a valid dictionary or instance", "an instance")
                raise ValueError(f"{path}: {told}, and it is {_a(it)}") from None

    def _not_finite(self, value: T) -> tuple[str, str] | None:
        """(path, message) of the first float that is not finite and has no leave to be so."""
        for node, leaf, path in leaves(self.node, value, self.types):
            if isinstance(node, Scalar) and node.kind == "float":
                allowed = node.rules.get("finite") is False
                if not allowed and leaf is not None and not math.isfinite(leaf):
                    return path, f"{leaf} is not a finite number"
        return None


def _is_suspect(json: bytes) -> bool:
    """Whether a float may not be finite: pydantic writes NaN as null."""
    return b"null" in json or b"NaN" in json or b"Infinity" in json


_strict: list[object] = [None]
"""The filter of warnings that we have set last."""


def _make_misfits_errors() -> None:
    """Sees to it that what pydantic warns of in this module is raised.

    Its own way, ``warnings="error"``, drops the interpreter's lock twice for each value (an
    argument that is a string is first taken for a bool, and the failure of that made an exception):
    with 64 threads that encode, 4.4 switches between threads an item instead of 2.
    """
    if not warnings.filters or warnings.filters[0] is not _strict[0]:  # a model's is before
        warnings.filterwarnings("error", module=re.escape(__name__) + r"\Z")
        _strict[0] = warnings.filters[0]


_UNEXPECTED = re.compile(
    r"Expected `(?P<type>[^`]+)`.*?\[(field_name='(?P<field>[^']+)', )?.*input_type=(?P<is>\w+)"
)
"""What pydantic says of a value that it can write, and that is not of the type."""


def _misfit(told: str) -> str:
    found = _UNEXPECTED.search(told)
    if not found:
        return told
    where = found["field"] or "the value"
    return f"{where}: Input should be {_a(found['type'])}, and it is {_a(found['is'])}"


def _a(name: str) -> str:
    return f"{'an' if name[0] in 'aeiouAEIO' else 'a'} {name}"


def _errors(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False, include_context=False, include_input=False)


def _violations(errors: Sequence[ErrorDetails]) -> list[dict[str, str]]:
    return [{"path": path_of(entry["loc"]), "message": entry["msg"]} for entry in errors[:50]]


def path_of(location: Iterable[int | str]) -> str:
    """("items", 0, "x") as ``items[0].x``."""
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


def _nodes(node: Node, types: Types, done: set[str]) -> Iterable[Node]:
    yield node
    match node:
        case Nullable(inner) | ListOf(inner) | MapOf(inner):
            yield from _nodes(inner, types, done)
        case Ref(name) if name not in done:
            done.add(name)
            match types[name]:
                case Message(fields=fields):
                    for entry in fields:
                        yield from _nodes(entry.type, types, done)
                case Union(variants=variants):
                    for variant in variants.values():
                        yield from _nodes(Ref(variant), types, done)


def _read_scalars(node: Node, raw: Any, types: Types, path: str) -> Any:
    """A copy of parsed JSON in which the base64 of each ``bytes`` field is decoded, and the name of
    a float that is not finite."""
    match node, raw:
        case Scalar(kind="float"), "NaN" | "Infinity" | "-Infinity":
            return float(raw) if node.rules.get("finite") is False else raw
        case Scalar(kind="bytes"), str():
            try:
                return base64.b64decode(raw.translate(_URL_SAFE), validate=True)
            except (binascii.Error, ValueError):
                message = "bytes in JSON are a base64 string (RFC 4648)"
                raise InvalidRequest(errors=[{"path": path, "message": message}]) from None
        case Nullable(of), _ if raw is not None:
            return _read_scalars(of, raw, types, path)
        case ListOf(item), list():
            return [_read_scalars(item, x, types, f"{path}[{i}]") for i, x in enumerate(raw)]
        case MapOf(of), dict():
            return {
                k: _read_scalars(of, x, types, f"{path}.{k}" if path else k) for k, x in raw.items()
            }
        case Ref(name), dict():
            named = types[name]
            if isinstance(named, Union):
                tag = raw.get(named.tag, raw.get(tag_attribute(named, types)))
                variant = named.variants.get(str(tag))
                if variant is None:  # pydantic would guess, and might take base64 for bytes
                    path = f"{path}.{named.tag}" if path else named.tag
                    message = f"is one of {', '.join(map(repr, named.variants))}"
                    raise InvalidRequest(errors=[{"path": path, "message": message}])
                return _read_scalars(Ref(variant), raw, types, path)
            if isinstance(named, Message):
                # A model may take a field by its name in Python, too; others pass over that.
                inner = {entry.name: entry.type for entry in named.fields}
                inner |= {entry.wire: entry.type for entry in named.fields}
                return {
                    k: _read_scalars(inner[k], x, types, f"{path}.{k}" if path else k)
                    if k in inner
                    else x
                    for k, x in raw.items()
                }
    return raw


def _write_bytes(raw: Any, context: dict[str, Any]) -> Any:
    """A copy of dumped Python in which bytes are base64 and files are set beside."""
    match raw:
        case bytes():
            return base64.b64encode(raw).decode()
        case dict():
            return {key: _write_bytes(value, context) for key, value in raw.items()}
        case list() | tuple() | set() | frozenset():
            return [_write_bytes(value, context) for value in raw]
        case Media():
            attached = context.setdefault("media", [])
            attached.append((raw.data, raw.media_type, raw.name))
            return {"$media": len(attached) - 1}
    return raw


__all__ = ["Attached", "Payload", "Shape", "path_of"]
