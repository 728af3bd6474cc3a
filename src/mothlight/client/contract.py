"""A contract read back: models, enums, errors and methods without the server's Python classes."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping
from typing import Any

from ..methods import VERBS
from ..schema.document import read_named, read_node
from ..services import Cardinality, Method
from .errors import UnexpectedAnswer
from .models import Models, error_class, fitted
from .stub import unknown

VERSION = 1


class Contract:
    """``document`` is the contract as it came; ``types`` and ``errors`` are its classes by name.

    Raises UnexpectedAnswer where it cannot be read: it comes from a server of another version, or
    from a stranger. Rules of values (lengths, ranges, patterns) are left to the server.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        try:
            if (version := document.get("mothlight")) != VERSION:
                raise ValueError(f"it is of version {version}, this client reads {VERSION}")
            self._read(document)
        except Exception as error:
            reason = f"the contract cannot be read: {type(error).__name__}: {error}"
            raise UnexpectedAnswer(
                reason=reason,
                answered=200,
                media_type="application/json",
                start=str(document)[:200],
            ) from error

    def _read(self, document: dict[str, Any]) -> None:
        tree = {name: fitted(read_named(name, one)) for name, one in document["types"].items()}
        models = Models(tree)
        self.types = types.SimpleNamespace(**models.classes)
        errors = {name: error_class(name, e, models) for name, e in document["errors"].items()}
        self.errors = types.SimpleNamespace(**errors)
        self._services = {
            described["name"]: RemoteService(described, models, errors)
            for described in document["services"]
        }

    def service(self, name: str) -> RemoteService:
        """A service by its name. Raises UnknownName."""
        if name not in self._services:
            raise unknown("the server", name, self._services)
        return self._services[name]


class RemoteService:
    """A service as its contract describes it."""

    def __init__(self, described: Mapping[str, Any], models: Models, errors: Any) -> None:
        self.name, self.doc = str(described["name"]), str(described.get("doc", ""))
        self.methods: dict[str, Method[Any, Any, Any]] = {
            method["name"]: RemoteMethod(self.name, method, models, errors)
            for method in described["methods"]
        }


class RemoteMethod(Method[Any, Any, Any]):
    """A method as its contract describes it."""

    def __init__(
        self, service: str, described: Mapping[str, Any], models: Models, errors: Any
    ) -> None:
        self.name = str(described["name"])
        self.qualname = f"{service}.{self.name}"
        self.doc = str(described.get("doc", ""))
        self.cardinality = Cardinality(described["cardinality"])
        self.verb, self.path = described["http"]["verb"], described["http"]["path"]
        if self.verb not in VERBS or not re.fullmatch(r"/[\w\-./~]*", self.path):
            raise ValueError(f"{self.verb} {self.path} is no verb and path")
        self.raises = tuple(errors[name] for name in described.get("errors", ()))
        self.input = models.shape(read_node(described["input"]))
        self.output = models.shape(read_node(described["output"]))
        self.parameter = str(described.get("parameter", ""))
        self.default = inspect.Parameter.empty
        if "default" in described:
            self.default = self.input.adapter.validate_python(described["default"])
