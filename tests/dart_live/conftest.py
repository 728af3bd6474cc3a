"""Dart programs of `suite/` against live servers, with the package generated for the telegraph."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from live import TESTS, Live
from mothlight.contracts.contract import build
from mothlight.dart import generate
from mothlight.services import Service

sys.path.append(str(TESTS / "dart"))
sys.path.append(str(TESTS / "services"))
from dart_program import write_package, write_packages
from telegraph import Telegraph

SUITE = Path(__file__).parent / "suite"


class Program:
    """Runs the programs; ``command`` begins every one."""

    def __init__(self, dart: Path, folder: Path) -> None:
        files = generate(build([Service.of(Telegraph)]), "telegraph_api", "mothlight generate dart")
        package = write_package(folder / "telegraph_api", files)
        packages = write_packages(folder, {"telegraph_api": package})
        self.command = [str(dart), "--enable-asserts", f"--packages={packages}"]

    def start(self, name: str, *arguments: Any) -> subprocess.Popen[str]:
        """A program that runs; whoever starts it ends it."""
        return subprocess.Popen(
            [*self.command, str(SUITE / name), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, name: str, *arguments: Any, at_least: int, seconds: float = 90) -> str:
        """Fails where a test of the program does, or where there are fewer than there were."""
        process = self.start(name, *arguments)
        try:
            shown, _ = process.communicate(timeout=seconds)
        finally:
            process.kill()
        return passed(shown, process.returncode, at_least)


def passed(shown: str, status: int, at_least: int) -> str:
    """The line that counts a program's tests."""
    found = re.search(r"^(\d+) passed, (\d+) failed$", shown, re.MULTILINE)
    assert found, shown[-6000:]
    assert status == 0 and found[2] == "0", shown[-12000:]
    assert int(found[1]) >= at_least, f"{found[0]}: there were {at_least} once"
    return found[0]


@pytest.fixture(scope="session")
def program(dart: Path, tmp_path_factory: pytest.TempPathFactory) -> Program:
    return Program(dart, tmp_path_factory.mktemp("telegraph"))


class Kept(Live):
    """A server of the telegraph; its model notes its runs in ``ledger``."""

    ledger: Path


@pytest.fixture(scope="module")
def telegraph(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Kept]]:
    """Starts a server; options are settings."""
    started: list[Kept] = []

    def start(**options: Any) -> Kept:
        folder = tmp_path_factory.mktemp("telegraph_server")
        server = Kept(
            f"{TESTS / 'services/telegraph.py'}:Telegraph",
            folder / "log",
            environment={"LEDGER": str(folder / "ledger")},
            **{"drain": 1, **options},
        )
        server.ledger = folder / "ledger"
        started.append(server)
        return server.wait()

    yield start
    for server in started:
        server.stop()


def new_key(folder: Path) -> tuple[Path, str]:
    """A file of API keys, and a key of it."""
    file = folder / "keys.toml"
    command = [sys.executable, "-m", "mothlight", "keys", "new", "app", f"--file={file}"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=dict(os.environ)
    )
    found = re.search(r"moth_[0-9a-f]{8}_[\w-]{43}", done.stdout)
    assert found, done.stdout
    return file, found[0]
