"""Pictures that are reduced while they are opened."""

from __future__ import annotations

import io
from typing import Any

import PIL.Image
import pytest

from mothlight.errors import BadMedia
from mothlight.media.image import decode
from mothlight.media.limits import ImageLimits

SMALL = ImageLimits(max_edge=50, formats=ImageLimits.FORMATS)


def encoded(image: PIL.Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def checkered(mode: str, one: Any, other: Any) -> PIL.Image.Image:
    """Every second pixel is another one: on the whole it is a plain field."""
    image = PIL.Image.new(mode, (400, 400))
    image.putdata([one, other] * 200 * 400)
    for y in range(1, 400, 2):
        row = image.crop((0, y, 400, y + 1))
        image.paste(row.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT), (0, y))
    return image


RED, BLUE = (255, 0, 0), (0, 0, 255)


def palette() -> PIL.Image.Image:
    image = checkered("P", 0, 1)
    image.putpalette([*RED, *BLUE])
    return image


PURPLE, GREY, PINK = (127, 0, 127), (127, 127, 127), (255, 127, 127)


@pytest.mark.parametrize(
    ("data", "color"),
    [
        (encoded(palette(), "png"), PURPLE),
        (encoded(palette(), "gif"), PURPLE),
        (encoded(palette(), "png", transparency=1), PINK),
        (encoded(palette(), "gif", transparency=1), PINK),
        (encoded(checkered("1", 0, 1), "png"), GREY),
        (encoded(checkered("I;16", 0, 65535), "png"), GREY),
        (encoded(checkered("I;16", 0, 65535), "tiff"), GREY),
        (encoded(checkered("RGB", RED, BLUE), "png"), PURPLE),
        (encoded(checkered("RGB", RED, BLUE), "png", transparency=BLUE), PINK),
    ],
    ids=["png", "gif", "png-clear", "gif-clear", "bits", "png-16", "tiff-16", "rgb", "rgb-clear"],
)
def test_neighbours_are_averaged(data: bytes, color: tuple[int, int, int]) -> None:
    found = decode(data, SMALL)
    assert (found.mode, found.size) == ("RGB", (50, 50))
    assert found.getpixel((25, 25)) == pytest.approx(color, abs=2)


def test_a_small_palette_stays_as_it_is() -> None:
    found = decode(encoded(palette().crop((0, 0, 2, 1)), "png"), SMALL)
    assert [found.getpixel((x, 0)) for x in (0, 1)] == [RED, BLUE]


def test_a_palette_is_upright() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    found = decode(encoded(palette().resize((400, 200)), "png", exif=exif), SMALL)
    assert found.size == (25, 50)


def test_pillows_own_bound_is_named_where_it_is_the_lower_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1000)
    data = encoded(PIL.Image.new("1", (100, 100)), "png")
    for most, told in ((500, 500), (1_000_000, 2000)):
        with pytest.raises(BadMedia, match=f"over the limit of {told}$"):
            decode(data, ImageLimits(max_pixels=most))
