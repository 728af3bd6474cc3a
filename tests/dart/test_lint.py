"""Each lint can fail, and does not where it should not."""

from __future__ import annotations

from pathlib import Path

import lint
import pytest

# ruff: noqa: E501
WRONG = {
    "syntax error": "final class A { int x = ; }",
    "A has no doc comment": "final class A {}",
    "A.x has no doc comment": "/// A.\nfinal class A {\n  final int x = 1;\n}",
    "A.f has no doc comment": "/// A.\nfinal class A {\n  void f() {}\n}",
    "A.g has no doc comment": "/// A.\nfinal class A {\n  int get g => 1;\n}",
    "A.A has no doc comment": "/// A.\nfinal class A {\n  const A(int x);\n}",
    "A.A.of has no doc comment": "/// A.\nfinal class A {\n  factory A.of(int x) => A();\n}",
    "A.a has no doc comment": "/// A.\nenum A {\n  a,\n\n  /// B.\n  b,\n}",
    "A.b has no doc comment": "/// A.\nenum A {\n  /// A.\n  a,\n  b,\n}",
    "F has no doc comment": "typedef F = int Function(int);",
    "X has no doc comment": "extension X on int {}",
    "X.k has no doc comment": "/// X.\nextension X on int {\n  int get k => 1;\n}",
    "f has no doc comment": "int f() => 1;",
    "a has no doc comment": "const int a = 1;",
    "A has x twice": "/// A.\nfinal class A {\n  /// X.\n  int x = 1;\n\n  /// X.\n  int x() => 1;\n}",
    "A has a twice": "/// A.\nenum A {\n  /// A.\n  a,\n\n  /// A.\n  a,\n}",
    "the file has A twice": "/// A.\nfinal class A {}\n\n/// A.\nenum A {\n  /// A.\n  a,\n}",
    "List shadows dart:core's": "/// A list.\nfinal class List {}",
    "dynamic": "/// A.\ndynamic a = 1;",
    "print": "void _f() {\n  print('x');\n}",
    "await for in async*": "Stream<int> _f() async* {\n  await for (final x in y) {\n    yield x;\n  }\n}",
    "if without braces": "void _f() {\n  if (x)\n    y();\n}",
    "for without braces": "void _f() {\n  for (final x in y) z(x);\n}",
    "while without braces": "void _f() {\n  while (x) y();\n}",
    "do without braces": "void _f() {\n  do y(); while (x);\n}",
    "2: if without braces": "void _f() {\n  if (x) y(); else {}\n}",
    "3: if without braces": "void _f() {\n  if (x) {\n  } else y();\n}",
    "a comment is longer than 80 columns": "// " + "word " * 20 + "end",
    "white space": "// x ",
    "one line feed": "// x\n",
    "imports are not sorted": "import 'dart:io';\nimport 'dart:async';",
    "a part": "part 'x.dart';",
}  # fmt: skip

RIGHT = {
    "a field called dynamic": "/// A.\nfinal class A {\n  /// D.\n  final int dynamic = 1;\n}",
    "private": "final class _A {\n  int x = 1;\n}\n\nvoid _f() {}",
    "overridden": "/// A.\nfinal class A {\n  @override\n  String toString() => '';\n}",
    "private members": "/// A.\nfinal class A {\n  const A._();\n\n  final int _x = 1;\n}",
    "a getter and its setter": "/// A.\nfinal class A {\n  /// G.\n  int get g => 1;\n\n"
    "  /// G.\n  set g(int x) {}\n}",
    "the enum's own constructor": "/// A.\nenum A {\n  /// A.\n  a(1);\n\n  const A(this.x);\n\n"
    "  /// X.\n  final int x;\n}",
    "several constructors": "/// A.\nfinal class A {\n  /// A.\n  const A();\n\n  /// B.\n"
    "  const A.b();\n}",
    "a short if": "void _f() {\n  if (x) return;\n  if (a &&\n      b) return;\n}",
    "braces": "void _f() {\n  if (x) {\n    y();\n  } else if (z) {\n    y();\n  }\n}",
    "a list with if and for": "const _a = [if (x) 1 else 2, for (final y in z) y];",
    "words in strings": "/// A.\nconst String a = 'dynamic print(x) async*';",
    "a long string": "/// A.\nconst String a = '" + "word " * 20 + "';",
    "a long address": "/// https://example.org/" + "x" * 80,
    "sorted": "import 'dart:io';\n\nimport 'package:a/a.dart';\n\nimport 'b.dart';\n\n"
    "export 'a.dart';",
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_fault_is_found(fault: str) -> None:
    found = lint.faults(lint.Source("a.dart", WRONG[fault] + "\n"))
    assert any(fault in line for line in found), found


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_is_let_be(name: str) -> None:
    assert not lint.faults(lint.Source("a.dart", RIGHT[name] + "\n"))


def test_a_missing_token_is_found() -> None:
    assert lint.faults(lint.Source("a.dart", "void _f() {\n"), [lint.syntax])


def test_dart_io_is_found_behind_other_files(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    files = {
        "io.dart": "import 'dart:io';\nimport 'src/b.dart';\n",
        "a.dart": "export 'src/a.dart';\n",
        "src/a.dart": "import '../src/b.dart';\n",
        "src/b.dart": "int x = 1;\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert not lint.platform_faults(tmp_path)
    (tmp_path / "src/b.dart").write_text("import 'dart:io';\n")
    assert lint.platform_faults(tmp_path) == ["a.dart needs src/b.dart, of dart:io"]
