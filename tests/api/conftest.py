"""Servers of the loom, for the tests of calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest

from mothlight.testing import TestClient
from served import Served
from services import loom


@pytest.fixture(scope="module")
def _servers() -> Iterator[Callable[..., Served]]:
    with ExitStack() as stack:
        known: dict[tuple[tuple[str, Any], ...], Served] = {}

        def serve(**settings: Any) -> Served:
            place = tuple(sorted(settings.items()))
            if place not in known:
                client = stack.enter_context(TestClient(loom.Loom, **settings))
                known[place] = Served(client)
                stack.callback(known[place].http.close)
            return known[place]

        yield serve
        for held in loom.GATES.values():
            held.set()


@pytest.fixture
def served(_servers: Callable[..., Served]) -> Callable[..., Served]:
    """A server with these settings; tests that ask for the same ones share it."""
    return _servers


@pytest.fixture
def name() -> Iterator[str]:
    """A name that no other test's calls have; their gate is opened at the end."""
    name = uuid4().hex
    yield name
    loom.GATES.pop(name, threading.Event()).set()


@pytest.fixture
def key() -> str:
    """An id that is its own secret."""
    return uuid4().hex
