"""What stands around a package's code: its README, example, pubspec and the like."""

from __future__ import annotations

from ..schema import Nothing
from . import text
from .api import Api, ErrorPlan, MethodPlan, ServicePlan
from .errors import template
from .layout import HARD, Assign, Doc, Nest, call, join, render
from .package import header, identifiers
from .samples import sample
from .services import signature

OPTIONS = """include: package:lints/recommended.yaml

analyzer:
  language:
    strict-casts: true
    strict-inference: true
    strict-raw-types: true
"""


def around(api: Api, runtime: str | None) -> dict[str, str]:
    """The files outside lib/, path → text. ``runtime``: the version of the hosted runtime; None:
    it lies beside the package."""
    comment = header(api).replace("//", "#")
    return {
        "pubspec.yaml": f"{comment}{_pubspec(api, runtime)}",
        "analysis_options.yaml": f"{comment}{OPTIONS}",
        "README.md": _readme(api),
        "CHANGELOG.md": _changelog(api),
        f"example/{api.package}_example.dart": _example(api),
    }


def _pubspec(api: Api, runtime: str | None) -> str:
    shown = ", ".join(plan.wire for plan in api.services)
    about = f"Typed calls of a Mothlight server for Dart and Flutter, made of its contract: {shown}"
    about = about if len(about) <= 170 else about[:167].rsplit(",", 1)[0] + " …"
    where = "\n    path: ../mothlight" if runtime is None else f" {runtime!r}".replace("'", '"')
    return (
        f"name: {api.package}\n"
        f"description: >-\n  {about}.\n"
        "version: 0.1.0\npublish_to: none\n\n"
        "environment:\n  sdk: ^3.7.0\n\n"
        f"dependencies:\n  mothlight:{where}\n\n"
        'dev_dependencies:\n  lints: ">=5.0.0 <7.0.0"\n'
    )


def _changelog(api: Api) -> str:
    return (
        f"<!-- {header(api).splitlines()[0].removeprefix('// ')} -->\n\n"
        f"## 0.1.0\n\n- Made of contract `{api.hash}`.\n"
    )


def _first(api: Api) -> tuple[ServicePlan, MethodPlan] | None:
    pairs = [(plan, method) for plan in api.services for method in plan.methods]
    plain = [pair for pair in pairs if pair[1].cardinality == "unary"]
    return next(iter(plain or pairs), None)


def _call(api: Api, plan: ServicePlan, method: MethodPlan) -> Doc:
    """A call of a method with a sample."""
    found = signature(api, method)
    arguments: list[Doc] = []
    if found.positional:
        value: Doc = sample(api, method.node, method.wire_parameter)
        arguments.append(call("Stream.value", value) if method.streams_in else value)
    owner = f"services.{plan.member}" if api.all else "client"
    return call(f"{owner}.{method.name}", *arguments)


def _use(api: Api, plan: ServicePlan, method: MethodPlan) -> Doc:
    made = _call(api, plan, method)
    is_void = isinstance(method.result, Nothing)
    if method.streams_out:
        show = "stdout.writeln(item);" if not is_void else "stdout.writeln('…');"
        return ("await for (final item in ", made, ") {", Nest(2, (HARD, show)), HARD, "}")
    if is_void:
        return ("await ", made, ";")
    return (call("stdout.writeln", ("await ", made)), ";")


def _example(api: Api) -> str:
    steps: list[Doc] = []
    for plan in api.services:
        if plan.methods:
            method = next((m for m in plan.methods if not m.streams_in), plan.methods[0])
            steps.append(_use(api, plan, method))
    client = "services" if api.all else "client"
    made = f"{api.all}.over(transport)" if api.all else f"{api.services[0].client}(transport)"
    start: list[Doc] = [
        ("final url = arguments.isEmpty ? 'http://127.0.0.1:8000' : arguments.first;"),
        (
            "final transport",
            Assign(" =", call("Transport", "Uri.parse(url)", "adapter: IoAdapter()"), "always"),
            ";",
        ),
    ]
    if steps:
        start.append(f"final {client} = {made};")
    tried: list[Doc] = [
        "try {",
        Nest(2, (HARD, join(steps, HARD))),
        HARD,
        "} on MothlightException catch (error) {",
        Nest(2, (HARD, "stderr.writeln(error);")),
        HARD,
        "} finally {",
        Nest(2, (HARD, "transport.close();")),
        HARD,
        "}",
    ]
    rest: Doc = tuple(tried) if steps else "transport.close();"
    body = render(
        (
            text.plain("Calls a server; its address is the first argument.", 0),
            "Future<void> main(List<String> arguments) async {",
            Nest(2, (HARD, join(start, HARD), HARD, rest)),
            HARD,
            "}",
            HARD,
        )
    )
    lines = ["import 'dart:io';"]
    if "Uint8List" in identifiers(body):
        lines.append("import 'dart:typed_data';")
    own = [f"import 'package:{api.package}/{api.package}.dart';"] if steps else []
    lines += [
        "",
        *sorted(
            [
                *own,
                "import 'package:mothlight/io.dart';",
                "import 'package:mothlight/mothlight.dart';",
            ]
        ),
    ]
    return "\n".join([header(api), *lines, "", body])


def _readme(api: Api) -> str:
    first = _first(api)
    client = "services" if api.all else "client"
    made = f"{api.all}.over(transport)" if api.all else f"{api.services[0].client}(transport)"
    used = ""
    if first is not None:
        used = "\n" + render((_call_shown(api, *first), HARD))
    rows = [
        f"| `{plan.wire}` | `{method.name}` | `{_shape(api, method)}` | {_summary(method)} |"
        for plan in api.services
        for method in plan.methods
    ]
    table = "\n".join(rows)
    errors = "\n".join(f"- `{plan.name}`: {_said(plan)}" for plan in api.errors.values())
    fake = api.services[0].fake if api.services else ""
    return f"""<!-- {header(api).splitlines()[0].removeprefix("// ")} -->

# {api.package}

Typed calls of a Mothlight server, for Dart and Flutter. It is made of the server's contract:

```console
$ {api.command}
```

## Use

```yaml
dependencies:
  {api.package}:
    path: ../{api.package}
```

```dart
import 'package:{api.package}/{api.package}.dart';
import 'package:mothlight/http.dart';
import 'package:mothlight/mothlight.dart';

final transport = Transport(
  Uri.parse('http://10.0.2.2:8000'),
  adapter: PackageHttpAdapter(),
);
final {client} = {made};
{used}```

`10.0.2.2` is the computer that an Android emulator runs on; elsewhere it is `127.0.0.1`, and on a
phone the computer's own address.

## What it has

| service | method | | |
|---|---|---|---|
{table}

A call throws a `MothlightException`, or gives values:
`switch (await call.result()) {{ case Ok(:final value): …; case Err(:final error): … }}`.
{f"{chr(10)}Errors that the server declares:{chr(10)}{chr(10)}{errors}{chr(10)}" if errors else ""}
To cancel the subscription of a stream stops it on the server; `CallOptions` has a timeout, a
`CancelToken`, a `SupersedeKey` (the newest call wins) and the progress of uploads.

What the server takes stands as constants in the classes `…Limits`, for pickers and forms.

## Tests

`package:{api.package}/testing.dart` has fakes: `{fake}` and its like answer as the functions do
that they are given.
"""


def _call_shown(api: Api, plan: ServicePlan, method: MethodPlan) -> Doc:
    made = _call(api, plan, method)
    if method.streams_out:
        return ("await for (final item in ", made, ") {", Nest(2, (HARD, "show(item);")), HARD, "}")
    return ("final answer", Assign(" =", ("await ", made), "always"), ";")


def _shape(api: Api, method: MethodPlan) -> str:
    found = signature(api, method)
    given = found.input if found.argument != "null" else ""
    given = f"Stream<{given}>" if method.streams_in else given
    return f"({given}) → {found.output}".replace("|", "\\|")


def _summary(method: MethodPlan) -> str:
    shown = text.lines(method.doc, 10_000)[:1]
    return shown[0].replace("|", "\\|") if shown else ""


def _said(plan: ErrorPlan) -> str:
    shown = text.lines(template(plan.doc), 10_000)[:1]
    return shown[0] if shown else "Declared by the server."
