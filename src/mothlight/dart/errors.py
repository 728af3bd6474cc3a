"""Declared errors: an exception each."""

from __future__ import annotations

import re

from ..schema import Nullable
from . import comments, literals
from .api import Api, ErrorPlan
from .layout import BLANK, HARD, Assign, Doc, Initialized, Nest, call, declared, join
from .types import Dart


def error_class(api: Api, plan: ErrorPlan) -> Doc:
    """The exception of a declared error. Its constructor reads the fields: one that does not fit is
    found where the answer is read, and not where a widget shows it."""
    dart = Dart(api)
    read: list[Doc] = []
    fields: list[Doc] = []
    for name, wire, node, required in plan.fields:
        type_, decoder = dart.type(node), dart.decoder(node)
        value = call("problem.map.read", literals.string(wire), decoder)
        if not required:
            type_ = type_ if type_.endswith("?") else f"{type_}?"
            decoder = decoder if isinstance(node, Nullable) else call("nullable", decoder)
            value = call("problem.map.readOr", literals.string(wire), decoder, "null")
        read.append((name, Assign(" =", value, "always")))
        about = comments.about(wire, is_flag=type_.startswith("bool"))
        fields.append((comments.comment("", about), declared(f"final {type_}", name), ";"))
    about = "The error that the server describes."
    head: Doc = f"{plan.name}(super.problem)"
    if read:
        about += " Throws [DecodeException]."
        head = Initialized(head, tuple(read))
    members = [(comments.plain(about), head, ";"), *fields]
    return (
        comments.comment(template(plan.doc), f"The error `{plan.wire}`.", indent=0),
        f"final class {plan.name} extends ApiException {{",
        Nest(2, (HARD, join(members, BLANK))),
        HARD,
        "}",
    )


def template(doc: str) -> str:
    """The message of an error, its fields shown as code."""
    shown = re.sub(r"\{([A-Za-z_]\w*)[^{}]*\}", r"``\1``", doc)
    shown = shown.replace("{{", "{").replace("}}", "}")
    return shown[:1].upper() + shown[1:]
