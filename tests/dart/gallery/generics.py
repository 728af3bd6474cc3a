"""Generic models: each use is a type of its own."""

from typing import Generic, TypeVar

from pydantic import BaseModel

from mothlight import method, service

T = TypeVar("T")
K = TypeVar("K")


class Page(BaseModel, Generic[T]):
    """A page of something."""

    items: list[T]
    next: str | None = None


class Pair(BaseModel, Generic[T, K]):
    left: T
    right: K


class Song(BaseModel):
    title: str


@service
class Library:
    """Pages of pages."""

    @method
    def songs(self, page: int = 0) -> Page[Song]:
        """The songs of a page."""
        return Page[Song](items=[Song(title=str(page))])

    @method
    def numbers(self, page: Page[int]) -> Pair[Page[Song], Pair[int, str | None]]:
        """Pairs of what is given."""
        songs = Page[Song](items=[])
        last = Pair[int, str | None](left=len(page.items), right=page.next)
        return Pair[Page[Song], Pair[int, str | None]](left=songs, right=last)
