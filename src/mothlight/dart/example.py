"""The example of a package: a program for the command line; and where its server is."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from ..schema import Nothing
from . import literals
from .api import Api, MethodPlan, ServicePlan
from .header import header
from .layout import HARD, Doc, Nest, call, join, named, render
from .libraries import identifiers
from .samples import Samples
from .services import signature

_MAIN = """/// Calls a server; its address is the first argument.
Future<void> main(List<String> arguments) async {
  final url = arguments.isEmpty ? <address> : arguments.first;
  final transport = Transport(Uri.parse(url), adapter: IoAdapter());
"""
_HERE = ("127.0.0.1", "localhost", "::1", "0.0.0.0")
_END = """  } on MothlightException catch (error) {
    stderr.writeln(error);
  } finally {
    transport.close();
  }
}
"""


def example(api: Api) -> str:
    """A program that calls a method of each service."""
    steps: list[Doc] = []
    for plan in api.services:
        method = next((m for m in plan.methods if not m.streams_in), plan.methods[0])
        steps.append(_use(api, plan, method))
    tried: Doc = ("  try {", Nest(4, (HARD, join(steps, HARD))), HARD)
    main = _MAIN.replace("<address>", literals.string(address(api, "127.0.0.1")))
    body = f"{main}  final {made(api)};\n{render(tried)}{_END}"
    imports = ["import 'dart:io';"]
    if "Uint8List" in identifiers(body):
        imports.append("import 'dart:typed_data';")
    packages = (f"{api.package}/{api.package}", "mothlight/io", "mothlight/mothlight")
    imports += ["", *sorted(f"import 'package:{package}.dart';" for package in packages)]
    return "\n".join([header(api), *imports, "", body])


def address(api: Api, host: str) -> str:
    """Where the server is: the URL that the package was made from, which on this machine is
    ``host``."""
    asked = re.search(r"\bhttps?://\S+", api.command)
    if asked is None:
        return f"http://{host}:8000"
    url = urlsplit(asked[0].rstrip("/"))
    if url.hostname not in _HERE:
        return url.geturl()
    return url._replace(netloc=f"{host}:{url.port}" if url.port else host).geturl()


def made(api: Api) -> str:
    """The variable that calls go over: ``client = SentimentClient(transport)``."""
    if api.all:
        return f"services = {api.all}.over(transport)"
    return f"client = {api.services[0].client}(transport)"


def _use(api: Api, plan: ServicePlan, method: MethodPlan) -> Doc:
    made = sample_call(api, plan, method, _from_disk)
    is_void = isinstance(method.result, Nothing)
    if method.streams_out:
        show = "stdout.writeln(item);" if not is_void else "stdout.writeln('…');"
        return ("await for (final item in ", made, ") {", Nest(2, (HARD, show)), HARD, "}")
    if is_void:
        return ("await ", made, ";")
    return (call("stdout.writeln", ("await ", made)), ";")


def sample_call(api: Api, plan: ServicePlan, method: MethodPlan, file: Callable[[str], Doc]) -> Doc:
    """A call of a method with a sample; ``file``: that of a file."""
    arguments: list[Doc] = []
    if signature(api, method).positional:
        value = Samples(api, file).of(method.node, method.wire_parameter)
        arguments.append(call("Stream.value", value) if method.streams_in else value)
    owner = f"services.{plan.member}" if api.all else "client"
    return call(f"{owner}.{method.name}", *arguments)


def _from_disk(name: str) -> Doc:
    bytes_ = f"await File({literals.string(name)}).readAsBytes()"
    return call("FileData.bytes", bytes_, named("name", literals.string(name)))
