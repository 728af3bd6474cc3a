"""The tiny services of the unit tests, on the path."""

from __future__ import annotations

import sys
from pathlib import Path

SERVICES = Path(__file__).parent.parent / "services"
sys.path[:0] = [path for path in (str(SERVICES),) if path not in sys.path]
