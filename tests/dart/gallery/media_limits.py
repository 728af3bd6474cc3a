"""Pictures, sounds and files with their limits."""

from typing import Annotated

from pydantic import BaseModel

from mothlight import Audio, AudioLimits, File, FileLimits, Image, ImageLimits, method, service


class Size(BaseModel):
    width: int
    height: int


@service
class Media:
    """Looks and listens."""

    @method
    def look(
        self, photo: Annotated[Image, ImageLimits(max_edge=512, formats={"jpeg", "png"})]
    ) -> Size:
        """Looks at a photo."""
        return Size(width=photo.width, height=photo.height)

    @method
    def listen(self, sound: Annotated[Audio, AudioLimits(max_seconds=30.5)]) -> float:
        """Listens to a sound."""
        return sound.seconds

    @method
    def talk(self, sound: Annotated[Audio, AudioLimits(pcm=16_000, max_bytes=64_000)]) -> str:
        """Takes raw samples."""
        return f"{sound.seconds} s"

    @method
    def weigh(self, file: Annotated[File, FileLimits(max_bytes=4096, formats={"pdf"})]) -> int:
        """Weighs a file."""
        return len(file.data)
