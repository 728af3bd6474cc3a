"""The Dart generator: a contract as a package that a Flutter developer calls.

contract ─api─> names and types ─messages, services, …─> layout ─libraries─> files
"""

from __future__ import annotations

from typing import Any

from .api import Api, Unreadable, read
from .example import example
from .libraries import libraries
from .pubspec import analysis_options, changelog, dependency, pubspec
from .readme import readme

__all__ = ["Unreadable", "generate"]


def generate(
    contract: dict[str, Any], package: str, command: str, runtime: str | None = None
) -> dict[str, str]:
    """The files of a package, path → text; the same for the same contract, byte by byte.

    ``command`` makes it anew and stands in each file; ``runtime`` is the version of the hosted
    runtime (``^0.1.0``), None where it lies beside the package. Raises Unreadable.
    """
    try:
        return dict(sorted(_files(read(contract, package, command), runtime).items()))
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        # A stranger's contract may lack anything, and point at what is not there.
        raise Unreadable(f"the contract cannot be read: {type(error).__name__}: {error}") from error


def _files(api: Api, runtime: str | None) -> dict[str, str]:
    found = libraries(api)
    has_limits = "lib/src/limits.dart" in found
    return {
        "pubspec.yaml": pubspec(api, runtime),
        "analysis_options.yaml": analysis_options(api),
        "README.md": readme(api, dependency(runtime), has_limits=has_limits),
        "CHANGELOG.md": changelog(api),
        f"example/{api.package}_example.dart": example(api),
        **found,
    }
