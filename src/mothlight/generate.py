"""``mothlight generate dart``: a Dart package out of a contract, wherever that is."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import dart
from .dart import folder as folders
from .dart.names import RESERVED, snake
from .target import Refused, find_app

MAX_CONTRACT = 16 * 1024 * 1024
"""Bytes of a contract that comes from elsewhere."""
_TIMEOUT = 10.0
_POLL = 2.0  # seconds between two looks at a server's contract


def add(commands: Any) -> None:
    """The command's place in the command line."""
    generate = commands.add_parser("generate", help="make a client package")
    languages = generate.add_subparsers(required=True, metavar="LANGUAGE")
    parser: argparse.ArgumentParser = languages.add_parser(
        "dart",
        help="a package for Dart and Flutter",
        description="Makes a Dart package of a contract, and puts the runtime beside it.",
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "target",
        metavar="TARGET",
        help="MODULE[:NAME], the URL of a server, or a contract in a .json file",
    )
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR", help="the package's own folder"
    )
    parser.add_argument("--name", help="the package's name (the folder's)")
    parser.add_argument(
        "--runtime", metavar="VERSION", help="take the hosted runtime, '^0.1.0', and write none"
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="only say what is stale; then exit 1")
    mode.add_argument("--watch", action="store_true", help="make it anew at each change")


def run(
    target: str, out: Path, name: str | None, runtime: str | None, check: bool, watch: bool
) -> int:
    """Makes the package, or looks whether it is as it must be; the exit status."""
    package = _package(name, out)
    if runtime is not None and not re.fullmatch(r"[\^<>=0-9.a-z +-]+", runtime):
        raise Refused(f"--runtime {runtime!r} is no version; write   --runtime '^0.1.0'")
    if watch:
        return _watch(target, out, name, runtime)
    command = (check and folders.command_of(out, package)) or _command(target, out, name, runtime)
    try:
        files = dart.generate(_contract(target), package, command, runtime)
        found = folders.changes(out, files)
        if runtime is None:
            found = folders.runtime_changes(out.resolve().parent / folders.RUNTIME) + found
    except (dart.Unreadable, folders.NotOurs) as error:
        raise Refused(str(error)) from error
    if not check:
        folders.apply(found)
        print(f"{package}: {len(files)} files, {len(found)} changed, in {out}")
        return 0
    for change in found:
        shown = os.path.relpath(change.path)
        print(f"{shown}: {'is no longer made' if change.text is None else 'is stale'}")
    if found:
        print(f"make it anew:   {command}", file=sys.stderr)
    return 1 if found else 0


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
    words = ["mothlight", "generate", "dart", _portable(target), "-o", _portable(str(out))]
    words += ["--name", name] if name is not None else []
    words += ["--runtime", runtime] if runtime is not None else []
    return shlex.join(words)


def _portable(path: str) -> str:
    return Path(path).name if Path(path).is_absolute() else path


# Where the contract is


def _contract(target: str) -> dict[str, Any]:
    if _is_url(target):
        found = _fetch(target, "")
        assert found is not None
        return found[0]
    if target.endswith(".json"):
        return _from_file(Path(target))
    contract: dict[str, Any] = find_app(target, {}).contract
    return contract


def _is_url(target: str) -> bool:
    return target.startswith(("http://", "https://"))


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return _parsed(file.read(MAX_CONTRACT + 1), str(path))
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None


def _parsed(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > MAX_CONTRACT:
        raise Refused(f"{where} has more than {MAX_CONTRACT >> 20} MiB: that is no contract")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or "services" not in found:
        raise Refused(f"{where} is no contract; `mothlight contract` prints one")
    return found


def _fetch(url: str, etag: str) -> tuple[dict[str, Any], str] | None:
    """A server's contract and its ETag; None where it is still the one of ``etag``."""
    try:
        import httpx2
    except ImportError:
        raise Refused('a contract from a URL needs:   pip install "mothlight[client]"') from None
    place = url if url.endswith("/contract") else f"{url.rstrip('/')}/contract"
    headers = {"if-none-match": etag} if etag else {}
    try:
        with (
            httpx2.Client(timeout=_TIMEOUT) as client,
            client.stream("GET", place, headers=headers) as response,
        ):
            if response.status_code == 304:
                return None
            if response.status_code != 200:
                raise Refused(f"{place} answers {response.status_code}")
            data, deadline = bytearray(), time.monotonic() + 3 * _TIMEOUT
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > MAX_CONTRACT or time.monotonic() > deadline:
                    break
            return _parsed(bytes(data), place), response.headers.get("etag", "")
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Refused(f"{place} cannot be read: {error or type(error).__name__}") from None


# Watching


def _watch(target: str, out: Path, name: str | None, runtime: str | None) -> int:
    """Makes the package, and again at each change, in a process of its own: so that the module is
    imported anew."""
    command = [sys.executable, "-m", "mothlight", "generate", "dart", target, "-o", str(out)]
    command += ["--name", name] if name is not None else []
    command += ["--runtime", runtime] if runtime is not None else []
    for _ in _changes(target):
        subprocess.run(command, check=False)
    return 0


def _changes(target: str) -> Iterator[None]:
    """Once at the beginning, and at each change of the target."""
    if _is_url(target):
        yield from _changes_there(target)
        return
    from watchfiles import DefaultFilter, PythonFilter, watch

    path = Path(target if target.endswith(".json") else target.partition(":")[0])
    yield
    if path.suffix == ".json":
        only = DefaultFilter()
        folder = path.resolve().parent
        for changed in watch(folder, watch_filter=only, raise_interrupt=True):
            if any(Path(name) == path.resolve() for _, name in changed):
                yield
        return
    folder = path.resolve().parent if path.suffix == ".py" else Path.cwd()
    for _ in watch(folder, watch_filter=PythonFilter(), raise_interrupt=True):
        yield


def _changes_there(url: str) -> Iterator[None]:
    etag, complaint = "", ""
    while True:
        try:
            found = _fetch(url, etag)
            if found is not None and (found[1] != etag or not etag):
                etag = found[1] or str(found[0].get("hash"))
                yield
            complaint = ""
        except Refused as error:
            if str(error) != complaint:
                print(f"mothlight: {error}; trying on", file=sys.stderr)
            complaint = str(error)
        time.sleep(_POLL)
