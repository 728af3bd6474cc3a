"""Messages that contain themselves, straight and in a circle."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from mothlight import method, service


class Tree(BaseModel):
    """A tree of words."""

    word: str
    children: list[Tree] = []
    parent: Tree | None = None
    named: dict[str, Tree] = {}


class Chicken(BaseModel):
    lays: Egg | None = None


class Egg(BaseModel):
    hatches: Chicken | None = None


class Not(BaseModel):
    kind: Literal["not"] = "not"
    of: Word | Not


class Word(BaseModel):
    kind: Literal["word"] = "word"
    text: str


@service
class Forest:
    """Trees."""

    @method
    def grow(self, tree: Tree) -> Tree:
        """Grows a tree."""
        return Tree(word="more", children=[tree])

    @method
    def hatch(self, egg: Egg) -> Chicken | None:
        """Which came first?"""
        return egg.hatches

    @method
    def negate(self, query: Word | Not) -> Not:
        """Not that."""
        return Not(of=query)
