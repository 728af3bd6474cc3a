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
    ``max_pixels``: width × height by the file's header, above which it is refused undecoded; so is
    what Pillow refuses by itself, from twice ``PIL.Image.MAX_IMAGE_PIXELS`` (179 million) up.
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
    """Limits of an ``Audio``: ``max_seconds`` of sound by the file's header.

    ``pcm``: bytes without a header are taken too, as microphones give them: 16-bit little-endian
    mono samples, so many a second. A frame of an MP3 begins as samples may, and so beside raw
    samples only WAV, FLAC and Ogg are known by their headers::

        Annotated[Audio, AudioLimits(pcm=16_000)]
    """

    kind: ClassVar[str] = "audio"
    FORMATS: ClassVar[frozenset[str]] = frozenset({"wav", "flac", "ogg", "mp3", "pcm"})
    FILES: ClassVar[frozenset[str]] = FORMATS - {"pcm"}

    max_seconds: float = 600.0
    formats: Set[str] = field(default=FILES)
    pcm: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        _known(self.formats, self.FORMATS, "Audio")
        if self.pcm is None:
            if "pcm" in self.formats:
                raise DefinitionError(
                    "raw samples do not say how many there are a second",
                    "say it:   AudioLimits(pcm=16_000)",
                )
            return
        if "mp3" in self.formats and self.formats != self.FILES:
            raise DefinitionError(
                "MP3 cannot be told from raw samples",
                "leave it away:   AudioLimits(pcm=16_000, formats={'wav'})",
            )
        object.__setattr__(self, "formats", frozenset(self.formats) - {"mp3"} | {"pcm"})


@dataclass(frozen=True, kw_only=True)
class FileLimits(Limits):
    """Limits of a ``File``; ``formats`` empty: any."""

    kind: ClassVar[str] = "file"
    formats: Set[str] = field(default=frozenset())
