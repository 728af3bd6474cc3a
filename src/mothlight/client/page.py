"""Pages: what a server has beside its services, described as methods are."""

from __future__ import annotations

from typing import Any

from ..schema import Choice, MapOf, Nothing, Shape
from ..services import Cardinality, Method


class Page(Method[None, Any, Any]):
    """A path without a message. It gives a JSON object, with ``verb="DELETE"`` nothing."""

    def __init__(self, path: str, verb: str = "GET") -> None:
        self.name, self.qualname, self.doc, self.raises = path, path, "", ()
        self.cardinality = Cardinality.UNARY
        self.verb, self.path, self.parameter = verb, path, ""
        self.input = Shape(None, Nothing(), {})
        self.output = (
            Shape(dict[str, Any], MapOf(Choice(())), {})
            if verb == "GET"
            else Shape(None, Nothing(), {})
        )


CONTRACT = Page("/contract")
