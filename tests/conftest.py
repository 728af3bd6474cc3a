"""What every suite may use: servers as real processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from live import Live, free_port


def _starter(folder: Path) -> Iterator[Callable[..., Live]]:
    started: list[Live] = []

    def start(target: str | Path, **options: Any) -> Live:
        server = Live(str(target), folder / f"server{len(started)}.log", **options)
        started.append(server)
        return server.wait()

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def serve_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Live]]:
    """Starts a server that lives until the session ends: ``serve_all("file.py:Service", ...)``."""
    yield from _starter(tmp_path_factory.mktemp("servers"))


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """Starts a server for one test; options are settings."""
    yield from _starter(tmp_path)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """`python -m mothlight.demo`, its real weights loaded, once for all suites that ask it."""
    server = Live(
        "",
        tmp_path_factory.mktemp("demo") / "log",
        command=("-m", "mothlight.demo"),
        environment={"MOTHLIGHT_PORT": str(free_port())},
    )
    yield server.wait(240)
    server.stop()
