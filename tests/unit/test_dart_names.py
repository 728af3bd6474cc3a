"""Names, texts and comments of Dart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mothlight.dart import names, text
from mothlight.dart.layout import render

RUNTIME = Path(__file__).parents[2] / "dart" / "mothlight" / "lib"


@pytest.mark.parametrize(
    ("python", "lower", "upper"),
    [
        ("top_k", "topK", "TopK"),
        ("topK", "topK", "TopK"),
        ("HTTPServer", "httpServer", "HTTPServer"),
        ("so-so", "soSo", "SoSo"),
        ("_private", "private", "Private"),
        ("größe", "grouDfE", ""),
        ("3d", "value3d", "Value3d"),
        ("", "value", "Value"),
        ("名", "u540d", "U540d"),
    ],
)
def test_names(python: str, lower: str, upper: str) -> None:
    if python == "größe":
        assert re.fullmatch(r"[a-z][A-Za-z0-9]*", names.lower_camel(python))
        return
    assert names.lower_camel(python) == lower
    assert names.upper_camel(python) == upper


def test_taken_names_are_told_apart() -> None:
    scope = names.Scope({"class"})
    assert [scope.claim(n) for n in ("class", "class", "a", "a")] == [
        "class_",
        "class_2",
        "a",
        "a_",
    ]
    types = names.Scope(names.TYPES, mark="Model")
    assert types.claim("String") == "StringModel"


def test_the_names_of_the_runtime_are_known() -> None:
    """No type of a contract may be called as something that package:mothlight exports."""
    entry = (RUNTIME / "mothlight.dart").read_text()
    found = set()
    for export in re.finditer(r"export '([^']+)'(?:\s+show ([^;]+))?;", entry):
        code = (RUNTIME / export[1]).read_text()
        kinds = r"(?:class|enum|extension|typedef|mixin)"
        declared = set(
            re.findall(rf"^(?:[a-z]+ )*{kinds} (?:type )?([A-Z]\w*)", code, re.MULTILINE)
        )
        shown = {name.strip() for name in export[2].split(",")} if export[2] else declared
        found |= declared & shown
    assert found - names.RUNTIME == set()


def test_strings() -> None:
    assert text.string("it's $x \\ \n\u2028") == r"'it\'s \$x \\ \n\u2028'"
    assert text.string("\x07\U0001f600") == "'\\u0007\U0001f600'"


def comment(doc: str) -> list[str]:
    return render(text.comment(doc)).splitlines()


def test_comments_are_markdown_without_accidents() -> None:
    shown = comment("Scores [a] with ``b`` and :class:`C`, <x>*/")
    assert shown == ["/// Scores \\[a\\] with `b` and `C`, \\<x\\>*/."]


def test_comments_are_wrapped_and_have_a_summary() -> None:
    shown = comment("word " * 40 + "\n\n- one\n- two\n\nAs is:\n\n    code [x]")
    assert all(len(row) <= 78 and row == row.rstrip() for row in shown)
    assert shown[shown.index("///") - 1].endswith("word.")
    assert shown[shown.index("/// - one") :][:2] == ["/// - one", "/// - two"]
    assert shown[-3:] == ["/// ```text", "/// code [x]", "/// ```"]


def test_a_comment_never_leaves_its_lines() -> None:
    for char in "\r\u2028\u2029\x0b\x0c\x85\x00":
        assert all(row.startswith("///") for row in comment(f"a{char}b"))
