"""The Dart files of docs/from-the-tutorial.md, as packages for programs on a Dart VM.

A block of the page is a file: the comment before it says which. What is said to be printed stands
in blocks of text, with the names of their sections.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from live import TESTS, Live

HERE = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "from-the-tutorial.md"
PHOTOS = TESTS.parent / "examples" / "photos"
COMMAND = "generate dart http://127.0.0.1:5000 -o packages/demo_api"
"""The page's, which makes the demo's package."""

_BLOCK = re.compile(r"^(?:<!-- (.+?) -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[tuple[str, str]]:
    """The name ("" without one) and the text of each of the page's blocks in a language."""
    found = [match.groups(default="") for match in _BLOCK.finditer(PAGE.read_text("utf-8"))]
    return [(name, text) for name, kind, text in found if kind == language]


def run_dart(dart: Path, demo: Live, folder: Path, program: str, photo: str) -> str:
    """What a program of this folder prints that imports the page's files, as packages."""
    packages = write_packages(demo, folder)
    command = [dart, "--enable-asserts", f"--packages={packages}", HERE / program]
    return _run(*map(str, command), demo.url, str(PHOTOS / photo), cwd=folder)


def write_packages(demo: Live, folder: Path) -> Path:
    """The page's files, the demo's package as its command makes it, and stand-ins for what a VM
    does not have; the file for `--packages`.

    The one change to the page's files: dart:io's adapter in place of package:http's.
    """
    for name, text in blocks("dart"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        changed = text.replace("mothlight/http.dart", "mothlight/io.dart")
        path.write_text(changed.replace("PackageHttpAdapter(", "IoAdapter("), "utf-8")
    command = COMMAND.replace("http://127.0.0.1:5000", demo.url).split()
    _run(sys.executable, "-m", "mothlight", *command, cwd=folder)
    roots = {
        "tutorial": folder / "tutorial",
        "app": folder / "app" / "lib",
        "demo_api": folder / "packages" / "demo_api" / "lib",
        "mothlight": folder / "packages" / "mothlight" / "lib",
        "http": HERE / "stand_ins" / "http",
        "image_picker": HERE / "stand_ins" / "image_picker",
        "flutter": TESTS / "create" / "shim" / "flutter",
    }
    packages = [
        {"name": name, "rootUri": root.as_uri(), "packageUri": "./", "languageVersion": "3.7"}
        for name, root in roots.items()
    ]
    table = folder / "packages.json"
    table.write_text(json.dumps({"configVersion": 2, "packages": packages}))
    return table


def _run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
