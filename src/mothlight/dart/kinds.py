"""Enums and unions."""

from __future__ import annotations

from typing import Any

from ..schema import Enum, Union
from . import text
from .api import Api
from .layout import BLANK, HARD, Assign, Doc, Nest, call, conditional, infix, join, named


def enum_class(api: Api, enum: Enum) -> Doc:
    """An enum, with a member for what a newer server may send."""
    name, names = api.names[enum.name], api.members[enum.name]
    values = list(enum.members.values())
    type_ = _wire_type(values)
    rows: list[Doc] = []
    for member, value in enum.members.items():
        shown = value if isinstance(value, str) and value else text.json_text(value)
        about = text.plain(f"{text.code(shown)} of the server.")
        rows.append((about, call(names[member], text.value(value)), ","))
    rows.append((text.plain("A value that only a newer server knows."), "unknown(null);"))
    deep = any(isinstance(value, (list, dict)) for value in values)
    test = "deepEquals(member.wire, json)" if deep else "member.wire == json"
    find = call(
        "values.firstWhere", f"(member) => {test}", named("orElse", "() => unknown", "never")
    )
    refuse = call("throw StateError", text.string(f"{name}.unknown cannot be sent"))
    parts: list[Doc] = [
        (text.plain("A member that is [wire] on the wire."), f"const {name}(this.wire);"),
        (
            text.plain("The member of a JSON value; [unknown] where there is none."),
            f"factory {name}.fromJson(Object? json)",
            Assign(" =>", find, "else"),
            ";",
        ),
        (text.plain("The value on the wire."), f"final {type_} wire;"),
        (
            text.plain("As JSON. Throws [StateError] where it is [unknown]."),
            "Object? toJson()",
            Assign(" =>", conditional("this == unknown", refuse, "wire")),
            ";",
        ),
    ]
    fallback = "One of some values." if enum.name.endswith(")") else f"`{enum.name}` of the server."
    return (
        text.comment(enum.doc, fallback, indent=0),
        f"enum {name} {{",
        Nest(2, (HARD, join([join(rows, BLANK), *parts], BLANK))),
        HARD,
        "}",
    )


def _wire_type(values: list[Any]) -> str:
    for type_, name in ((str, "String?"), (bool, "bool?"), (int, "int?"), (float, "double?")):
        if values and all(type(value) is type_ for value in values):
            big = type_ is int and any(abs(value) > text.SAFE_INT for value in values)
            return "Object?" if big else name
    return "Object?"


def union_class(api: Api, union: Union) -> Doc:
    """A sealed class, and the variant that stands for those of a newer server."""
    name, unknown = api.names[union.name], api.unknown[union.name]
    cases: list[Doc] = []
    for variant, values in api.tags(union).items():
        if values:
            pattern = infix("||", [text.value(value) for value in values])
            made = f"{api.names[variant]}.fromJson(json)"
            cases.append((pattern, Assign(" =>", made, by=2), ","))
    cases.append(("_", Assign(" =>", f"{unknown}(map.members)", by=2), ","))
    head = (f"return switch (map.members[{text.string(union.tag)}]) {{",)
    body = (
        f"final map = JsonMap.of(json, {text.string(name)});",
        HARD,
        head,
        Nest(2, (HARD, join(cases, HARD))),
        HARD,
        "};",
    )
    variants = [f"[{api.names[variant]}]" for variant in dict.fromkeys(union.variants.values())]
    fallback = text.plain(f"One of {', '.join(variants)}, or [{unknown}].", 0)
    about = text.comment(union.doc, indent=0) or fallback
    return (
        about,
        f"sealed class {name} {{",
        Nest(
            2,
            (
                HARD,
                text.plain("Reads one out of JSON. Throws [DecodeException]."),
                f"factory {name}.fromJson(Object? json) {{",
                Nest(2, (HARD, body)),
                HARD,
                "}",
                BLANK,
                text.plain("As JSON; a file stands in it as it is."),
                "Map<String, Object?> toJson();",
            ),
        ),
        HARD,
        "}",
        BLANK,
        *_unknown_class(name, unknown),
    )


def _unknown_class(name: str, unknown: str) -> tuple[Doc, ...]:
    parts: list[Doc] = [
        (text.plain("It was [json] on the wire."), f"const {unknown}(this.json);"),
        (text.plain("What came."), "final Map<String, Object?> json;"),
        ("@override", HARD, "Map<String, Object?> toJson() => json;"),
        (
            "@override",
            HARD,
            "bool operator ==(Object other)",
            Assign(" =>", infix("&&", [f"other is {unknown}", "deepEquals(other.json, json)"])),
            ";",
        ),
        (
            "@override",
            HARD,
            "int get hashCode",
            Assign(" =>", call("Object.hash", unknown, "deepHash(json)"), "else"),
            ";",
        ),
        ("@override", HARD, "String toString()", Assign(" =>", f"'{unknown}($json)'"), ";"),
    ]
    return (
        text.plain(f"A [{name}] that only a newer server knows.", 0),
        f"final class {unknown} implements {name} {{",
        Nest(2, (HARD, join(parts, BLANK))),
        HARD,
        "}",
    )
