"""mypy and pyright over reveal.py and wrong.py: what users are told about their own calls."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
Found = dict[int, str]
"""Line number → what a checker says of it."""


def mypy(path: Path) -> tuple[Found, Found]:
    """(revealed types, errors) of a file."""
    command = ["mypy", "--strict", "--no-error-summary", "--hide-error-context", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr + done.stdout
    revealed, errors = {}, {}
    for line in done.stdout.splitlines():
        if match := re.match(rf".*{path.name}:(\d+): (note|error): (.*)", line):
            number, kind, text = int(match[1]), match[2], match[3]
            if shown := re.match(r'Revealed type is "(.*)"', text):
                revealed[number] = _bare(shown[1])
            elif kind == "error":
                errors[number] = text
    return revealed, errors


def pyright(path: Path) -> tuple[Found, Found]:
    """(revealed types, errors) of a file."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pyright",
            "--pythonpath",
            sys.executable,
            "--outputjson",
            path.name,
        ],
        cwd=path.parent,  # what it imports beside itself is looked for from here
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr + done.stdout
    revealed, errors = {}, {}
    for found in json.loads(done.stdout)["generalDiagnostics"]:
        number = found["range"]["start"]["line"] + 1
        if shown := re.match(r'Type of ".*" is "(.*)"', found["message"], re.DOTALL):
            revealed[number] = _bare(shown[1])
        elif found["severity"] == "error":
            errors[number] = found["message"]
    return revealed, errors


def _bare(shown: str) -> str:
    """A type without module names."""
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", shown).rstrip("?")


Checker = Callable[[Path], tuple[Found, Found]]
both = pytest.mark.parametrize("check", [mypy, pyright])


@pytest.mark.slow
@pytest.mark.timeout(300)
@both
def test_what_users_are_told(check: Checker) -> None:
    path = HERE / "reveal.py"
    expected = {
        number: line.partition("  # ")[2]
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if "reveal_type(" in line
    }
    assert len(expected) > 30 and all(expected.values())
    revealed, errors = check(path)
    assert errors == {}
    assert revealed == expected


@pytest.mark.slow
@pytest.mark.timeout(300)
@both
def test_what_users_are_kept_from(check: Checker, tmp_path: Path) -> None:
    text = (HERE / "wrong.py").read_text()
    expected = {n for n, line in enumerate(text.splitlines(), 1) if "# type: ignore" in line}
    _, ignored = check(HERE / "wrong.py")
    assert ignored == {}
    shutil.copy(HERE / "reveal.py", tmp_path)
    bare = tmp_path / "wrong.py"
    bare.write_text(text.replace("  # type: ignore", ""))
    _, errors = check(bare)
    assert set(errors) == expected, errors
