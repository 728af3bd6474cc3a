"""What generated packages do in an app: beside Flutter, when errors are of another version, and in
its tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from dart_program import compile_script, run_script, write_package, write_packages
from golden_cases import CASES

from mothlight.dart import names

FOLDERS = {case.package: case.folder for case in CASES}
ERRORS = """
import 'package:declared_errors_api/declared_errors_api.dart';
import 'package:mothlight/mothlight.dart';
import 'package:mothlight/testing.dart';

Future<void> main() async {
  final whole = TextTooLong(fakeProblem(fields: {'length': 3, 'limit': 2}));
  print('${whole.length} of ${whole.limit}');
  try {
    print(TextTooLong(fakeProblem(fields: {'length': 3})));
  } on DecodeException catch (error) {
    print('${error.path} ${error.message}');
  }
  final adapter = ScriptedAdapter([
    Reply.problem(
      'TextTooLong',
      status: 400,
      code: 'invalid_argument',
      fields: {'length': 3},
    ),
  ]);
  final transport = Transport(Uri.parse('http://test'), adapter: adapter);
  try {
    await JudgeClient(transport).judge(const Word(text: 'no'));
  } on TextTooLong {
    print('declared');
  } on ApiException catch (error) {
    print('${error.type} ${error.code.wire} ${error.problem.fields['length']}');
  }
}
"""
FAKES = """
import 'package:declared_errors_api/declared_errors_api.dart';
import 'package:declared_errors_api/testing.dart';
import 'package:mothlight/mothlight.dart';

Future<void> main() async {
  final cancel = CancelToken();
  final api = FakeJudgeApi(
    ready: () async => true,
    onCall: (method, options) {
      options?.onSendProgress?.call(1, 2);
      print('$method ${options?.supersede?.name} ${options?.cancel == cancel}');
    },
  );
  final options = CallOptions(
    cancel: cancel,
    supersede: const SupersedeKey('typing'),
    onSendProgress: (sent, total) => print('$sent of $total'),
  );
  print(await api.ready(options: options));
  try {
    await api.judge(const Word(text: 'a'));
  } on UnimplementedError catch (error) {
    print(error.message);
  }
}
"""


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (ERRORS, ["3 of 2", "limit is not there", "TextTooLong invalid_argument 3"]),
        (
            FAKES,
            [
                "1 of 2",
                "ready typing true",
                "true",
                "judge null false",
                "FakeJudgeApi.judge was not given",
            ],
        ),
    ],
    ids=["errors", "fakes"],
)
def test_a_program(dart: Path, tmp_path: Path, program: str, said: list[str]) -> None:
    script = tmp_path / "program.dart"
    script.write_text(program)
    assert run_script(dart, write_packages(tmp_path, FOLDERS), script, []) == said


@pytest.mark.slow
def test_a_screen_can_name_what_is_flutters(dart: Path, tmp_path: Path) -> None:
    """It imports Flutter, the runtime and packages; a name of two of them is an error."""
    classes = "\n".join(f"class {name} {{}}" for name in sorted(names.FLUTTER))
    flutter = write_package(tmp_path / "flutter", {"lib/material.dart": classes})
    imported = ["flutter/material", "mothlight/mothlight"]
    imported += [f"{package}/{package}" for package in FOLDERS]
    lines = [f"import 'package:{one}.dart';" for one in imported]
    lines.append(f"const List<Type> used = [{', '.join(sorted(names.FLUTTER))}];")
    script = tmp_path / "screen.dart"
    packages = write_packages(tmp_path, {**FOLDERS, "flutter": flutter})
    script.write_text("\n".join([*lines, "void main() {}", ""]))
    assert compile_script(dart, packages, script) == ""
