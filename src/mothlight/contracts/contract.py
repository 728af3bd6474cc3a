"""The contract: what ``/contract`` serves, and what clients and the Dart package are made from.

The same services always give the same bytes, and so the same hash; documentation is part of the
document and not of the hash, so that a mended typing error breaks no client.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import MISSING, fields
from inspect import cleandoc
from typing import Any

from pydantic_core import from_json

from ..errors import DefinitionError, Error
from ..schema import Reader, Types, describe
from ..schema.fields import resolve
from ..services import Method, Service

VERSION = 1


def build(services: Iterable[Service]) -> dict[str, Any]:
    """The contract of some services, its ``hash`` included."""
    services = list(services)
    document = _build(services)
    if len(services) > 1:  # a package made of one service is checked against a server of many
        hashes = [digest(_build([service])) for service in services]
    else:
        hashes = [digest(document)] * len(services)
    for described, value in zip(document["services"], hashes, strict=True):
        described["hash"] = value
    return {**document, "hash": digest(document)}


def _build(services: list[Service]) -> dict[str, Any]:
    types: Types = {}
    errors: dict[str, Any] = {}
    for service in services:
        for name, named in service.types.items():
            if types.setdefault(name, named) != named:
                raise DefinitionError(
                    f"two services have a type called {name}, and they differ",
                    "rename one, or share it",
                    at=service.cls,
                )
        for method in service.methods.values():
            for error in method.raises:
                described = _error(error, types)
                if errors.setdefault(error.__name__, described) != described:
                    raise DefinitionError(
                        f"two errors are called {error.__name__}, and they differ",
                        "rename one, or share it",
                        at=error,
                    )
    return {
        "mothlight": VERSION,
        "services": [_service(service) for service in services],
        "types": {name: describe(types[name]) for name in sorted(types)},
        "errors": {name: errors[name] for name in sorted(errors)},
    }


def digest(document: dict[str, Any]) -> str:
    """``sha256:…`` of a contract, whatever its documentation says and its hashes are."""
    services = [{k: v for k, v in one.items() if k != "hash"} for one in document["services"]]
    bare = _without_docs(
        {**{k: v for k, v in document.items() if k != "hash"}, "services": services}
    )
    canonical = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _without_docs(value: Any) -> Any:
    if isinstance(value, dict):
        words = ("doc", "deprecated")
        return {k: _without_docs(v) for k, v in value.items() if k not in words or not _is_text(v)}
    return [_without_docs(item) for item in value] if isinstance(value, list) else value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _service(service: Service) -> dict[str, Any]:
    out: dict[str, Any] = {"name": service.name}
    if service.doc:
        out["doc"] = service.doc
    out["methods"] = [_method(method) for method in service.methods.values()]
    return out


def _method(method: Method[Any, Any, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {"name": method.name}
    if method.doc:
        out["doc"] = method.doc
    if method.deprecated:
        out["deprecated"] = method.deprecated
    out["cardinality"] = method.cardinality.value
    out["http"] = {"verb": method.verb, "path": method.path}
    if method.parameter:
        out["parameter"] = method.parameter
        if method.has_default:
            out["default"] = from_json(method.input.encode(method.default).json)
    out["input"] = describe(method.input.node)
    out["output"] = describe(method.output.node)
    if method.raises:
        out["errors"] = sorted(error.__name__ for error in method.raises)
    return out


def _error(error: type[Error], types: Types) -> dict[str, Any]:
    reader = Reader()
    hints = resolve(error, error)
    described = []
    for field in fields(error):  # type: ignore[arg-type]
        node = reader.read(hints[field.name], f"{error.__name__}.{field.name}", (), error)
        required = field.default is field.default_factory is MISSING
        described.append({"name": field.name, "type": describe(node), "required": required})
    found = [(entry["name"], entry["type"]) for entry in described]
    found += [(name, describe(named)) for name, named in reader.types.items()]
    for name, part in found:
        if kind := _carried_raw(part):
            raise DefinitionError(
                f"{error.__name__} has {kind} in {name}, and a problem document carries JSON alone",
                "give the error a text:   str, of bytes in base64",
                at=error,
            )
    for name, named in reader.types.items():
        if types.setdefault(name, named) != named:
            raise DefinitionError(
                f"{error.__name__} has a field of a type called {name}, and so is another type",
                "rename one, or share it",
                at=error,
            )
    out: dict[str, Any] = {"code": error.code.value, "status": error.status}
    if error.__doc__:
        out["doc"] = cleandoc(error.__doc__)
    return {**out, "fields": described}


def _carried_raw(described: Any) -> str:
    """The kind of what in a described type is carried beside JSON, or in base64; "": all is
    JSON."""
    if isinstance(described, dict):
        kind = described.get("kind")
        if kind in ("bytes", "image", "audio", "file"):
            return str(kind)
        described = [value for key, value in described.items() if key != "default"]
    if isinstance(described, list):
        return next(filter(None, map(_carried_raw, described)), "")
    return ""
