"""Targets of commands: ``module:Service`` on the command line as an App."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError


class Refused(Exception):
    """What was asked cannot be done; the message says why."""


def find_app(target: str, options: dict[str, Any]) -> Any:
    """The App of ``module:name``, ``path/to/file.py:name`` or ``module``; ``options`` are settings
    that go before the App's own. Raises Refused with the mend."""
    from .app import App

    module_name, _, name = target.partition(":")
    module = _import(module_name)
    found: Any = module
    for part in filter(None, name.split(".")):
        if not hasattr(found, part):
            there = [k for k, v in vars(found).items() if hasattr(v, "__mothlight__")]
            hint = f"; its services are {', '.join(there)}" if there else ""
            raise Refused(f"{module_name} has no {part!r}{hint}")
        found = getattr(found, part)
    try:
        if isinstance(found, App):
            return found.with_settings(**options)
        if found is not module:
            return App(found, **options)
        services = [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and "__mothlight__" in vars(value)
            and value.__module__ == module.__name__
        ]
        if not services:
            raise Refused(
                f"{module_name} defines no service\n"
                "  mark a class with @service, or name what to serve:   mothlight serve module:Name"
            )
        return App(*services, **options)
    except ValidationError as error:
        raise unfit(error) from None


def unfit(error: ValidationError) -> Refused:
    """What is said where settings do not fit."""
    lines = [
        f"--{'.'.join(map(str, e['loc'])).replace('_', '-')}: {e['msg']}" for e in error.errors()
    ]
    return Refused("\n  ".join(["these settings do not fit:", *lines]))


def _import(name: str) -> ModuleType:
    path = Path(name)
    if path.suffix == ".py":
        if not path.exists():
            raise Refused(f"there is no file {name}")
        sys.path.insert(0, str(path.resolve().parent))
        name = path.stem
    else:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise Refused(
                f"there is no module {name!r} here ({Path.cwd()})\n"
                "  write   mothlight serve my_module:MyService   in the folder of my_module.py"
            ) from None
        raise
