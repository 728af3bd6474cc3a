"""Unions: a sealed class each."""

from __future__ import annotations

from ..schema import Union
from . import comments, literals
from .api import Api
from .layout import BLANK, HARD, Assign, Doc, Nest, call, infix, join


def union_class(api: Api, union: Union) -> Doc:
    """A sealed class, and the variant that stands for those of a newer server."""
    name, unknown = api.names[union.name], api.unknown[union.name]
    cases: list[Doc] = []
    for variant, values in api.tags(union).items():
        if values:
            pattern = infix("||", [literals.value(value) for value in values])
            made = f"{api.names[variant]}.fromJson(json)"
            cases.append((pattern, Assign(" =>", made, by=2), ","))
    cases.append(("_", Assign(" =>", f"{unknown}(map.members)", by=2), ","))
    head = (f"return switch (map.members[{literals.string(union.tag)}]) {{",)
    body = (
        "final map",
        Assign(" =", call("JsonMap.of", "json", literals.string(name)), "always"),
        ";",
        HARD,
        head,
        Nest(2, (HARD, join(cases, HARD))),
        HARD,
        "};",
    )
    variants = [f"[{api.names[variant]}]" for variant in dict.fromkeys(union.variants.values())]
    fallback = comments.plain(f"One of {', '.join(variants)}, or [{unknown}].", 0)
    about = comments.comment(union.doc, indent=0) or fallback
    return (
        about,
        f"sealed class {name} {{",
        Nest(
            2,
            (
                HARD,
                comments.plain("Reads one out of JSON. Throws [DecodeException]."),
                (call(f"factory {name}.fromJson", "Object? json"), " {"),
                Nest(2, (HARD, body)),
                HARD,
                "}",
                BLANK,
                comments.plain("As JSON; a file stands in it as it is."),
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
        (comments.plain("It was [json] on the wire."), f"const {unknown}(this.json);"),
        (comments.plain("What came."), "final Map<String, Object?> json;"),
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
        comments.plain(f"A [{name}] that only a newer server knows.", 0),
        f"final class {unknown} implements {name} {{",
        Nest(2, (HARD, join(parts, BLANK))),
        HARD,
        "}",
    )
