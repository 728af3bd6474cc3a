"""What is in a picture? EfficientNet-Lite0 over the 1,000 classes of ImageNet."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mothlight import weights

from . import efficientnet

SIZE = 224
CROP = 224 / 256  # of the shorter side
CLASSES = 1000


class Guess(NamedTuple):
    """One class of an image, as `(index, label, probability)`."""

    category: int
    label: str
    probability: float


class VisionModel:
    """Names what images show. `load()` makes one."""

    def __init__(self, network: efficientnet.EfficientNetLite0, labels: Sequence[str]) -> None:
        self.network = network.eval()
        self.labels = tuple(labels)

    def classify(self, images: Sequence[Image.Image], top_k: int = 5) -> list[list[Guess]]:
        """The `top_k` (1..1000) likeliest classes of each image, the likeliest first.

        Any size and mode; orientation is the caller's. Images go one by one: on a CPU a batch of
        this network is slower than its members.
        """
        if not 1 <= top_k <= CLASSES:
            raise ValueError(f"top_k is {top_k}: it must be from 1 to {CLASSES}")
        return [self._guess(image, top_k) for image in images]

    def _guess(self, image: Image.Image, top_k: int) -> list[Guess]:
        with torch.inference_mode():
            logits: Tensor = self.network(pixels(image).unsqueeze(0))
            probabilities, indices = logits[0].softmax(0).topk(top_k)
        pairs = zip(indices.tolist(), probabilities.tolist(), strict=True)
        return [Guess(index, self.labels[index], probability) for index, probability in pairs]


def pixels(image: Image.Image) -> Tensor:
    """The middle of an image as (3, 224, 224) float32, (x - 127) / 128.

    The same as scaling the shorter side to 256 and cutting out the central 224, in one step.
    """
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    side = CROP * min(rgb.size)
    left, top = (rgb.width - side) / 2, (rgb.height - side) / 2
    square = rgb.resize(
        (SIZE, SIZE),
        Image.Resampling.BICUBIC,
        box=(left, top, left + side, top + side),
        reducing_gap=3.0,
    )
    values = torch.from_numpy(np.array(square)).permute(2, 0, 1)
    return (values.float() - 127) / 128


def load() -> VisionModel:
    """The model on the CPU; fetches its weights (17 MB) when they are not in the cache."""
    labels = (
        files("mothlight.demo").joinpath("data", "imagenet.txt").read_text("utf-8").splitlines()
    )
    return VisionModel(efficientnet.load(weights.get("efficientnet-lite0")), labels)
