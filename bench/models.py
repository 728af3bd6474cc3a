"""What is served: the same functions behind every contender, and alone in a loop."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from mothlight.demo.vision import VisionModel

ROOT = Path(__file__).parent.parent
TEXT = "What a lovely film, I would see it again tomorrow."
ITEMS = 200  # of one stream
PAUSE = 0.005  # seconds between two items of a slow stream
CALL = 0.05  # seconds that one call of ``compute``, or one batch of ``together``, takes
BATCH, BATCH_TIME = 8, 0.02  # of the model that is overloaded: 400 calls a second
PHOTO_BYTES = 100_000
EDGE = 1280  # of the photo, in pixels
WIDTH, LAYERS = 512, 9  # of the text model


def noop(texts: list[str]) -> list[float]:
    """No model at all: what is left is the server."""
    return [0.5] * len(texts)


def tokens(count: int) -> Iterator[tuple[int, str]]:
    """The items of a stream, as fast as they are asked for."""
    for index in range(count):
        yield index, "token"


def slow_tokens(count: int) -> Iterator[tuple[int, str]]:
    """The items of a stream whose model thinks before each of them."""
    for index in range(count):
        time.sleep(PAUSE)
        yield index, "token"


class Mlp:
    """A small text model: bytes embedded and summed, 9 layers of 512, one score; 2.4 million
    parameters. A batch of 32 costs a quarter of its members. One torch thread."""

    def __init__(self) -> None:
        import torch
        from torch import nn

        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.embedding = nn.EmbeddingBag(256, WIDTH, mode="sum")
        hidden = [
            layer
            for _ in range(LAYERS)
            for layer in (nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH), nn.ReLU())
        ]
        self.layers = nn.Sequential(*hidden, nn.Linear(WIDTH, 1)).eval()

    def predict(self, texts: list[str]) -> list[float]:
        """A score from 0 to 1 for each text."""
        import torch

        encoded = [text.encode() or b" " for text in texts]
        joined = torch.frombuffer(bytearray(b"".join(encoded)), dtype=torch.uint8).int()
        starts, at = [], 0
        for text in encoded:
            starts.append(at)
            at += len(text)
        with torch.inference_mode():
            logits: torch.Tensor = self.layers(self.embedding(joined, torch.tensor(starts).int()))
            scores: list[float] = logits[:, 0].sigmoid().tolist()
        return scores


def vision() -> VisionModel:
    """EfficientNet-Lite0 with its real weights; where they cannot be had, with random ones, which
    cost the same. One torch thread."""
    import torch

    from mothlight.demo import efficientnet
    from mothlight.demo.vision import CLASSES, VisionModel, load
    from mothlight.weights import WeightsError

    torch.set_num_threads(1)
    try:
        return load()
    except WeightsError:
        network = efficientnet.EfficientNetLite0().eval()
        for module in list(network.modules()):
            if isinstance(module, efficientnet.Convolution):
                module.fold()
        network = network.to(memory_format=torch.channels_last)
        return VisionModel(network, [str(index) for index in range(CLASSES)])


def classify(model: VisionModel, images: list[Image]) -> list[tuple[int, float]]:
    """(class, probability) of each image."""
    found = model.classify(images, top_k=1)
    return [(guesses[0].category, guesses[0].probability) for guesses in found]


def open_photo(data: bytes) -> Image:
    """A JPEG as RGB pixels, as most people open one."""
    from PIL import Image

    return Image.open(io.BytesIO(data)).convert("RGB")


@cache
def photo() -> bytes:
    """A JPEG of a cup of coffee, 1280 pixels wide, of about 100 kB."""
    from PIL import Image

    with Image.open(ROOT / "examples" / "photos" / "coffee.jpg") as source:
        image = source.convert("RGB")
    image = image.resize((EDGE, EDGE * image.height // image.width), Image.Resampling.LANCZOS)
    data = b""
    for quality in range(95, 30, -1):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        data = file.getvalue()
        if len(data) <= PHOTO_BYTES:
            break
    return data
