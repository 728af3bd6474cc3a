"""The Dart runtime's own tests, on a real VM."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import dart_program
import runtime_suite

AT_LEAST = 261
"""Tests that there were; more are welcome, fewer are a loss."""


def test_the_runtimes_own_tests_pass(dart: Path, tmp_path: Path) -> None:
    program = runtime_suite.compile_all(dart, dart_program.RUNTIME, tmp_path)
    done = subprocess.run(
        [dart, "--enable-asserts", program],
        env={**os.environ, "FIRST": ""},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    said = (done.stdout + done.stderr)[-6000:]
    counts = re.search(r"^(\d+) passed, (\d+) failed$", done.stdout, re.MULTILINE)
    assert counts, said
    assert counts[2] == "0" and done.returncode == 0, said
    assert int(counts[1]) >= AT_LEAST, f"tests were lost: {said}"
