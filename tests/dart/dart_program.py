"""Programs for the Dart VM: packages by name, and a script that imports them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "dart" / "mothlight"
LANGUAGE = "3.7"


def write_packages(folder: Path, packages: Mapping[str, Path]) -> Path:
    """The file for `--packages`: the runtime and these packages, each by its folder."""
    entries = [
        {
            "name": name,
            "rootUri": f"{path.resolve().as_uri()}/",
            "packageUri": "lib/",
            "languageVersion": LANGUAGE,
        }
        for name, path in {"mothlight": RUNTIME, **packages}.items()
    ]
    file = folder / "packages.json"
    file.write_text(json.dumps({"configVersion": 2, "packages": entries}))
    return file


def write_package(folder: Path, files: Mapping[str, str]) -> Path:
    """A package's files, as the generator gives them."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    return folder


def compile_script(dart: Path, packages: Path, script: Path, seconds: float = 90) -> str:
    """The errors that the compiler finds in a script and in all that it imports; "" for none."""
    command = [dart, f"--packages={packages}", "--snapshot=/dev/null", "--snapshot-kind=kernel"]
    done = subprocess.run(
        [*command, script], capture_output=True, text=True, timeout=seconds, check=False
    )
    return "" if done.returncode == 0 else done.stderr + done.stdout


def run_script(
    dart: Path, packages: Path, script: Path, lines: list[str], seconds: float = 90
) -> list[str]:
    """What a script prints to these lines of standard input."""
    done = subprocess.run(
        [dart, "--enable-asserts", f"--packages={packages}", script],
        env={**os.environ, "TZ": "UTC"},  # times without an offset are local ones
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout.split("\n")[:-1]
