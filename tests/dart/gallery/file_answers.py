"""Files as answers, and as items of a stream."""

from collections.abc import Iterator

import PIL.Image

from mothlight import Audio, File, Image, method, service


@service
class Studio:
    """Makes files."""

    @method
    def picture(self, edge: int = 8) -> Image:
        """A picture."""
        return Image.from_pil(PIL.Image.new("RGB", (edge, edge), "orange"))

    @method
    def sound(self) -> Audio:
        """A sound."""
        return Audio.from_samples([0.0] * 100, 8000)

    @method
    def paper(self, text: str) -> File | None:
        """A file, or nothing."""
        return File(text.encode(), media_type="text/plain", name="paper.txt") if text else None

    @method
    def frames(self, count: int = 2) -> Iterator[Image]:
        """Pictures, one after the other."""
        for _ in range(count):
            yield self.picture(4)
