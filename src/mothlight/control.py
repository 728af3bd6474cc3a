"""Control: the frames of a method's own socket that are no message and no item, and which messages
could be taken for one. Server, client and the check of a method ask here; the Dart runtime has the
forms in its Conversation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic_core import from_json

from .schema import (
    Choice,
    Enum,
    Field,
    MapOf,
    Message,
    Node,
    Nullable,
    Ref,
    Scalar,
    Types,
    Union,
    present,
)


@dataclass(frozen=True)
class Form:
    """A frame with exactly these keys; ``values`` are what JSON has there: True, or a type."""

    values: Mapping[str, Any]
    meaning: str

    def fits(self, found: Any) -> bool:
        """Whether a JSON value is such a frame."""
        if not isinstance(found, dict) or found.keys() != self.values.keys():
            return False
        return all(_is(found[key], kind) for key, kind in self.values.items())

    def __str__(self) -> str:
        shown = (f'"{key}": {"true" if kind is True else "…"}' for key, kind in self.values.items())
        return f"{{{', '.join(shown)}}}"


FROM_CLIENT = (
    Form({"end": True}, "there are no more messages"),
    Form({"cancel": True}, "stop the call"),
)
FROM_SERVER = (
    Form({"end": True}, "there are no more items"),
    Form({"error": dict}, "the call has failed"),
    Form({"received": int}, "so many messages have come"),
    Form({"call": object, "received": int}, "which call it is"),
)
_KEYS = "|".join(key for form in (*FROM_CLIENT, *FROM_SERVER) for key in form.values)
_START = re.compile(rf'\s*\{{\s*"({_KEYS})"\s*:')  # nearly all others need not be parsed


def read(frame: str | bytes, forms: tuple[Form, ...]) -> dict[str, Any]:
    """What a frame of control says; {} where it is none of these."""
    if not isinstance(frame, str) or not _START.match(frame):
        return {}
    try:
        found: dict[str, Any] = from_json(frame)
    except ValueError:
        return {}
    return found if any(form.fits(found) for form in forms) else {}


class Clash(NamedTuple):
    """What may look like ``form``: a message of type ``name``, by its ``field``, or a map (then
    they are "" and None)."""

    form: Form
    name: str = ""
    field: Field | None = None


def clash(
    node: Node, types: Types, forms: tuple[Form, ...], *, is_whole: bool = False
) -> Clash | None:
    """How a message of this type may look like a frame of control, if it may. ``is_whole``: who
    writes it leaves out no optional field."""
    for found, tag in _objects(present(node), types):
        for form in forms:
            if isinstance(found, MapOf):
                if all(_may_be(found.value, kind, types) for kind in form.values.values()):
                    return Clash(form)
                continue
            fields = {field.wire: field for field in found.fields}
            needed = {f.wire for f in found.fields if is_whole or f.required or f.wire == tag}
            if needed <= form.values.keys() <= fields.keys() and all(
                _may_be(fields[key].type, kind, types) for key, kind in form.values.items()
            ):
                return Clash(form, found.name, fields[next(iter(form.values))])
    return None


def _objects(node: Node, types: Types) -> Iterator[tuple[Message | MapOf, str]]:
    """What of a type is an object in JSON, with the tag that tells it from others."""
    if isinstance(node, MapOf):
        yield node, ""
    elif isinstance(node, Ref):
        named = types[node.name]
        if isinstance(named, Message):
            yield named, ""
        elif isinstance(named, Union):
            for name in dict.fromkeys(named.variants.values()):
                if isinstance(variant := types[name], Message):
                    yield variant, named.tag


def _may_be(node: Node, kind: Any, types: Types) -> bool:
    """Whether a value of this type may be of that one in JSON."""
    match node:
        case Nullable(of):
            return _may_be(of, kind, types)
        case Scalar(kind="bool"):
            return kind in (True, object)
        case Scalar(kind="int" | "float"):
            return kind in (int, object)  # in a browser 2.0 is an integer
        case Choice(values):
            return any(_is(value, kind) for value in values)
        case MapOf():
            return kind in (dict, object)
        case Ref(name):
            named = types[name]
            if isinstance(named, Enum):
                return any(_is(value, kind) for value in named.members.values())
            return kind in (dict, object)
    return kind is object


def _is(value: Any, kind: Any) -> bool:
    if kind is True or kind is object:
        return value is True or kind is object
    return isinstance(value, kind) and not isinstance(value, bool)
