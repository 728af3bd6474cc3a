"""Pictures as phones and strangers send them, made here."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import PIL.Image

WHITE, RED = (255, 255, 255), (255, 0, 0)


def encoded(image: PIL.Image.Image, format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def scene(width: int = 48, height: int = 32) -> PIL.Image.Image:
    """Four quarters of four colours: no two of the eight orientations look alike."""
    image = PIL.Image.new("RGB", (width, height), (250, 250, 0))
    image.paste((255, 0, 0), (0, 0, width // 2, height // 2))
    image.paste((0, 255, 0), (width // 2, 0, width, height // 2))
    image.paste((0, 0, 255), (0, height // 2, width // 2, height))
    return image


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int, height: int) -> bytes:
    """A PNG of so many black pixels, 3 bytes each, without ever having them here."""
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + 3 * width)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def lying_png(width: int, height: int) -> bytes:
    """A PNG whose header claims so many pixels, and which has one row."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    row = zlib.compress(b"\0" * (1 + 3 * min(width, 1000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


def oriented(orientation: int) -> bytes:
    """The scene as a camera that was held so would store it (a lossless WebP, as JPEG blurs)."""
    turned = scene()
    # How to undo the turn that the tag tells a viewer to make (EXIF 2.3, 4.6.4 A).
    undo = {
        2: [PIL.Image.Transpose.FLIP_LEFT_RIGHT],
        3: [PIL.Image.Transpose.ROTATE_180],
        4: [PIL.Image.Transpose.FLIP_TOP_BOTTOM],
        5: [PIL.Image.Transpose.TRANSPOSE],
        6: [PIL.Image.Transpose.ROTATE_90],
        7: [PIL.Image.Transpose.TRANSVERSE],
        8: [PIL.Image.Transpose.ROTATE_270],
    }
    for step in undo.get(orientation, []):
        turned = turned.transpose(step)
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return encoded(turned, "WEBP", lossless=True, exact=True, exif=exif)


def inverted_cmyk(color: tuple[int, int, int, int], size: int = 32) -> bytes:
    """A CMYK JPEG as Adobe's programs write it: inverted, with their APP14 marker. Pillow writes
    and reads that marker, and inverts by it."""
    image = PIL.Image.new("CMYK", (size, size), color)
    data = encoded(image, "JPEG", quality=95)
    assert b"Adobe" in data[:200]
    return data


def plain_cmyk(data: bytes) -> bytes:
    """The same file without the Adobe marker: its samples are then read as they are."""
    at = data.index(b"Adobe") - 4
    assert data[at : at + 2] == b"\xff\xee"
    (length,) = struct.unpack(">H", data[at + 2 : at + 4])
    return data[:at] + data[at + 2 + length :]


def grey_16(values: list[int]) -> bytes:
    """A PNG with 16 bits of grey: one column for each value."""
    pixels = np.repeat(np.array(values, np.uint16)[None, :], 8, axis=0)
    image = PIL.Image.frombuffer("I;16", (len(values), 8), pixels.tobytes(), "raw", "I;16", 0, 1)
    return encoded(image, "PNG")


def photo_48_megapixels() -> bytes:
    """An 8000 × 6000 JPEG, with something to see in every block."""
    tile = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    image = PIL.Image.fromarray(tile).resize((8000, 6000), PIL.Image.Resampling.NEAREST)
    return encoded(image, "JPEG", quality=70)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + b"\0" * 400
