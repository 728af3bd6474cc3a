"""Fixtures of the suites of calls: a real redis-server, and calls in memory and in Redis."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
sys.path[:0] = [p for p in map(str, (TESTS / "services", TESTS / "calls")) if p not in sys.path]

from redis_server import RedisServer  # noqa: E402
from world import Notes, World  # noqa: E402


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
