"""Types and paths that could not be served are refused where they are written."""

from __future__ import annotations

import datetime
import enum
import math
from typing import Annotated, Any, Generic, Optional, TypeVar

import pytest
from pydantic import BaseModel, Field, RootModel

from mothlight import File, method, service
from mothlight.errors import DefinitionError
from mothlight.schema import Enum, ListOf, Message, Nullable, Reader, Ref, Scalar

T = TypeVar("T")


class Pair(enum.Enum):
    A = (1, 2)


class Day(enum.Enum):
    FIRST = datetime.date(2026, 1, 1)


class Raw(enum.Enum):
    A = b"\xff"


class Real(enum.Enum):
    HALF = 0.5
    NONE = math.nan


class Empty(enum.Enum):
    pass


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Mode(enum.IntFlag):
    READ = 1


class Tag(BaseModel):
    name: str


class Frozen(BaseModel, frozen=True):
    name: str


class Size(RootModel[int]):
    pass


class Tree(RootModel[list["Tree"]]):
    pass


class Value(RootModel[dict[str, "Value | None"]]):
    pass


class Page(BaseModel, Generic[T]):
    items: list[T]
    next: Optional[Page[T]] = None  # noqa: UP045


@pytest.mark.parametrize(
    ("hint", "what", "mend"),
    [
        (Pair, "Pair.A is (1, 2)", 'RED = "red"'),
        (Day, "Day.FIRST is datetime.date(2026, 1, 1)", 'RED = "red"'),
        (Raw, "Raw.A is b'\\xff'", 'RED = "red"'),
        (Real, "Real.NONE is nan", 'RED = "red"'),
        (Empty, "Empty has no members", 'RED = "red"'),
        (Right, "Right is a flag", "set[Right]"),
        (Mode, "Mode is a flag", "set[Mode]"),
        (set[Tag], "a set of what is no single value", "write   list[Tag]"),
        (frozenset[Frozen], "a set of what is no single value", "list["),
        (set[tuple[int, ...]], "a set of what is no single value", "list["),
        (set[File], "a set of what is no single value", "list["),
        (set[Size], "a set of what is no single value", "list["),
        (set[Annotated[Size, Field()] | None], "a set of what is no single value", "list["),
        (Tree, "Tree holds itself", "class Tree(BaseModel):"),
        (Value, "Value holds itself", "class Value(BaseModel):"),
        (Page[int], "Page[int].next is its own generic class", "class IntPage(BaseModel):"),
    ],
)
def test_what_cannot_be_served_is_refused(hint: Any, what: str, mend: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Reader().read(hint, "it", at=Tag)
    assert what in caught.value.what
    assert mend in caught.value.mend


@pytest.mark.parametrize("hint", [Pair, Empty, Right, Tree, Page[int]])
def test_the_line_is_that_of_the_class(hint: Any) -> None:
    with pytest.raises(DefinitionError) as caught:
        Reader().read(hint, "it", at=Tag)
    assert caught.value.location.startswith(f"{__file__}:")


class Kind(enum.Enum):
    A = "a"
    B = 1
    C = 0.5
    D = None


class Leaf(BaseModel):
    branches: Branches | None = None


class Branches(RootModel[list[Leaf]]):
    pass


def test_what_can_be_served_is_not() -> None:
    reader = Reader()
    assert reader.read(set[Kind | None], "it") == ListOf(Nullable(Ref("Kind")), unique=True)
    assert reader.types["Kind"] == Enum("Kind", {"A": "a", "B": 1, "C": 0.5, "D": None})
    assert reader.read(frozenset[float], "it") == ListOf(Scalar("float"), unique=True)
    # It holds itself by way of a message, which has a name.
    assert Reader().read(Branches, "it") == ListOf(Ref("Leaf"))
    reader = Reader()
    assert reader.read(list[Branches], "it") == ListOf(ListOf(Ref("Leaf")))
    leaf = reader.types["Leaf"]
    assert isinstance(leaf, Message) and leaf.fields[0].type == Nullable(ListOf(Ref("Leaf")))


@pytest.mark.parametrize("path", ["/a/../b", "/..", "/a/.", "/./a"])
def test_a_path_that_clients_resolve_is_refused(path: str) -> None:
    with pytest.raises(DefinitionError, match="has http="):

        @service
        class Dots:
            @method(http=f"GET {path}")
            def dots(self) -> int:
                return 1


def test_dots_within_a_name_are_none_of_those() -> None:
    @service
    class Named:
        @method(http="GET /v1.2/..a/...")
        def named(self) -> int:
            return 1

    assert Named.named.path == "/v1.2/..a/..."
