"""Fixtures of the unit tests: coroutines with a deadline, and the tiny services on the path."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

SERVICES = Path(__file__).parent.parent / "services"
sys.path[:0] = [path for path in (str(SERVICES),) if path not in sys.path]


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
