"""What every suite may use: servers as real processes, coroutines with a deadline."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest

import dart_format
import dart_vm
import npm_package
from live import Live, free_port


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on an event loop of its own; fails after 30 s, and when it leaves tasks."""

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        async def main() -> Any:
            errors: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, c: errors.append(c))
            async with asyncio.timeout(30):
                result = await work
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks were left behind: {left}"
            assert not errors, f"the event loop met errors: {errors}"
            return result

        return asyncio.run(main())

    return run


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
    """`mothlight demo`, its real weights loaded, once for all suites that ask it."""
    server = Live(
        "",
        tmp_path_factory.mktemp("demo") / "log",
        command=("-m", "mothlight", "demo"),
        environment={"MOTHLIGHT_PORT": str(free_port())},
    )
    yield server.wait(240)
    server.stop()


@pytest.fixture(scope="session")
def dart() -> Path:
    """A Dart VM. CI does without none; elsewhere who has none is told what was not tried."""
    try:
        return dart_vm.dart()
    except dart_vm.NoDart as error:
        _not_run(f"no Dart code was tried: {error}")


@pytest.fixture(scope="session")
def format_dart() -> Callable[[Mapping[str, str]], dict[str, str]]:
    """The real `dart format`: sources by name, as it writes them. The same holds for it."""
    try:
        dart_format.format_all({})
    except npm_package.NotFetched as error:
        _not_run(f"the format of Dart code was not looked at: {error}")
    return dart_format.format_all


def _not_run(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI runs the Dart tests: {what}")
    pytest.skip(f"NOT RUN, {what}")


@pytest.fixture
def show(
    request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> Callable[[str], None]:
    """Prints a figure, past what captures the test's output."""

    def show(line: str) -> None:
        with capsys.disabled():
            print(f"\n{request.node.name}: {line}", end="", flush=True)

    return show
