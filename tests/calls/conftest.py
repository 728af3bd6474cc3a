"""Fixtures of the suites of calls: a real redis-server, and calls in memory and in Redis."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent.parent
sys.path[:0] = [p for p in map(str, (TESTS / "services", TESTS / "calls")) if p not in sys.path]

from redis_server import RedisServer  # noqa: E402
from world import Notes, World  # noqa: E402


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


@pytest.fixture(scope="session")
def session_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A redis-server that the test may kill."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Notes:
    monkeypatch.setenv("STAGE", str(tmp_path))
    return Notes(tmp_path)


@pytest.fixture(params=["memory", "redis", "replicas"])
def world(request: pytest.FixtureRequest, notes: Notes) -> World:
    if request.param == "memory":
        return World("memory", None, notes)
    redis: RedisServer = request.getfixturevalue("session_redis")
    redis.empty()
    return World(request.param, redis, notes)
