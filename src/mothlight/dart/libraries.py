"""A package's libraries, each with its header and imports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..schema import Enum, Message, Union
from . import comments
from .api import Api
from .enums import enum_class
from .errors import error_class
from .fakes import all_fakes, fake, missing
from .header import header
from .layout import BLANK, HARD, Doc, join, render
from .limits import message_limits, service_limits
from .messages import message_class
from .names import FUNCTIONS, RUNTIME, snake
from .services import everything, service
from .unions import union_class

MOST_LINES = 1500
"""Above it a library is split."""
_LITERALS = re.compile(r"//[^\n]*|'(?:\\.|[^'\\])*'")


class Libraries:
    """The libraries of a package: path → text. Each imports what it uses of those before it."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.texts: dict[str, str] = {}
        self.exported: dict[str, set[str]] = {}

    def add(self, path: str, declarations: Sequence[Doc]) -> None:
        """A library under lib/src, where it declares anything."""
        if not declarations:
            return
        body = render((join(declarations, BLANK), HARD))
        used = identifiers(body)
        lines = []
        if "Uint8List" in used:
            lines += ["import 'dart:typed_data';", ""]
        if used & _OF_RUNTIME:
            lines += [_RUNTIME_IMPORT, ""]
        own = [other for other, names in self.exported.items() if names & used]
        lines += [f"import '{other}';" for other in sorted(own)] + ([""] if own else [])
        self.exported[path] = declared(body)
        self.texts[path] = "\n".join([header(self.api), *lines, body])


_RUNTIME_IMPORT = "import 'package:mothlight/generated.dart';"
_OF_RUNTIME = RUNTIME | FUNCTIONS


def identifiers(code: str) -> set[str]:
    """The names that stand in some code, comments and strings aside."""
    bare = _LITERALS.sub(lambda m: " ".join(re.findall(r"\$\w+", m.group())), code)
    return set(re.findall(r"[A-Za-z_$][\w$]*", bare))


def declared(code: str) -> set[str]:
    """The types that some code declares."""
    return set(re.findall(r"^(?:[a-z]+ )*(?:class|enum) (\w+)", code, re.MULTILINE))


def libraries(api: Api) -> dict[str, str]:
    """Everything under lib/, path → text."""
    made = Libraries(api)
    _models(api, made)
    made.add("errors.dart", [error_class(api, plan) for plan in api.errors.values()])
    limits = [message_limits(api, m) for m in _sent(api)]
    limits += [service_limits(plan) for plan in api.services]
    made.add("limits.dart", [found for found in limits if found is not None])
    clients = [(plan, service(api, plan)) for plan in api.services]
    whole = [doc for _, docs in clients for doc in docs]
    if _lines(whole) > MOST_LINES and len(clients) > 1:
        for plan, docs in clients:
            made.add(f"{snake(plan.api)}.dart", docs)
    else:
        made.add("services.dart", whole)
    if api.all:
        made.add("all.dart", [everything(api)])
    out = {f"lib/src/{path}": code for path, code in made.texts.items()}
    exports = [f"export 'src/{path}';" for path in sorted(made.texts)]
    shown = ", ".join(plan.wire for plan in api.services)
    about = render(comments.plain(f"Typed calls of a Mothlight server: {shown}.", 0))
    out[f"lib/{api.package}.dart"] = (
        f"{header(api)}\n{about}library;\n\n" + "\n".join(exports) + "\n"
    )
    out["lib/testing.dart"] = _testing(api)
    return out


def _models(api: Api, made: Libraries) -> None:
    groups = _together(api)
    docs = {name: _type(api, name) for name in api.types}
    if sum(_lines([doc]) for doc in docs.values()) <= MOST_LINES:
        made.add("models.dart", list(docs.values()))
        return
    # Libraries may import each other; a sealed class and its variants must be in one.
    files: list[list[str]] = [[]]
    size = 0
    for group in groups:
        more = sum(_lines([docs[name]]) for name in group)
        if files[-1] and size + more > MOST_LINES:
            files.append([])
            size = 0
        files[-1] += group
        size += more
    paths = [f"models{number or ''}.dart" for number in range(len(files))]
    for path, group in zip(paths, files, strict=True):
        made.exported[path] = declared(render(join([docs[name] for name in group], BLANK)))
    for path, group in zip(paths, files, strict=True):
        own = made.exported.pop(path)
        made.add(path, [docs[name] for name in group])
        made.exported[path] = own


def _together(api: Api) -> list[list[str]]:
    """The types in groups that must share a library, in the order of their first."""
    group = {name: name for name in api.types}

    def root(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for name, named in api.types.items():
        if isinstance(named, Union):
            for variant in named.variants.values():
                a, b = sorted((root(name), root(variant)))
                group[b] = a
    found: dict[str, list[str]] = {}
    for name in api.types:
        found.setdefault(root(name), []).append(name)
    return list(found.values())


def _type(api: Api, name: str) -> Doc:
    named = api.types[name]
    if isinstance(named, Message):
        return message_class(api, named)
    return enum_class(api, named) if isinstance(named, Enum) else union_class(api, named)


def _sent(api: Api) -> Iterable[Message]:
    sent = api.taken_in()
    return [
        named for name, named in api.types.items() if name in sent and isinstance(named, Message)
    ]


def _lines(docs: Sequence[Doc]) -> int:
    return render(join(docs, BLANK)).count("\n") + 1


def _testing(api: Api) -> str:
    parts = [fake(api, plan) for plan in api.services]
    if api.all:
        parts.append(all_fakes(api))
    parts.append(missing(api))
    body = render((join(parts, BLANK), HARD))
    used = identifiers(body)
    lines = ["import 'dart:typed_data';", ""] if "Uint8List" in used else []
    if used & _OF_RUNTIME:
        lines += [_RUNTIME_IMPORT, ""]
    about = render(
        comments.plain("Stand-ins for the services, for tests of widgets and the like.", 0)
    )
    return "\n".join(
        [header(api), f"{about}library;", "", *lines, f"import '{api.package}.dart';", "", body]
    )
