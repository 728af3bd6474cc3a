"""Files in and out: a photo comes as a PIL image in RGB, upright, no larger than asked for.

curl localhost:8000/pictures/mirror -F image=@photo.jpg -o mirrored.png
"""

from typing import Annotated

import PIL.ImageOps
from pydantic import BaseModel

from mothlight import Image, ImageLimits, method, service


class Photo(BaseModel):
    image: Annotated[Image, ImageLimits(max_edge=1024, formats={"jpeg", "png", "webp"})]


class Size(BaseModel):
    width: int
    height: int


@service
class Pictures:
    @method
    def measure(self, photo: Photo) -> Size:
        return Size(width=photo.image.width, height=photo.image.height)

    @method
    def mirror(self, photo: Photo) -> Image:
        return Image.from_pil(PIL.ImageOps.mirror(photo.image), "png")
