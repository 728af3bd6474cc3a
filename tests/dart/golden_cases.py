"""The gallery: small services, one a feature, and the packages that are made of them.

``python tests/dart/golden_cases.py [CASE]...`` writes the golden packages anew.
"""

from __future__ import annotations

import importlib
import shutil
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from mothlight.contracts.contract import build
from mothlight.dart import generate
from mothlight.services import Service

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"
BEYOND = {"demo": "mothlight.demo.app", "kitchen": "services.kitchen"}
"""Cases that are served elsewhere too."""


@dataclass(frozen=True)
class Case:
    """A module with services. ``name`` is also its golden folder's."""

    name: str
    module: str

    @cached_property
    def services(self) -> list[type]:
        module = importlib.import_module(self.module)
        return [c for c in vars(module).values() if is_service(c, module)]

    @cached_property
    def contract(self) -> dict[str, Any]:
        return build([Service.of(cls) for cls in self.services])

    @property
    def package(self) -> str:
        return f"{self.name}_api"

    @property
    def folder(self) -> Path:
        return GOLDEN / self.name

    def generate(self) -> dict[str, str]:
        command = f"mothlight generate dart {self.module} -o {self.package}"
        return generate(self.contract, self.package, command, "^0.1.0")

    def golden(self) -> dict[str, str]:
        """The package as it stands in the repository."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {p.relative_to(self.folder).as_posix(): p.read_bytes().decode() for p in files}


def is_service(thing: Any, module: ModuleType) -> bool:
    """Whether it is a service that this module defines."""
    marked = isinstance(thing, type) and "__mothlight__" in vars(thing)
    return marked and thing.__module__ == module.__name__


CASES = [
    *(Case(p.stem, f"gallery.{p.stem}") for p in sorted((HERE / "gallery").glob("*.py"))),
    *(Case(name, module) for name, module in BEYOND.items()),
]


def update(case: Case) -> None:
    """Writes a case's golden package."""
    files = case.generate()
    shutil.rmtree(case.folder, ignore_errors=True)
    for name, content in files.items():
        path = case.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode())


if __name__ == "__main__":
    sys.path.append(str(HERE.parent))
    for chosen in CASES:
        if chosen.name in sys.argv[1:] or not sys.argv[1:]:
            update(chosen)
