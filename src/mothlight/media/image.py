"""Image: a PIL image that is opened from hostile bytes, late, upright, in RGB."""

from __future__ import annotations

import io
import math
from typing import Any, Self

import PIL.Image
import PIL.ImageChops
import PIL.ImageOps

from ..errors import BadMedia
from .file import MEDIA_TYPES, OCTETS, Media, sniff
from .limits import ImageLimits, Limits


class Image(PIL.Image.Image, Media):
    """A picture. It *is* a ``PIL.Image.Image`` in RGB, decoded when it is first looked at: upright
    (EXIF orientation applied), alpha laid on white, the first frame of an animation, 16 bits and
    CMYK brought to 8-bit RGB, no larger than its ``ImageLimits`` allow.

    ``data`` are the bytes as they came. ``Image.open(path)``, ``Image(bytes)`` and
    ``Image.from_pil(image)`` make one.

    Raises BadMedia when the bytes are truncated, damaged, or more pixels than the limits allow.
    """

    kind = "image"

    def __init__(
        self, data: bytes, *, media_type: str | None = None, name: str | None = None
    ) -> None:
        PIL.Image.Image.__init__(self)
        self.data, self.name = data, name
        self.media_type = MEDIA_TYPES.get(sniff(data)) or media_type or OCTETS
        self.limits = _TRUSTED
        self._decoded = False

    @classmethod
    def open(cls, path: Any) -> Self:
        """Reads a file."""
        return super(PIL.Image.Image, cls).open(path)

    @classmethod
    def from_pil(cls, image: PIL.Image.Image, format: str = "png", **options: Any) -> Self:
        """Encodes a PIL image (``format``: png, jpeg, webp …; ``options`` as in ``save``)."""
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return cls(buffer.getvalue())

    @classmethod
    def blank(cls, width: int, height: int, color: str = "white") -> Self:
        """A picture of one colour, as an example of a method's input."""
        return cls.from_pil(PIL.Image.new("RGB", (width, height), color))

    @classmethod
    def from_value(cls, value: Any) -> Self | None:
        return cls.from_pil(value) if isinstance(value, PIL.Image.Image) else None

    @classmethod
    def default_limits(cls) -> Limits:
        return ImageLimits()

    def open_in_worker(self) -> None:
        self.load()

    # PIL's own lazy images (ImageFile) decode in load(); so do we. Every operation calls it.

    def load(self) -> Any:
        if not self._decoded:
            decoded = decode(self.data, self.limits)
            self.im, self._mode, self._size = decoded.im, decoded.mode, decoded.size
            self._decoded = True
        return PIL.Image.Image.load(self)

    @property
    def size(self) -> tuple[int, int]:
        self.load()
        return self._size

    @property
    def width(self) -> int:
        return self.size[0]

    @property
    def height(self) -> int:
        return self.size[1]

    @property
    def mode(self) -> str:
        self.load()
        return self._mode

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.data, self.media_type, self.name, self.limits)

    def __repr__(self) -> str:
        return f"Image({len(self.data)} bytes, {self.media_type})"


_TRUSTED = ImageLimits(
    max_bytes=1 << 40, max_pixels=PIL.Image.MAX_IMAGE_PIXELS or 1 << 40, formats=ImageLimits.FORMATS
)  # what one's own program opens, before a message gives it a field's limits


def _rebuild(data: bytes, media_type: str, name: str | None, limits: Limits) -> Image:
    image = Image(data, media_type=media_type, name=name)
    image.limits = limits
    return image


def decode(data: bytes, limits: Limits) -> PIL.Image.Image:
    """RGB pixels of an encoded picture under ``limits``; BadMedia where that cannot be."""
    assert isinstance(limits, ImageLimits)
    formats = [name.upper() for name in limits.formats]
    try:
        with PIL.Image.open(io.BytesIO(data), formats=formats) as opened:
            image: PIL.Image.Image = opened
            if math.prod(image.size) > limits.max_pixels:
                raise _too_many(f"{image.width} × {image.height}", limits.max_pixels)
            if limits.max_edge and max(image.size) > limits.max_edge:
                image = _reducible(image)
                # thumbnail() asks the JPEG decoder for a reduced scale first (draft), so that a
                # 48-megapixel photo for a 224-pixel model never exists in full.
                image.thumbnail((limits.max_edge, limits.max_edge), reducing_gap=2.0)
            image.load()
            upright = PIL.ImageOps.exif_transpose(image)
            if image.mode == "CMYK" and opened.format == "JPEG" and "adobe" not in image.info:
                # PIL inverts every CMYK JPEG; only those with Adobe's marker are stored inverted.
                upright = PIL.ImageChops.invert(upright)
            return _to_rgb(upright)
    except BadMedia:
        raise
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        times = 2 if isinstance(error, PIL.Image.DecompressionBombError) else 1
        bound = times * (PIL.Image.MAX_IMAGE_PIXELS or 0)  # Pillow's own
        raise _too_many("the header's", min(limits.max_pixels, bound)) from None
    except PIL.UnidentifiedImageError:
        raise BadMedia(reason="this is not an image, or its header is damaged") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders of hostile bytes raise nearly anything
        reason = str(error) if isinstance(error, OSError) else type(error).__name__
        raise BadMedia(reason=f"the image is damaged: {reason}") from error


def _too_many(size: str, limit: int) -> BadMedia:
    return BadMedia(reason=f"{size} pixels are over the limit of {limit}")


def _reducible(image: PIL.Image.Image) -> PIL.Image.Image:
    """The same picture in a mode in which neighbouring pixels can be averaged: the numbers of
    colours cannot, nor can a colour that means "transparent"; and PIL does not average 16 bits."""
    if image.mode.startswith("I;16"):
        image = _to_8_bits(image)
        image.info.pop("transparency", None)  # a shade of 16 bits
    elif image.mode in ("1", "P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return image


def _to_rgb(image: PIL.Image.Image) -> PIL.Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _to_8_bits(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = PIL.Image.new("RGBA", image.size, "white")
        return PIL.Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bits(image: PIL.Image.Image) -> PIL.Image.Image:
    """16-bit and wider grey to 8 bits by scaling; PIL's convert("L") would clip it to white."""
    if image.mode.startswith("I;16"):
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    low, high = (float(edge) for edge in image.getextrema()[:2])  # type: ignore[arg-type]
    if low >= 0 and high <= 255:
        return image.convert("L")
    if image.mode == "I" and low >= 0 and high <= 65535:
        return image.point(lambda value: value * (1 / 257)).convert("L")
    scale = 255 / ((high - low) or 1)
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")
