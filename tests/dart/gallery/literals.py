"""Literals: of strings, of numbers, mixed, alone, and in lists."""

from typing import Literal

from pydantic import BaseModel

from mothlight import method, service


class Order(BaseModel):
    """A coffee."""

    size: Literal["small", "large", "extra large"]
    shots: Literal[1, 2, 3] = 2
    milk: Literal["oat", "cow"] | None = None
    version: Literal[1] = 1
    what: Literal["coffee"] = "coffee"
    extras: list[Literal["sugar", "cream"]] = []
    hot: Literal[True] = True
    odd: Literal["one", 2, False] = 2
    symbols: Literal["+", "-", "", "*/", "1st"] = "+"


@service
class Bar:
    """Makes coffee."""

    @method
    def brew(self, order: Order) -> Literal["done", "failed"]:
        """Brews."""
        return "done" if order.shots else "failed"

    @method
    def clean(self, how: Literal["quick", "well"] = "quick") -> bool:
        """Cleans."""
        return how == "well"
