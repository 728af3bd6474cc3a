"""File, and what it shares with Image and Audio: bytes, a media type found by looking at them."""

from __future__ import annotations

import base64
import binascii
import os
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    ValidationInfo,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ..errors import PayloadTooLarge, UnsupportedMedia
from .limits import FileLimits, Limits

MEDIA_TYPES: dict[str, str] = {
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "heic": "image/heic",
    "avif": "image/avif",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "mp3": "audio/mpeg",
    "pcm": "audio/pcm",
    "m4a": "audio/mp4",
    "webm": "audio/webm",
    "pdf": "application/pdf",
    "zip": "application/zip",
}
OCTETS = "application/octet-stream"

_MAGIC = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"\x1aE\xdf\xa3", "webm"),
    (b"%PDF-", "pdf"),
    (b"PK\x03\x04", "zip"),
)


def sniff(data: bytes) -> str:
    """The format by the first bytes, "" when none is known. Content types and file names are not
    asked: phones send ``application/octet-stream``, and strangers send what they like."""
    head = bytes(data[:16])
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:4] == b"RIFF":
        return {b"WEBP": "webp", b"WAVE": "wav"}.get(head[8:12], "")
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"avif", b"avis"):
            return "avif"
        return "heic" if brand in (b"heic", b"heix", b"mif1", b"msf1", b"hevc") else "m4a"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4, 0xE6):
        return "mp3"  # a bare MPEG frame: 11 sync bits, and a layer
    return ""


class Media:
    """Bytes with a media type; the base of File, Image and Audio.

    ``data`` are the bytes as they came, ``media_type`` what they are found to be, ``name`` the file
    name that the client gave (never to be trusted as a path).
    """

    kind: ClassVar[str] = ""
    limits: Limits

    data: bytes
    media_type: str
    name: str | None

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Reads a file."""
        path = Path(path)
        return cls._make(path.read_bytes(), None, path.name)

    @classmethod
    def _make(cls, data: bytes, media_type: str | None, name: str | None) -> Self:
        return cls(data, media_type=media_type, name=name)  # type: ignore[call-arg]

    def _sniff(self) -> str:
        """The format of the bytes under the limits, "" when none is known."""
        return sniff(self.data)

    def open_in_worker(self) -> None:
        """Decodes the bytes, so that a broken file fails alone, before the method runs."""

    @classmethod
    def from_value(cls, value: Any) -> Self | None:
        """A media object made of another library's object; None when it is not one."""
        return None

    # The pydantic side.

    @classmethod
    def default_limits(cls) -> Limits:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return cls.core_schema(cls.default_limits())

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string", "format": "binary"}

    @classmethod
    def core_schema(cls, limits: Limits) -> CoreSchema:
        """The pydantic-core schema of this type under ``limits``."""
        return core_schema.with_info_plain_validator_function(
            partial(cls._validate, limits),
            serialization=core_schema.plain_serializer_function_ser_schema(
                cls._serialize, info_arg=True, when_used="json"
            ),
        )

    @classmethod
    def _validate(cls, limits: Limits, value: Any, info: ValidationInfo) -> Self:
        where = f"{info.field_name}: " if info.field_name else ""
        found = value if isinstance(value, cls) else cls._read(value, info)
        found.limits = limits
        if len(found.data) > limits.max_bytes:
            raise PayloadTooLarge(what=f"{where}the {cls.kind}", limit=limits.max_bytes)
        formats: list[str] = sorted(getattr(limits, "formats", ()))
        if formats and (format := found._sniff()) not in formats:
            raise UnsupportedMedia(
                reason=f"{where}{_refusal(cls.kind, format, found.data)}; "
                f"taken are {', '.join(formats)}",
                supported=[MEDIA_TYPES.get(name, name) for name in formats],
            )
        if isinstance(info.context, dict):
            info.context.setdefault("seen", []).append(found)
        return found

    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Self:
        attached = info.context.get("media") if isinstance(info.context, dict) else None
        if attached and isinstance(value, dict):
            index = value.get("$media")  # from a stranger's JSON it may be anything
            if isinstance(index, int) and 0 <= index < len(attached):
                data, media_type, name = attached[index]
                return cls._make(data, media_type, name)
        if isinstance(value, Media):
            return cls._make(value.data, value.media_type, value.name)
        if isinstance(value, (bytes, bytearray, memoryview)):
            return cls._make(bytes(value), None, None)
        if isinstance(value, str) and (info.mode == "json" or attached is not None):
            try:
                return cls._make(base64.b64decode(value, validate=True), None, None)
            except (binascii.Error, ValueError):
                raise PydanticCustomError(
                    "base64",
                    "in JSON, {kind} fields are base64 strings (RFC 4648)",
                    {"kind": cls.kind},
                ) from None
        if (made := cls.from_value(value)) is not None:
            return made
        raise PydanticCustomError("media", "there is no {kind} here", {"kind": cls.kind})

    def _serialize(self, info: SerializationInfo) -> Any:
        if isinstance(info.context, dict):
            attached = info.context.setdefault("media", [])
            attached.append((self.data, self.media_type, self.name))
            return {"$media": len(attached) - 1}
        return base64.b64encode(self.data).decode()


def _refusal(kind: str, format: str, data: bytes) -> str:
    if not data:
        return f"the {kind} is empty"
    if format == "heic":
        return (
            "HEIC is not taken (let the picker convert: imageQuality or maxWidth makes it a JPEG)"
        )
    return f"{format} is not taken" if format else f"this is not {_ARTICLE.get(kind, kind)}"


_ARTICLE = {"image": "an image", "audio": "a sound file", "file": "a known file"}


class File(Media):
    """Any file: ``data``, ``media_type``, ``name``."""

    kind = "file"

    def __init__(
        self, data: bytes, *, media_type: str | None = None, name: str | None = None
    ) -> None:
        self.data, self.name = data, name
        self.media_type = MEDIA_TYPES.get(sniff(data)) or media_type or OCTETS

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self.data)} bytes, {self.media_type})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File) and (self.data, self.name) == (other.data, other.name)

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def default_limits(cls) -> Limits:
        return FileLimits()


__all__ = ["MEDIA_TYPES", "OCTETS", "File", "FileLimits", "Media", "sniff"]
