"""Fakes: stand-ins for services, out of functions, for an app's tests."""

from __future__ import annotations

from . import comments, literals
from .api import Api, MethodPlan, ServicePlan
from .layout import HARD, Assign, Doc, Initialized, Nest, call, declared, infix, parameters
from .names import Scope
from .services import class_, declaration, signature

_ON_CALL = "void Function(String method, CallOptions? options)"


def fake(api: Api, plan: ServicePlan) -> Doc:
    """A stand-in for a service, out of functions."""
    told = Scope(method.name for method in plan.methods).claim("onCall")
    functions: list[tuple[Doc, str]] = [(_function(api, m), m.name) for m in plan.methods]
    functions.append((_ON_CALL, told))
    given = [declared((function, "?"), name) for function, name in functions]
    kept = tuple((f"_{name}", Assign(" =", name)) for _, name in functions)
    head = (plan.fake, parameters([], given))
    about = (
        "Answers as these functions do; the others throw [UnimplementedError]. "
        f"[{told}] hears of each call first, with its options."
    )
    members: list[Doc] = [(comments.plain(about), Initialized(head, kept), ";")]
    for function, name in functions:
        members.append((declared(("final ", function, "?"), f"_{name}"), ";"))
    for method in plan.methods:
        name, argument = method.name, signature(api, method).argument
        local = "fake" if argument == "answer" else "answer"
        made = infix(
            "??", [f"_{name}", call(_missing(api), literals.string(f"{plan.fake}.{name}"))]
        )
        asked = call(f"return {local}", *([] if argument == "null" else [argument]))
        tell = call(f"_{told}?.call", literals.string(name), "options")
        body = (HARD, tell, ";", HARD, f"final {local}", Assign(" =", made), ";", HARD, asked, ";")
        members.append(
            ("@override", HARD, declaration(api, method), " {", Nest(2, body), HARD, "}")
        )
    shown = comments.plain(f"A [{plan.api}] for tests, without a server.", 0)
    return (shown, *class_(f"base class {plan.fake} implements {plan.api}", members))


def _function(api: Api, method: MethodPlan) -> Doc:
    found = signature(api, method)
    given: list[Doc] = []
    if found.argument != "null":
        type_ = f"Stream<{found.input}>" if method.streams_in else found.input
        given = [declared(type_, method.parameter)]
    return (found.output, Assign("", call("Function", *given), "always", by=0))


def _missing(api: Api) -> str:
    """The name of a function that no member of a fake hides."""
    kept = {f"_{method.name}" for plan in api.services for method in plan.methods}
    return Scope(kept, mark="Call").claim("_missing")


def missing(api: Api) -> Doc:
    """The function that fakes call for what they were not given."""
    return (
        f"Never {_missing(api)}(String method)",
        Assign(" =>", call("throw UnimplementedError", "'$method was not given'"), "else"),
        ";",
    )


def all_fakes(api: Api) -> Doc:
    """A function that makes all services of fakes."""
    arguments = [f"{plan.member}: {plan.member} ?? {plan.fake}()" for plan in api.services]
    given = [f"{plan.api}? {plan.member}" for plan in api.services]
    name = f"fake{api.all}"
    return (
        comments.plain(f"[{api.all}] of fakes, but for those that are given.", 0),
        (f"{api.all} {name}", parameters([], given)),
        Assign(" =>", call(api.all, *arguments), "else"),
        ";",
    )
