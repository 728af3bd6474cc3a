"""The tiny services of the unit tests, on the path."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import desk
import pytest

SERVICES = Path(__file__).parent.parent / "services"
sys.path[:0] = [path for path in (str(SERVICES),) if path not in sys.path]


@pytest.fixture
def fresh_hold() -> Iterator[None]:
    """What holds up the methods of the Desk is new, and lets go in the end."""
    desk.hold = desk.Hold()
    yield
    desk.hold.go.set()
