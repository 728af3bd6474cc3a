"""EfficientNet-Lite0 (Tan & Le 2019, without squeeze-and-excitation), for inference."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Expansion, kernel, stride of the first, channels out, repeats.
BLOCKS = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class Convolution(nn.Module):
    """Convolution, batch normalisation, and ReLU6 unless `linear`.

    Padded as TensorFlow does, where it was trained: with a stride of 2, one more after than before.
    """

    def __init__(
        self, inside: int, out: int, kernel: int, stride: int = 1, groups: int = 1, *, linear: bool
    ) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inside, out, kernel, stride, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(out, eps=1e-3)
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.padding = (before, after, before, after)
        self.activation = nn.Identity() if linear else nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.convolution(nn.functional.pad(x, self.padding)))
        z: Tensor = self.activation(y)
        return z

    def fold(self) -> None:
        """Fold the normalisation into the convolution: the same function, fewer steps."""
        assert isinstance(self.norm, nn.BatchNorm2d)
        self.convolution = fuse_conv_bn_eval(self.convolution, self.norm)
        if self.padding[0] == self.padding[1]:
            self.convolution.padding = self.padding[:2]
            self.padding = (0, 0, 0, 0)
        self.norm = nn.Identity()


class Block(nn.Module):
    """Inverted bottleneck: widen, depthwise convolution, narrow, with a shortcut where it fits."""

    def __init__(self, inside: int, out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = inside * expansion
        layers = [
            Convolution(wide, wide, kernel, stride, groups=wide, linear=False),
            Convolution(wide, out, 1, linear=True),
        ]
        if expansion > 1:
            layers.insert(0, Convolution(inside, wide, 1, linear=False))
        self.layers = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inside == out

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.shortcut else y


class EfficientNetLite0(nn.Module):
    """(B, 3, 224, 224), pixels as (x - 127) / 128 -> (B, 1000) logits."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [Convolution(3, 32, 3, 2, linear=False)]
        inside = 32
        for expansion, kernel, first, out, repeats in BLOCKS:
            for index in range(repeats):
                stride = 1 if index else first
                layers.append(Block(inside, out, expansion, kernel, stride))
                inside = out
        layers.append(Convolution(inside, 1280, 1, linear=False))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.layers(x).mean((2, 3)))
        return logits


def load(path: Path) -> EfficientNetLite0:
    """The network with the weights of `efficientnet-lite0-57934424.pth`, ready for inference."""
    network = EfficientNetLite0().eval()
    stored = torch.load(path, map_location="cpu", weights_only=True)
    # Other names for the same tensors in the same order; their shapes are checked.
    network.load_state_dict(dict(zip(network.state_dict(), stored.values(), strict=True)))
    for module in list(network.modules()):
        if isinstance(module, Convolution):
            module.fold()
    return network.to(memory_format=torch.channels_last)
