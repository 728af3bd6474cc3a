"""Services: an interface, a client and the list of its methods each."""

from __future__ import annotations

from dataclasses import dataclass

from ..schema import Nothing
from . import comments, literals
from .api import Api, MethodPlan, ServicePlan
from .forms import form
from .layout import (
    BLANK,
    HARD,
    Assign,
    Doc,
    Group,
    Initialized,
    Line,
    Nest,
    call,
    conditional,
    declared,
    delimited,
    is_collection,
    join,
    named,
    parameters,
)
from .messages import deprecated
from .names import lower_camel
from .types import Dart, NotConst, const

_OPTIONS = "CallOptions? options"


@dataclass(frozen=True)
class Signature:
    """A method's parameter and types. ``argument`` is what a client hands on."""

    input: str
    output: str
    positional: tuple[Doc, ...]
    optional: tuple[Doc, ...]
    argument: str
    may_be_absent: bool


def signature(api: Api, method: MethodPlan) -> Signature:
    """The signature of a method in Dart."""
    dart = Dart(api)
    result, name = dart.type(method.result), method.parameter
    output = f"{'Stream' if method.streams_out else 'Future'}<{result}>"
    if isinstance(method.node, Nothing):
        return Signature("void", output, (), (), "null", False)
    type_ = dart.type(method.node)
    if method.streams_in:
        return Signature(type_, output, (f"Stream<{type_}> {name}",), (), name, False)
    if method.default is ...:
        return Signature(type_, output, (declared(type_, name),), (), name, False)
    try:
        default, is_const = dart.default(method.node, method.default)
    except NotConst:
        default, is_const = "null", False
    if not is_const:
        type_ = type_.rstrip("?") + "?"
        return Signature(type_, output, (), (f"{type_} {name}",), name, True)
    given: Doc = f"{type_} {name}"
    if default != "null":
        given = (given, Assign(" =", const(default), "always"))
    return Signature(type_, output, (), (given,), name, False)


def service(api: Api, plan: ServicePlan) -> list[Doc]:
    """The declarations of a service: its interface, its client, its methods."""
    return [_interface(api, plan), _client(api, plan), _methods(api, plan)]


def _interface(api: Api, plan: ServicePlan) -> Doc:
    members: list[Doc] = [
        (
            _about(api, method),
            deprecated(method.deprecated),
            declaration(api, method),
            ";",
        )
        for method in plan.methods
    ]
    about = comments.comment(plan.doc, f"The service `{plan.wire}`.", indent=0)
    return (about, *class_(f"abstract interface class {plan.api}", members))


def _about(api: Api, method: MethodPlan) -> Doc:
    about: list[Doc] = [comments.comment(method.doc, f"Calls `{method.wire}`.")]
    if method.errors:
        thrown = ", ".join(f"[{api.errors[name].name}]" for name in method.errors)
        about += ["///", HARD, comments.plain(f"Throws {thrown}.")]
    return tuple(about)


def declaration(api: Api, method: MethodPlan) -> Doc:
    """A method's type, name and parameters."""
    found = signature(api, method)
    optional = (*found.optional, _OPTIONS)
    return (declared(found.output, method.name), parameters(found.positional, optional))


def class_(first: str, members: list[Doc]) -> tuple[Doc, ...]:
    """A class: its first line, and its members."""
    return (f"{first} {{", Nest(2, (HARD, join(members, BLANK))), HARD, "}")


def _client(api: Api, plan: ServicePlan) -> Doc:
    members: list[Doc] = [
        (comments.plain("Calls over a transport."), f"const {plan.client}(this._transport);"),
        "final Transport _transport;",
    ]
    for method in plan.methods:
        function = lower_camel(method.cardinality)
        arguments = [f"{plan.methods_name}.{method.name}", signature(api, method).argument]
        arguments.append("options: options")
        body = call(f"_transport.{function}", *arguments)
        chain = ("_transport", call(f".{function}", *arguments))
        calls = Assign(" =>", body, "else", chain=chain)
        members.append(("@override", HARD, declaration(api, method), calls, ";"))
    about = comments.plain(f"[{plan.api}] on a server.", 0)
    return (about, *class_(f"final class {plan.client} implements {plan.api}", members))


def _methods(api: Api, plan: ServicePlan) -> Doc:
    contract = call(
        "ServiceContract",
        named("name", literals.string(plan.wire)),
        named("hash", literals.string(plan.hash), "never"),
        named("command", literals.string(api.command), "never"),
    )
    members: list[Doc] = [
        (
            comments.plain("What this package knows of the service, for [Transport.check]."),
            "static const ServiceContract contract",
            Assign(" =", contract, "always"),
            ";",
        )
    ]
    members += [_method(api, method) for method in plan.methods]
    about = comments.plain(f"The methods of [{plan.api}], for [Transport.begin] and its like.", 0)
    return (about, *class_(f"abstract final class {plan.methods_name}", members))


def _method(api: Api, method: MethodPlan) -> Doc:
    dart, found = Dart(api), signature(api, method)
    arguments = [
        named("contract", "contract"),
        named("name", literals.string(method.wire)),
        named("cardinality", f"Cardinality.{lower_camel(method.cardinality)}"),
        named("verb", literals.string(method.verb)),
        named("path", literals.string(method.path), "never"),
        named("encode", _encoder(api, method, found), "never"),
        named("decode", dart.decoder(method.result)),
    ]
    if fields := form(api, method):
        arguments.append(named("form", ("const ", delimited("[", fields, "]"))))
    elif fields is not None:
        arguments.append(named("form", "const []"))
    if method.wire_parameter and api.message(method.node) is None and found.argument != "null":
        arguments.append(named("parameter", literals.string(method.wire_parameter)))
    if getattr(method.result, "kind", "") in ("image", "audio", "file"):
        arguments.append(named("isFile", "true"))
    if method.errors:
        errors = [
            named(literals.string(name), f"{api.errors[name].name}.new") for name in method.errors
        ]
        arguments.append(named("errors", delimited("{", errors, "}")))
    types = Nest(2, (Line(""), found.input, ",", Line(), dart.type(method.result)))
    type_: Doc = ("static final Method", Group(("<", types, Line(""), ">")))
    return (
        comments.plain(f"`{method.verb} {method.path}`."),
        deprecated(method.deprecated),
        declared(type_, method.name),
        Assign(" =", call("Method", *arguments), "always"),
        ";",
    )


def _encoder(api: Api, method: MethodPlan, found: Signature) -> Doc:
    if found.argument == "null":
        return "(_) => absent"
    name = method.parameter
    value = Dart(api).encode(method.node, name, promoted=True)
    if found.may_be_absent:
        value = conditional(f"{name} == null", "absent", value)
    return (f"({name})", Assign(" =>", value, "always" if is_collection(value) else "else"))


def everything(api: Api) -> Doc:
    """One class with all services."""
    fields = [(plan.member, plan.api, plan.client) for plan in api.services]
    made = [(f"{member} = {client}(transport)") for member, _, client in fields]
    given = [f"required this.{member}" for member, _, _ in fields]
    members: list[Doc] = [
        (
            comments.plain("These services, which may be fakes."),
            (f"const {api.all}", parameters([], given), ";"),
        ),
        (
            comments.plain("All of them over one transport."),
            Initialized(f"{api.all}.over(Transport transport)", tuple(made)),
            ";",
        ),
    ]
    for plan in api.services:
        about = comments.comment(plan.doc, f"The service `{plan.wire}`.")
        members.append((about, f"final {plan.api} {plan.member};"))
    about = comments.plain("The services of one server.", 0)
    return (about, *class_(f"final class {api.all}", members))
