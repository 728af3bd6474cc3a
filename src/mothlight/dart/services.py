"""Services: an interface and a client each, the list of its methods, and a fake for tests."""

from __future__ import annotations

from dataclasses import dataclass

from ..schema import Nothing
from . import text
from .api import Api, MethodPlan, ServicePlan
from .forms import form
from .layout import (
    BLANK,
    HARD,
    Assign,
    Doc,
    Initialized,
    Nest,
    call,
    conditional,
    declared,
    delimited,
    infix,
    join,
    named,
    parameters,
)
from .messages import deprecated
from .types import Dart, NotConst, const

_KINDS = {
    "unary": ("unary", "unary"),
    "server_stream": ("serverStream", "serverStream"),
    "client_stream": ("clientStream", "clientStream"),
    "duplex": ("duplex", "duplex"),
}
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
            _head(api, method),
            ";",
        )
        for method in plan.methods
    ]
    about = text.comment(plan.doc, f"The service `{plan.wire}`.", indent=0)
    return (about, *_class(f"abstract interface class {plan.api}", members))


def _about(api: Api, method: MethodPlan) -> Doc:
    about: list[Doc] = [text.comment(method.doc, f"`{method.wire}` of the server.")]
    if method.errors:
        thrown = ", ".join(f"[{api.errors[name].name}]" for name in method.errors)
        about += ["///", HARD, text.plain(f"Throws {thrown}.")]
    return tuple(about)


def _head(api: Api, method: MethodPlan) -> Doc:
    found = signature(api, method)
    optional = (*found.optional, _OPTIONS)
    return (declared(found.output, method.name), parameters(found.positional, optional))


def _class(head: str, members: list[Doc]) -> tuple[Doc, ...]:
    if not members:
        return (f"{head} {{}}",)
    return (f"{head} {{", Nest(2, (HARD, join(members, BLANK))), HARD, "}")


def _client(api: Api, plan: ServicePlan) -> Doc:
    members: list[Doc] = [
        (text.plain("Calls over a transport."), f"const {plan.client}(this._transport);"),
        "final Transport _transport;",
    ]
    for method in plan.methods:
        function, _ = _KINDS[method.cardinality]
        arguments = [f"{plan.methods_name}.{method.name}", signature(api, method).argument]
        arguments.append("options: options")
        body = call(f"_transport.{function}", *arguments)
        chain = ("_transport", call(f".{function}", *arguments))
        calls = Assign(" =>", body, "else", chain=chain)
        members.append(("@override", HARD, _head(api, method), calls, ";"))
    about = text.plain(f"[{plan.api}] on a server.", 0)
    return (about, *_class(f"final class {plan.client} implements {plan.api}", members))


def _methods(api: Api, plan: ServicePlan) -> Doc:
    contract = call(
        "ServiceContract",
        named("name", text.string(plan.wire)),
        named("hash", text.string(plan.hash), "never"),
        named("command", text.string(api.command), "never"),
    )
    members: list[Doc] = [
        (
            text.plain("What this package knows of the service, for [Transport.check]."),
            "static const ServiceContract contract",
            Assign(" =", contract, "always"),
            ";",
        )
    ]
    members += [_method(api, method) for method in plan.methods]
    about = text.plain(f"The methods of [{plan.api}], for [Transport.begin] and its like.", 0)
    return (about, *_class(f"abstract final class {plan.methods_name}", members))


def _method(api: Api, method: MethodPlan) -> Doc:
    dart, found = Dart(api), signature(api, method)
    _, cardinality = _KINDS[method.cardinality]
    arguments = [
        named("contract", "contract"),
        named("name", text.string(method.wire)),
        named("cardinality", f"Cardinality.{cardinality}"),
        named("verb", text.string(method.verb)),
        named("path", text.string(method.path), "never"),
        named("encode", _encoder(api, method, found), "never"),
        named("decode", dart.decoder(method.result)),
    ]
    if fields := form(api, method):
        arguments.append(named("form", ("const ", delimited("[", fields, "]"))))
    elif fields is not None:
        arguments.append(named("form", "const []"))
    if method.wire_parameter and api.message(method.node) is None and found.argument != "null":
        arguments.append(named("parameter", text.string(method.wire_parameter)))
    if getattr(method.result, "kind", "") in ("image", "audio", "file"):
        arguments.append(named("isFile", "true"))
    if method.errors:
        errors = [
            named(text.string(name), f"{api.errors[name].name}.new") for name in method.errors
        ]
        arguments.append(named("errors", delimited("{", errors, "}")))
    type_ = f"Method<{found.input}, {dart.type(method.result)}>"
    return (
        text.plain(f"`{method.verb} {method.path}`."),
        deprecated(method.deprecated),
        declared(f"static final {type_}", method.name),
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
    return (f"({name}) => ", value)


def everything(api: Api) -> Doc:
    """One class with all services."""
    fields = [(plan.member, plan.api, plan.client) for plan in api.services]
    made = [(f"{member} = {client}(transport)") for member, _, client in fields]
    given = [f"required this.{member}" for member, _, _ in fields]
    members: list[Doc] = [
        (
            text.plain("These services, which may be fakes."),
            (f"const {api.all}", parameters([], given), ";"),
        ),
        (
            text.plain("All of them over one transport."),
            Initialized(f"{api.all}.over(Transport transport)", tuple(made)),
            ";",
        ),
    ]
    for plan in api.services:
        about = text.comment(plan.doc, f"The service `{plan.wire}`.")
        members.append((about, f"final {plan.api} {plan.member};"))
    about = text.plain("The services of one server.", 0)
    return (about, *_class(f"final class {api.all}", members))


# Fakes


def fake(api: Api, plan: ServicePlan) -> Doc:
    """A stand-in for a service, out of functions."""
    members: list[Doc] = []
    if plan.methods:
        given = [declared((_function(api, method), "?"), method.name) for method in plan.methods]
        kept = tuple((f"_{m.name}", Assign(" =", m.name)) for m in plan.methods)
        head = (plan.fake, parameters([], given))
        members.append((_about_fake(), Initialized(head, kept), ";"))
    for method in plan.methods:
        members.append((declared(("final ", _function(api, method), "?"), f"_{method.name}"), ";"))
    for method in plan.methods:
        name, argument = method.name, signature(api, method).argument
        local = "fake" if argument == "answer" else "answer"
        made = infix("??", [f"_{name}", call("_missing", text.string(f"{plan.fake}.{name}"))])
        asked = call(f"return {local}", *([] if argument == "null" else [argument]))
        body = (HARD, f"final {local}", Assign(" =", made), ";", HARD, asked, ";")
        members.append(("@override", HARD, _head(api, method), " {", Nest(2, body), HARD, "}"))
    about = text.plain(f"A [{plan.api}] for tests, without a server.", 0)
    return (about, *_class(f"base class {plan.fake} implements {plan.api}", members))


def _about_fake() -> Doc:
    return text.plain("Answers as these functions do; the others throw [UnimplementedError].")


def _function(api: Api, method: MethodPlan) -> Doc:
    found = signature(api, method)
    given: list[Doc] = []
    if found.argument != "null":
        type_ = f"Stream<{found.input}>" if method.streams_in else found.input
        given = [declared(type_, method.parameter)]
    return call(f"{found.output} Function", *given)


def missing() -> Doc:
    """The function that fakes call for what they were not given."""
    return (
        "Never _missing(String method)",
        Assign(" =>", call("throw UnimplementedError", "'$method was not given'"), "else"),
        ";",
    )
