"""Limits of what is sent, as constants: for pickers, recorders and forms."""

from __future__ import annotations

from typing import Any

from ..media import AudioLimits, ImageLimits
from ..schema import ListOf, MapOf, MediaType, Message, Node, Nullable, Scalar
from . import comments, literals, names
from .api import Api, ServicePlan
from .layout import BLANK, HARD, Assign, Doc, Nest, join

QUALITY = 85
"""Of a JPEG that a phone makes for an upload: what image_picker's documentation uses."""

_RULES = {
    "min_length": ("MinLength", "The least {things}."),
    "max_length": ("MaxLength", "The most {things}."),
    "ge": ("Min", "The least value."),
    "gt": ("Above", "The value is greater."),
    "le": ("Max", "The greatest value."),
    "lt": ("Below", "The value is less."),
    "multiple_of": ("Step", "The value is a multiple of it."),
    "pattern": ("Pattern", "The regular expression, as the server's Python has it."),
}


def message_limits(api: Api, message: Message) -> Doc | None:
    """The class of a message's limits; None where it has none."""
    found = [
        row
        for entry in message.fields
        for row in _rows(entry.type, api.fields[message.name][entry.wire].rstrip("_"))
    ]
    return _class(api.limits[message.name], found, f"What a [{api.names[message.name]}] may hold.")


def service_limits(plan: ServicePlan) -> Doc | None:
    """The class of the limits of the bare values that a service's methods take."""
    found = []
    for method in plan.methods:
        parameter = method.parameter.rstrip("_")
        prefix = method.name.rstrip("_") + parameter[0].upper() + parameter[1:]
        found += _rows(method.node, prefix)
    return _class(plan.limits, found, f"What the methods of [{plan.api}] take.")


def _class(name: str, found: list[tuple[str, str, Doc, str]], about: str) -> Doc | None:
    if not found:
        return None
    scope = names.Scope(names.RESERVED | names.OBJECT)
    members: list[Doc] = [
        (
            comments.plain(doc),
            f"static const {type_} {scope.claim(called)}",
            Assign(" =", value, "always"),
            ";",
        )
        for called, type_, value, doc in found
    ]
    return (
        comments.plain(about, 0),
        f"abstract final class {name} {{",
        Nest(2, (HARD, join(members, BLANK))),
        HARD,
        "}",
    )


def _rows(node: Node, prefix: str) -> list[tuple[str, str, Doc, str]]:
    """(name, type, value, doc) of each constant."""
    match node:
        case Nullable(of):
            return _rows(of, prefix)
        case MediaType():
            return _media(node, prefix)
        case ListOf(item):
            return _rules(node, prefix, "items") + _rows(item, f"{prefix}Item")
        case MapOf(value):
            return _rules(node, prefix, "entries") + _rows(value, f"{prefix}Value")
        case Scalar(kind):
            return _rules(node, prefix, "bytes" if kind == "bytes" else "characters")
    return []


def _rules(node: Any, prefix: str, things: str) -> list[tuple[str, str, Doc, str]]:
    rows: list[tuple[str, str, Doc, str]] = []
    for rule, (suffix, about) in _RULES.items():
        value = node.rules.get(rule)
        if value is None or isinstance(value, bool):
            continue
        is_length = rule.endswith("length")
        if getattr(node, "kind", "") == "float" and not is_length and not isinstance(value, str):
            value = float(value)
        type_ = {int: "int", float: "double", str: "String"}.get(type(value))
        if type_ and not (isinstance(value, int) and abs(value) > literals.SAFE_INT):
            shown = literals.value(value)
            if value in (float("inf"), float("-inf")):
                shown = "double.infinity" if value > 0 else "double.negativeInfinity"
            rows.append((f"{prefix}{suffix}", type_, shown, about.format(things=things)))
    return rows


def _media(node: MediaType, prefix: str) -> list[tuple[str, str, Doc, str]]:
    limits = node.limits
    rows: list[tuple[str, str, Doc, str]] = [
        (f"{prefix}MaxBytes", "int", literals.number(limits.max_bytes), "The most bytes.")
    ]
    formats = sorted(getattr(limits, "formats", ()))
    if formats:
        about = "The formats that are taken."
        rows.append((f"{prefix}Formats", "List<String>", literals.value(formats), about))
    if isinstance(limits, ImageLimits):
        if limits.max_edge is not None:
            edge = literals.number(float(limits.max_edge))
            for side in ("Width", "Height"):
                about = f"For `max{side}` of image_picker: more is not looked at."
                rows.append((f"{prefix}Max{side}", "double", edge, about))
        if "jpeg" in formats:
            name = prefix if prefix.lower().endswith("image") else f"{prefix}Image"
            about = "For `imageQuality` of image_picker: a JPEG that looks the same."
            rows.append((f"{name}Quality", "int", str(QUALITY), about))
        rows.append(
            (f"{prefix}MaxPixels", "int", literals.number(limits.max_pixels), "The most pixels.")
        )
    elif isinstance(limits, AudioLimits):
        seconds = literals.number(float(limits.max_seconds))
        rows.append((f"{prefix}MaxSeconds", "double", seconds, "The most seconds of sound."))
        if limits.pcm is not None:
            about = (
                "Samples a second of raw sound: 16-bit little-endian mono, as microphones give it."
            )
            rows.append((f"{prefix}SampleRate", "int", literals.number(limits.pcm), about))
    return rows
