"""The tests of the Dart runtime as one program: one compilation for all of its files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import dart_program


def compile_all(dart: Path, runtime: Path, folder: Path, seconds: float = 180) -> Path:
    """The program that runs all `test/*_test.dart` of a copy of the runtime, compiled. The files
    that the environment's `FIRST` names (`sse_test`, commas between) run first, the others by name.
    Raises AssertionError with what the compiler says."""
    files = sorted((runtime / "test").glob("*_test.dart"))
    assert files, f"{runtime} has no tests"
    main = folder / "all_test.dart"
    main.write_text(
        "import 'dart:io';\n"
        + "".join(f"import '{file.resolve().as_uri()}' as {file.stem};\n" for file in files)
        + "void main() {\n  final mains = {\n"
        + "".join(f"    '{file.stem}': {file.stem}.main,\n" for file in files)
        + "  };\n  final first = Platform.environment['FIRST'] ?? '';\n"
        "  if (first.isNotEmpty) {\n"
        "    for (final name in first.split(',')) mains.remove(name)!.call();\n"
        "  }\n"
        "  for (final main in mains.values) main();\n}\n"
    )
    packages = dart_program.write_packages(folder, {"mothlight": runtime})
    program = folder / "all_test.dill"
    done = subprocess.run(
        [dart, f"--packages={packages}", f"--snapshot={program}", "--snapshot-kind=kernel", main],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, (done.stderr + done.stdout)[-6000:]
    return program
