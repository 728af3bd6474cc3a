"""Packages of random services parse and have nothing twice; and some of them, in the VM, give back
random messages as they came: Python → JSON → Dart → JSON → Python."""

from __future__ import annotations

import difflib
import json
import math
import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import lint
import pytest
from dart_program import run_script, write_package, write_packages
from golden_cases import CASES
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import BaseModel
from random_services import echoes, services
from random_values import json_of

from mothlight import InvalidRequest
from mothlight.contracts.contract import build
from mothlight.dart import generate
from mothlight.schema import Payload, Shape
from mothlight.services import Service

EXAMPLES, COMPILED, MESSAGES = 50, 12, 12
Format = Callable[[Mapping[str, str]], dict[str, str]]
LINTS = [lint.syntax, lint.duplicates, lint.shadows, lint.white_space, lint.undocumented]

DRIVER = """
import 'dart:convert';
import 'dart:io';

import 'package:mothlight/generated.dart';
{imports}

O _echo<O>(Method<O, O> method, Object? json) {{
  final value = method.decode(json), twin = method.decode(json);
  if (!deepEquals(value, twin) || deepHash(value) != deepHash(twin)) {{
    throw StateError('two of the same are not equal');
  }}
  if ('$value'.isEmpty && value is! String) throw StateError('no toString');
  return value;
}}

final _echoes = <String, Object? Function(Object? json)>{{
{echoes}
}};

Future<void> main() async {{
  final lines = stdin.transform(utf8.decoder).transform(const LineSplitter());
  await for (final line in lines) {{
    final asked = jsonDecode(line) as List<Object?>;
    try {{
      final json = _echoes[asked[0]! as String]!(asked[1]);
      stdout.writeln(jsonEncode({{'json': json}}));
    }} catch (error, stack) {{
      stdout.writeln(jsonEncode({{'error': '$error\\n${{'$stack'.split('#4').first}}'}}));
    }}
  }}
}}
"""


@dataclass
class Made:
    """A service `Echo`, and the package that is made of it."""

    cls: type
    name: str
    seed: int = field(default_factory=lambda: random.getrandbits(32))

    @cached_property
    def contract(self) -> dict[str, Any]:
        return build([Service.of(self.cls)])

    @cached_property
    def files(self) -> dict[str, str]:
        return generate(self.contract, self.name, "mothlight generate dart echo:Echo", "^0.1.0")

    @property
    def methods(self) -> dict[str, Shape[Any]]:
        found = Service.of(self.cls).methods
        return {name: m.input for name, m in found.items() if name.startswith("echo")}

    def faults(self) -> list[str]:
        found = []
        for path, content in self.files.items():
            if path.endswith(".dart"):
                lints = LINTS if path.startswith("lib/") else LINTS[:3]
                found += lint.faults(lint.Source(path, content), lints)
        return found

    def messages(self) -> Iterator[tuple[str, Shape[Any], Any, Any]]:
        """(method, shape, JSON, the message that Python reads out of it)."""
        rng = random.Random(self.seed)
        for name, shape in self.methods.items():
            for _ in range(MESSAGES):
                sent = json_of(shape.node, shape.types, rng)
                try:
                    value = shape.decode(Payload(json.dumps(sent).encode()))
                except InvalidRequest:
                    continue  # it does not keep a rule
                yield name, shape, sent, value
                whole = json.loads(shape.encode(value).json)  # with all that was left out
                yield name, shape, whole, value


def round_trip(dart: Path, folder: Path, made: list[Made]) -> int:
    """How many messages came back; fails where one came back as another."""
    packages = {one.name: write_package(folder / one.name, one.files) for one in made}
    imports = [
        f"import 'package:{one.name}/{library}.dart' as {one.name};"
        for one in made
        for library in (one.name, "testing")
    ]
    rows = [
        f"  '{one.name}.{name}': (json) => "
        f"{one.name}.EchoMethods.{name}.encode(_echo({one.name}.EchoMethods.{name}, json)),"
        for one in made
        for name in one.methods
    ]
    script = folder / "driver.dart"
    script.write_text(DRIVER.format(imports="\n".join(imports), echoes="\n".join(rows)))
    asked = [(one, *message) for one in made for message in one.messages()]
    lines = [json.dumps([f"{one.name}.{name}", sent]) for one, name, _, sent, _ in asked]
    answers = run_script(dart, write_packages(folder, packages), script, lines)
    assert len(answers) == len(lines)
    faults = {}
    for (one, name, shape, sent, value), line in zip(asked, answers, strict=True):
        if what := fault(shape, value, json.loads(line)):
            faults[one.name, name] = f"{folder / one.name}, {name}: {json.dumps(sent)}\n{what}"
    assert not faults, "\n".join(list(faults.values())[:20])
    return len(asked)


def fault(shape: Shape[Any], value: Any, answer: dict[str, Any]) -> str:
    """What is wrong with an answer to a message; "" where nothing is."""
    if "error" in answer:
        return str(answer["error"])
    try:
        back = shape.decode(Payload(json.dumps(answer["json"]).encode()))
    except InvalidRequest as error:
        return f"{answer['json']}: {error}"
    same = plain(shape, back) == plain(shape, value)
    return "" if same else f"came back as {answer['json']}"


def plain(shape: Shape[Any], value: Any) -> Any:
    """A message for comparison: NaN equals NaN."""
    return _plain(shape.adapter.dump_python(value, by_alias=True))


def _plain(value: Any) -> Any:
    match value:
        case float() if math.isnan(value):
            return "NaN"
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return value


@pytest.fixture(scope="module")
def found() -> list[Made]:
    """Some random services, whose packages parse."""
    made: list[Made] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=os.environ.get("CI") == "true",
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # the contract is shown whole; to make it small takes minutes
    )
    @given(services())
    def parse(cls: type) -> None:
        one = Made(cls, f"p{len(made)}")
        faults = one.faults()
        assert not faults, "\n".join([*faults, json.dumps(one.contract, ensure_ascii=False)])
        made.append(one)

    parse()
    return made


def test_packages_of_random_services_parse(found: list[Made]) -> None:
    assert len(found) >= EXAMPLES


@pytest.mark.slow
def test_packages_of_random_services_are_formatted(found: list[Made], format_dart: Format) -> None:
    files = {f"{o.name}/{path}": text for o in found for path, text in o.files.items()}
    sources = {name: text for name, text in files.items() if name.endswith(".dart")}
    formatted = format_dart(sources)
    changed = [name for name in sources if formatted[name] != sources[name]]
    # Types that fill a line by themselves break in ways that are not all known to the emitter.
    shown = "\n".join(diff(name, sources[name], formatted[name]) for name in changed[:10])
    assert len(changed) <= len(sources) / 20, f"{len(changed)} of {len(sources)}\n{shown}"


def diff(name: str, made: str, formatted: str) -> str:
    lines = made.split("\n"), formatted.split("\n")
    return "\n".join(difflib.unified_diff(*lines, name, "dart format", n=2, lineterm=""))


@pytest.mark.slow
def test_random_messages_come_back_unchanged(found: list[Made], dart: Path, tmp_path: Path) -> None:
    largest = sorted(found, key=lambda one: len(one.contract["types"]))[-2 * COMPILED :]
    some = random.Random(len(found)).sample(largest, COMPILED)
    count = round_trip(dart, tmp_path, some)
    print(f"{count} messages of {COMPILED} services came back", file=sys.stderr)
    assert count > COMPILED * MESSAGES


@pytest.mark.slow
def test_messages_of_the_gallery_come_back_unchanged(dart: Path, tmp_path: Path) -> None:
    made = []
    for case in CASES:
        hints: dict[str, Any] = {}
        for cls in case.services:
            for shape in shapes(cls):
                if not shape.has_media and str(shape.hint) not in map(str, hints.values()):
                    hints[f"echo{len(hints)}"] = shape.hint
        if hints:
            made.append(Made(echoes(hints), f"{case.name}_echo", seed=0))
    count = round_trip(dart, tmp_path, made)
    assert len(made) > 20 and count > 1000


def shapes(cls: type) -> Iterator[Shape[Any]]:
    """What the methods of a service take and give, as far as a method may take it."""
    for method in Service.of(cls).methods.values():
        for shape in (method.input, method.output):
            if isinstance(shape.hint, type) and issubclass(shape.hint, BaseModel):
                yield shape
