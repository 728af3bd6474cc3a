"""docs/from-the-tutorial.md tells the truth: its Dart files run on a real VM before the demo, and
print what it says (traps 10, 11, 12, 14, 31, 32, 33, 42, 43, 46, 47, 53)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tutorial import COMMAND, HERE, PAGE, blocks, run_dart

from live import Live

PROGRAM = "from_the_tutorial.dart"
PRINTS = "prints: "


def test_every_dart_file_of_the_page_is_run() -> None:
    named = [name for name, _ in blocks("dart")]
    assert len(named) == PAGE.read_text("utf-8").count("```dart")
    imports = re.findall(r"^import 'package:(?:tutorial|app)/.+';$", _program(), re.MULTILINE)
    assert sorted(f"import 'package:{name.replace('/lib/', '/')}';" for name in named) == imports


def test_each_section_of_the_program_stands_on_the_page() -> None:
    sections = re.findall(r"^    '(.+)': \w+,$", _program(), re.MULTILINE)
    assert [name.removeprefix(PRINTS) for name, _ in blocks("text")] == sections
    assert f"$ mothlight {COMMAND}\n" in PAGE.read_text("utf-8")


def test_our_files_are_formatted(
    format_dart: Callable[[Mapping[str, str]], dict[str, str]],
) -> None:
    ours = {name: text for name, text in blocks("dart") if name.startswith("app/")}
    assert len(ours) == 4
    assert format_dart(ours) == ours


@pytest.mark.demo
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_it_prints_what_the_page_says(demo: Live, dart: Path, tmp_path: Path) -> None:
    said = run_dart(dart, demo, tmp_path, PROGRAM, "coffee.jpg")
    said = re.sub(r"(127\.0\.0\.1|tcp|--port)([: ])\d{4,5}", r"\1\g<2>5000", said)
    found = re.findall(r"^== (.+)\n((?:(?!== ).*\n)*)", said, re.MULTILINE)
    assert {f"{PRINTS}{name}": text for name, text in found} == dict(blocks("text"))


def _program() -> str:
    return (HERE / PROGRAM).read_text("utf-8")
