"""``mothlight generate dart``: a Dart package out of a contract, wherever that is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from . import dart
from .dart import folder as folders
from .dart.names import RESERVED, snake
from .target import Refused, find_contract, is_url

_POLL = 2.0  # seconds between two looks at a server's contract
_LOOK = 200  # milliseconds until a look at files without a change ends


def run(
    target: str, out: Path, name: str | None, runtime: str | None, check: bool, watch: bool
) -> int:
    """Makes the package, or looks whether it is as it must be; the exit status."""
    package = _package(name, out)
    if runtime is not None and not re.fullmatch(r"[\^<>=0-9.a-z +-]+", runtime):
        raise Refused(f"--runtime {runtime!r} is no version; write   --runtime '^0.1.0'")
    job = _Job(out, package, _command(target, out, name, runtime), runtime)
    if watch and is_url(target):
        return _watch_server(target, job)
    if watch:
        return _watch_files(target, out, name, runtime)
    contract = find_contract(target)
    if check:
        return job.check(contract)
    job.make(contract)
    return 0


@dataclass(frozen=True)
class _Job:
    """A package that is to be in a folder."""

    out: Path
    package: str
    command: str
    runtime: str | None

    def make(self, contract: dict[str, Any]) -> None:
        """Writes what is not as it must be, and says how much that was."""
        for folder, changes in self._changes(contract, self.command).items():
            folders.apply(changes)
            print(f"{folder}: {len(changes)} files written", flush=True)

    def check(self, contract: dict[str, Any]) -> int:
        """Says what is not as it must be; 1 where anything is. The files may have been made by
        another command: of another folder, or on another machine."""
        command = folders.command_of(self.out, self.package) or self.command
        found = self._changes(contract, command)
        for folder, changes in found.items():
            if changes and not folder.exists():
                print(f"{folder} is missing")
                continue
            for change in changes:
                print(f"{change.path} {change.why}")
        if not any(found.values()):
            return 0
        print(f"make it anew:   {command}", file=sys.stderr)
        return 1

    def _changes(self, contract: dict[str, Any], command: str) -> dict[Path, list[folders.Change]]:
        beside = Path(os.path.normpath(self.out / ".." / folders.RUNTIME))
        try:
            files = dart.generate(contract, self.package, command, self.runtime)
            found = {self.out: folders.changes(self.out, files)}
            if self.runtime is None:
                found[beside] = folders.runtime_changes(beside)
        except (dart.Unreadable, folders.NotOurs) as error:
            raise Refused(str(error)) from error
        return found


def _package(name: str | None, out: Path) -> str:
    package = name if name is not None else snake(out.resolve().name)
    fits = re.fullmatch(r"[a-z_][a-z0-9_]*", package)
    if not fits or package in RESERVED or package == folders.RUNTIME:
        raise Refused(
            f"{package!r} is no name of a Dart package\n"
            "  lower case, digits and underscores:   --name sentiment_api"
        )
    return package


def _command(target: str, out: Path, name: str | None, runtime: str | None) -> str:
    """The command as it stands in each file: without this machine's folders."""
    return shlex.join(["mothlight", *_words(_portable(target), _portable(str(out)), name, runtime)])


def _words(target: str, out: str, name: str | None, runtime: str | None) -> list[str]:
    words = ["generate", "dart", target, "-o", out]
    words += ["--name", name] if name is not None else []
    return words + (["--runtime", runtime] if runtime is not None else [])


def _portable(path: str) -> str:
    return Path(path).name if Path(path).is_absolute() else path


# Watching


def _watch_files(target: str, out: Path, name: str | None, runtime: str | None) -> int:
    """Makes the package, and again at each change, in a process of its own: so that the module is
    imported anew."""
    command = [sys.executable, "-m", "mothlight", *_words(target, str(out), name, runtime)]
    for _ in _looks(target):
        subprocess.run(command, check=False)
    return 0


def _looks(target: str) -> Iterator[None]:
    """Once when the files are watched, so that no edit is missed, and at each change of them."""
    from watchfiles import PythonFilter, watch

    path = Path(target if target.endswith(".json") else target.partition(":")[0]).resolve()
    is_file = path.suffix in (".json", ".py")
    folder = path.parent if is_file else Path.cwd()
    if not folder.is_dir():
        raise Refused(f"there is no folder {folder}")
    only = PythonFilter() if path.suffix != ".json" else lambda _, name: Path(name) == path
    looks = watch(
        folder, watch_filter=only, rust_timeout=_LOOK, yield_on_timeout=True, raise_interrupt=True
    )
    for number, changed in enumerate(looks):
        if changed or number == 0:
            yield


def _watch_server(url: str, job: _Job) -> NoReturn:
    """Makes the package, and again whenever the server has another contract; a server that is away
    or has none that can be read is asked again."""
    made, complaint = None, ""
    while True:
        try:
            contract = find_contract(url)
            if contract != made:
                job.make(contract)
            made, complaint = contract, ""
        except Refused as error:
            if str(error) != complaint:
                print(f"mothlight: {error}; trying on", file=sys.stderr, flush=True)
            complaint = str(error)
        time.sleep(_POLL)
