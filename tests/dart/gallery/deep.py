"""Nullable in lists in maps in messages, sets, newtypes, root models."""

from typing import NewType

from pydantic import BaseModel, RootModel

from mothlight import method, service

Score = NewType("Score", float)


class Names(RootModel[list[str]]):
    """A list with a name."""


class Cell(BaseModel):
    score: Score | None = None
    names: Names = Names(["a"])


class Grid(BaseModel):
    """Boxes in boxes."""

    cells: list[list[Cell | None]]
    sparse: dict[str, list[dict[str, Cell]] | None] = {}
    seen: set[str] = {"one"}
    frozen: frozenset[int] = frozenset()
    maybe: list[list[int] | None] | None = None


@service
class Grids:
    """Nests."""

    @method
    def nest(self, grid: Grid) -> Grid:
        """Gives it back."""
        return grid

    @method
    def names(self, names: Names) -> dict[str, list[Cell | None]]:
        """A root model as the message."""
        return {name: [None] for name in names.root}
