"""The Dart generator: a contract as a package that a Flutter developer calls.

contract ─api─> names and types ─messages, kinds, services …─> layout ─> files
"""

from __future__ import annotations

from typing import Any

from .api import Unreadable, read
from .package import libraries
from .readme import around

__all__ = ["Unreadable", "generate"]


def generate(
    contract: dict[str, Any], package: str, command: str, runtime: str | None = None
) -> dict[str, str]:
    """The files of a package, path → text; the same for the same contract, byte by byte.

    ``command`` makes it anew and stands in each file; ``runtime`` is the version of the hosted
    runtime (``^0.1.0``), None where it lies beside the package. Raises Unreadable.
    """
    api = read(contract, package, command)
    made = {**around(api, runtime), **libraries(api)}
    return dict(sorted(made.items()))
