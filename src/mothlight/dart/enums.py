"""Enums."""

from __future__ import annotations

from typing import Any

from ..schema import Enum
from . import comments, literals
from .api import Api
from .layout import BLANK, HARD, Assign, Doc, Nest, call, conditional, join, named


def enum_class(api: Api, enum: Enum) -> Doc:
    """An enum, with a member for what a newer server may send."""
    name, names = api.names[enum.name], api.members[enum.name]
    values = list(enum.members.values())
    type_ = _wire_type(values)
    rows: list[Doc] = []
    for member, value in enum.members.items():
        shown = value if isinstance(value, str) and value else literals.json_text(value)
        about = comments.plain(f"{comments.code(shown)} on the wire.")
        rows.append((about, call(names[member], literals.value(value)), ","))
    rows.append((comments.plain("A value that only a newer server knows."), "unknown(null);"))
    deep = any(isinstance(value, (list, dict)) for value in values)
    test = "deepEquals(member.wire, json)" if deep else "member.wire == json"
    find = call(
        "values.firstWhere", f"(member) => {test}", named("orElse", "() => unknown", "never")
    )
    refuse = call("throw StateError", literals.string(f"{name}.unknown cannot be sent"))
    parts: list[Doc] = [
        (comments.plain("A member that is [wire] on the wire."), f"const {name}(this.wire);"),
        (
            comments.plain("The member of a JSON value; [unknown] where there is none."),
            f"factory {name}.fromJson(Object? json)",
            Assign(" =>", find, "else"),
            ";",
        ),
        (comments.plain("The value on the wire."), f"final {type_} wire;"),
        (
            comments.plain("As JSON. Throws [StateError] where it is [unknown]."),
            "Object? toJson()",
            Assign(" =>", conditional("this == unknown", refuse, "wire")),
            ";",
        ),
    ]
    fallback = "One of some values." if enum.name.endswith(")") else f"The values of `{enum.name}`."
    return (
        comments.comment(enum.doc, fallback, indent=0),
        f"enum {name} {{",
        Nest(2, (HARD, join([join(rows, BLANK), *parts], BLANK))),
        HARD,
        "}",
    )


def _wire_type(values: list[Any]) -> str:
    for type_, name in ((str, "String?"), (bool, "bool?"), (int, "int?"), (float, "double?")):
        if values and all(type(value) is type_ for value in values):
            big = type_ is int and any(abs(value) > literals.SAFE_INT for value in values)
            return "Object?" if big else name
    return "Object?"
