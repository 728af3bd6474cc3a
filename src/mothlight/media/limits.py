"""What a file field takes: limits written in the type, kept by the server, published to the phone.

Annotated[Image, ImageLimits(max_edge=1024, formats={"jpeg", "png"})]
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema

from ..errors import DefinitionError

MEBI = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``max_bytes``: the encoded size that is taken, in bytes."""

    kind: ClassVar[str]

    max_bytes: int = 16 * MEBI

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, (int, float)) and not isinstance(value, bool) and value <= 0:
                raise DefinitionError(f"{type(self).__name__}({name}={value}) takes no file at all")

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        if getattr(source, "kind", None) != self.kind:
            shown = getattr(source, "__name__", source)
            raise DefinitionError(
                f"{type(self).__name__} limits {self.kind} fields, not {shown}",
                f"write   Annotated[{self.kind.title()}, {type(self).__name__}(...)]",
            )
        schema: CoreSchema = source.core_schema(self)
        return schema


def _known(given: Set[str], known: Set[str], what: str) -> None:
    if unknown := set(given) - known:
        raise DefinitionError(
            f"{what} cannot read {sorted(unknown)}", f"it reads {', '.join(sorted(known))}"
        )


@dataclass(frozen=True, kw_only=True)
class ImageLimits(Limits):
    """Limits of an ``Image``.

    ``max_edge``: longest edge in pixels that the method is given; a larger picture is reduced (a
    JPEG already while it is decoded), and the phone may reduce it before the upload.
    ``max_pixels``: width × height by the file's header, above which it is refused undecoded.
    """

    kind: ClassVar[str] = "image"
    FORMATS: ClassVar[frozenset[str]] = frozenset({"jpeg", "png", "webp", "gif", "bmp", "tiff"})

    max_edge: int | None = None
    max_pixels: int = 50_000_000
    formats: Set[str] = field(default=frozenset({"jpeg", "png", "webp", "gif"}))

    def __post_init__(self) -> None:
        super().__post_init__()
        _known(self.formats, self.FORMATS, "Image")


@dataclass(frozen=True, kw_only=True)
class AudioLimits(Limits):
    """Limits of an ``Audio``: ``max_seconds`` of sound by the file's header."""

    kind: ClassVar[str] = "audio"
    FORMATS: ClassVar[frozenset[str]] = frozenset({"wav", "flac", "ogg", "mp3"})

    max_seconds: float = 600.0
    formats: Set[str] = field(default=FORMATS)

    def __post_init__(self) -> None:
        super().__post_init__()
        _known(self.formats, self.FORMATS, "Audio")


@dataclass(frozen=True, kw_only=True)
class FileLimits(Limits):
    """Limits of a ``File``; ``formats`` empty: any."""

    kind: ClassVar[str] = "file"
    formats: Set[str] = field(default=frozenset())
