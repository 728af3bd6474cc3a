"""Forms: files beside fields, many of them, optional ones, deep ones."""

import enum
from typing import Annotated

from pydantic import BaseModel

from mothlight import Audio, File, Image, ImageLimits, method, service


class Style(enum.Enum):
    PLAIN = "plain"
    FANCY = "fancy"


class Frame(BaseModel):
    width: float = 1.0


class Album(BaseModel):
    """Photos, and what belongs to them."""

    cover: Annotated[Image, ImageLimits(max_edge=1024)]
    photos: list[Image] = []
    sound: Audio | None = None
    attachments: list[File] | None = None
    title: str
    note: str | None = None
    style: Style = Style.PLAIN
    stars: int | None = 5
    tags: list[str] = []
    frames: list[Frame] = []
    frame: Frame = Frame()
    extra: dict[str, int] = {}
    bright: bool = False


class Stack(BaseModel):
    """A file deeper than the form."""

    albums: list[Album]


@service
class Albums:
    """Keeps albums."""

    @method
    def keep(self, album: Album) -> int:
        """Counts an album's photos."""
        return 1 + len(album.photos)

    @method
    def stack(self, stack: Stack) -> int:
        """Files inside messages inside lists."""
        return len(stack.albums)

    @method
    def first(self, album: Album) -> Album:
        """Files in an answer."""
        return album
