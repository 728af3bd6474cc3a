"""Targets of commands: what ``module:Service`` and its like on the command line stand for."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from .errors import DefinitionError

log = logging.getLogger("mothlight")

MAX_CONTRACT = 16 * 1024 * 1024
"""Bytes of a contract that comes from elsewhere."""
_TIMEOUT = 10.0
_IMPORTLIB = (str(importlib.__file__), "<frozen importlib")


class Refused(Exception):
    """What was asked cannot be done; the message says why."""


def find_app(target: str, options: dict[str, Any]) -> Any:
    """The App of ``module:name``, ``path/to/file.py:name`` or ``module``; ``options`` are settings
    that go before the App's own. Raises Refused with the mend."""
    from .app import App

    module_name, _, name = target.partition(":")
    if not module_name:
        raise Refused(f"{target!r} names no module; write   mothlight serve my_module:MyService")
    module = _import(module_name)
    found: Any = module
    for part in filter(None, name.split(".")):
        if not hasattr(found, part):
            there = [k for k, v in vars(found).items() if hasattr(v, "__mothlight__")]
            hint = f"; its services are {', '.join(there)}" if there else ""
            raise Refused(f"{module_name} has no {part!r}{hint}")
        found = getattr(found, part)
    apps: dict[int, tuple[str, App]] = {}
    for key, value in vars(module).items():
        if isinstance(value, App):
            apps.setdefault(id(value), (key, value))
    if found is module and len(apps) > 1:
        names = " or ".join(f"{module_name}:{name}" for name, _ in apps.values())
        raise Refused(f"{module_name} has several Apps; say which:   {names}")
    if found is module and apps:  # its keys and its limits are meant, too
        ((_, found),) = apps.values()
    if isinstance(found, App):
        return found.with_settings(**options)
    if found is not module:
        for name, app in apps.values():
            if any(service.cls is found for service in app.services):
                log.warning(
                    "%s has an App of %s, which this passes by with its settings and who may "
                    "call;   serve %s:%s   takes it",
                    *(module_name, found.__name__, module_name, name),
                )
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


def _import(name: str) -> ModuleType:
    path = Path(name)
    if path.suffix == ".py":
        if not path.exists():
            raise Refused(f"there is no file {name}")
        folder, name = path.resolve().parent, path.stem
        while (folder / "__init__.py").exists():  # so that it may import from its package
            folder, name = folder.parent, f"{folder.name}.{name}"
        sys.path.insert(0, str(folder))
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
        raise Refused(_told(name, error)) from None
    except DefinitionError:
        raise
    except Exception as error:
        raise Refused(_told(name, error)) from None


def _told(name: str, error: Exception) -> str:
    """Why a module cannot be imported: the traceback from its own first line on."""
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename.startswith((__file__, *_IMPORTLIB)):
        trace = trace.tb_next
    told = "".join(traceback.format_exception(type(error), error, trace)).rstrip()
    return f"{name} cannot be imported\n{told}"


# Contracts, of an App or from elsewhere


def find_contract(target: str) -> dict[str, Any]:
    """The contract of ``module:name`` and its like, of the server at a URL, or in a .json file.
    Raises Refused."""
    if is_url(target):
        return _fetch(target)
    if target.endswith(".json"):
        return _from_file(Path(target))
    contract: dict[str, Any] = find_app(target, {}).contract
    return contract


def is_url(target: str) -> bool:
    """Whether it names a server."""
    return target.startswith(("http://", "https://"))


def _from_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return _parsed(file.read(MAX_CONTRACT + 1), str(path))
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}") from None


def _parsed(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > MAX_CONTRACT:
        raise Refused(f"{where} has more than {MAX_CONTRACT >> 20} MiB: that is no contract")
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or "services" not in found:
        raise Refused(f"{where} is no contract; `mothlight contract` prints one")
    return found


def _fetch(url: str) -> dict[str, Any]:
    """A server's contract."""
    try:
        import httpx2
    except ImportError:
        raise Refused('a contract from a URL needs:   pip install "mothlight[client]"') from None
    place = url if url.endswith("/contract") else f"{url.rstrip('/')}/contract"
    try:
        with httpx2.Client(timeout=_TIMEOUT) as client, client.stream("GET", place) as response:
            if response.status_code != 200:
                hint = ""
                if response.status_code == 404:
                    hint = "\n  is a Mothlight app served there? A mounted one has a path:   "
                    hint += f"{place.removesuffix('/contract')}/ml"
                raise Refused(f"{place} answers {response.status_code}{hint}")
            data, deadline = bytearray(), time.monotonic() + 3 * _TIMEOUT
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > MAX_CONTRACT:
                    break
                if time.monotonic() > deadline:
                    raise Refused(f"{place} takes longer than {3 * _TIMEOUT:g} s")
            return _parsed(bytes(data), place)
    except httpx2.ConnectError as error:
        raise Refused(
            f"{place} cannot be reached: {error}\n  start the server first:   mothlight serve …"
        ) from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Refused(f"{place} cannot be read: {error or type(error).__name__}") from None
