"""Names and literals of Dart."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mothlight.dart import literals, names

RUNTIME = Path(__file__).parents[2] / "dart" / "mothlight" / "lib"


@pytest.mark.parametrize(
    ("python", "lower", "upper"),
    [
        ("top_k", "topK", "TopK"),
        ("topK", "topK", "TopK"),
        ("HTTPServer", "httpServer", "HTTPServer"),
        ("so-so", "soSo", "SoSo"),
        ("_private", "private", "Private"),
        ("größe", "grosse", "Grosse"),
        ("Ærø_łódź", "aeroLodz", "AeroLodz"),
        ("3d", "value3d", "Value3d"),
        ("", "value", "Value"),
        ("名", "u540d", "U540d"),
    ],
)
def test_names(python: str, lower: str, upper: str) -> None:
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
    assert exported("generated.dart") - names.RUNTIME == set()


def test_an_app_may_import_flutter_beside_the_runtime() -> None:
    found = exported("mothlight.dart")
    assert {"Transport", "CallOptions", "Method", "ApiException"} <= found
    assert found & names.FLUTTER == set()
    assert exported("generated.dart") - found == {"Decoder", "FormField", "FormKind", "JsonMap"}


def test_flutters_names_are_let_to_flutter() -> None:
    types = names.Scope(names.TYPES, mark="Model")
    assert types.claim("Text") == "TextModel"
    assert types.claim("Prediction") == "Prediction"


def exported(library: str) -> set[str]:
    """The types that a library of the runtime exports."""
    code = (RUNTIME / library).read_text()
    kinds = r"(?:class|enum|extension|typedef|mixin)"
    found = set(re.findall(rf"^(?:[a-z]+ )*{kinds} (?:type )?([A-Z]\w*)", code, re.MULTILINE))
    for export in re.finditer(r"export '([^']+)'(?:\s+show ([^;]+))?;", code):
        path = (RUNTIME / library).parent / export[1]
        types = exported(path.relative_to(RUNTIME).as_posix())
        found |= types & {name.strip() for name in export[2].split(",")} if export[2] else types
    return found


def test_strings() -> None:
    assert literals.string("it's $x \\ \n\u2028") == r"'it\'s \$x \\ \n\u2028'"
    assert literals.string("\x07\U0001f600") == "'\\u0007\U0001f600'"
