"""The README of a package."""

from __future__ import annotations

from . import comments, literals
from .api import Api, ErrorPlan, MethodPlan
from .errors import template
from .example import address, made, sample_call
from .header import header
from .layout import HARD, Assign, Doc, Nest, call, named, render
from .services import signature


def readme(api: Api, runtime: str, *, has_limits: bool) -> str:
    """How the package is used, and what it has; ``runtime`` as the pubspec says it."""
    used = render((_call_shown(api), HARD))
    if "picked." in used:
        used = f"// picked: an XFile, of image_picker for one\n{used}"
    fake = api.services[0].fake
    rows = [
        f"| `{plan.wire}` | `{method.name}` | `{_shape(api, method)}` | {_summary(method)} |"
        for plan in api.services
        for method in plan.methods
    ]
    table = "\n".join(rows)
    packages = (f"{api.package}/{api.package}", "mothlight/http", "mothlight/mothlight")
    imports = "\n".join(sorted(f"import 'package:{package}.dart';" for package in packages))
    start = call(
        "Transport",
        f"Uri.parse({literals.string(address(api, '10.0.2.2'))})",
        "adapter: PackageHttpAdapter()",
    )
    transport = render(("final transport", Assign(" =", start, "always"), ";", HARD))
    takes = (
        "What the server takes stands as constants in the classes `…Limits`, for pickers and forms."
    )
    limits = f"\n{takes}\n" if has_limits else ""
    errors = "\n".join(f"- `{plan.name}`: {_said(plan)}" for plan in api.errors.values())
    return f"""{header(api, "<!-- ", " -->")}
# {api.package}

Typed calls of a Mothlight server, for Dart and Flutter. It is made of the server's contract:

```console
$ {api.command}
```

## Use

```yaml
dependencies:
  mothlight:{runtime}
  {api.package}:
    path: ../{api.package}
```

```dart
{imports}

{transport}final {made(api)};

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
{limits}
## Tests

`package:{api.package}/testing.dart` has fakes: `{fake}` and its like answer as the functions do
that they are given; `onCall` sees the `CallOptions` of each call.
"""


def _shape(api: Api, method: MethodPlan) -> str:
    found = signature(api, method)
    given = found.input if found.argument != "null" else ""
    given = f"Stream<{given}>" if method.streams_in else given
    return f"({given}) → {found.output}".replace("|", "\\|")


def _summary(method: MethodPlan) -> str:
    return comments.sentence(method.doc).replace("|", "\\|")


def _said(plan: ErrorPlan) -> str:
    return comments.sentence(template(plan.doc)) or "Declared by the server."


def _call_shown(api: Api) -> Doc:
    pairs = [(plan, method) for plan in api.services for method in plan.methods]
    plain = [pair for pair in pairs if pair[1].cardinality == "unary"]
    plan, method = (plain or pairs)[0]
    call_ = sample_call(api, plan, method, _picked)
    if method.streams_out:
        return (
            "await for (final item in ",
            call_,
            ") {",
            Nest(2, (HARD, "show(item);")),
            HARD,
            "}",
        )
    return ("final answer", Assign(" =", ("await ", call_), "always"), ";")


def _picked(_: str) -> Doc:
    parts = {"name": "picked.name", "length": "await picked.length()", "open": "picked.openRead"}
    return call("FileData", *(named(part, value) for part, value in parts.items()))
