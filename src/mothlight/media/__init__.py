"""Files as fields of a message: bytes outside, PIL and numpy inside.

    bytes on the wire ─sniff, size─> File | Image | Audio (front process: bytes only)
                      ─header, pixels, decode─> RGB pixels, samples (worker, before the method runs)

``Image`` needs ``mothlight[image]`` and ``Audio`` needs ``mothlight[audio]``; both are imported
when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .file import File, FileLimits, Media
from .limits import AudioLimits, ImageLimits

if TYPE_CHECKING:
    from .audio import Audio
    from .image import Image

__all__ = ["Audio", "AudioLimits", "File", "FileLimits", "Image", "ImageLimits", "Media"]


def __getattr__(name: str) -> Any:
    try:
        if name == "Image":
            from .image import Image

            return Image
        if name == "Audio":
            from .audio import Audio

            return Audio
    except ImportError as error:
        raise ImportError(
            f'{name} needs {error.name}:   pip install "mothlight[{name.lower()}]"',
            name=error.name,
        ) from error
    raise AttributeError(name)
