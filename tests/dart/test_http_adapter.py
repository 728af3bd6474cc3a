"""The adapter of apps, which needs packages that are not here: over stand-ins for them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import dart_program

HERE = Path(__file__).parent


def test_the_adapter_of_package_http(dart: Path, tmp_path: Path) -> None:
    stand_ins = {path.name: path for path in sorted((HERE / "stand_ins").iterdir())}
    packages = dart_program.write_packages(tmp_path, stand_ins)
    done = subprocess.run(
        [dart, "--enable-asserts", f"--packages={packages}", HERE / "http_adapter.dart"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "\n8 passed, 0 failed" in f"\n{said}", said[-6000:]
