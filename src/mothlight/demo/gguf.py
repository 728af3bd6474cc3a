"""Reader of GGUF files (llama.cpp's format, version 3): metadata, and tensors as float32."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

# Type number in the file: the struct code of one value.
SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}
STRING, ARRAY = 8, 9
F32, F16, Q4_1, Q8_0 = 0, 1, 3, 8
BLOCKS = {F32: (1, 4), F16: (1, 2), Q4_1: (32, 20), Q8_0: (32, 34)}  # values, bytes of a block


@dataclass(frozen=True)
class _Place:
    shape: tuple[int, ...]
    kind: int
    offset: int  # from the start of the file


class Gguf:
    """`metadata` by key; `tensor(name)` reads one. The file is mapped, not read as a whole."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            magic, version, tensors, keys = struct.unpack("<4sIQQ", file.read(24))
            if magic != b"GGUF" or version != 3:
                raise ValueError(f"{path} is no GGUF file of version 3")
            self.metadata: dict[str, Any] = {}
            for _ in range(keys):
                key = _string(file)
                self.metadata[key] = _value(file, _scalar(file, "I"))
            places = [_place(file) for _ in range(tensors)]
            alignment = self.metadata.get("general.alignment", 32)
            start = -(-file.tell() // alignment) * alignment
        self._places = {
            name: _Place(place.shape, place.kind, start + place.offset) for name, place in places
        }
        # Private mapping: pages come in as they are used, and can be dropped again.
        self._bytes = torch.from_file(
            str(path), shared=False, size=path.stat().st_size, dtype=torch.uint8
        )

    @property
    def names(self) -> list[str]:
        """Of the tensors, in the file's order."""
        return list(self._places)

    def tensor(self, name: str) -> Tensor:
        """One tensor in float32, the slowest dimension first (the file has it last)."""
        place = self._places[name]
        if place.kind not in BLOCKS:
            raise ValueError(f"{name} is stored in GGUF type {place.kind}, which is not known here")
        values, size = BLOCKS[place.kind]
        count = 1
        for length in place.shape:
            count *= length
        raw = self._bytes[place.offset : place.offset + count // values * size]
        return _floats(raw.view(-1, size), place.kind).view(place.shape)


def _floats(blocks: Tensor, kind: int) -> Tensor:
    """(n, bytes of a block) uint8 -> (n, values of a block) float32."""
    if kind == F32:
        return blocks.view(torch.float32).clone()
    if kind == F16:
        return blocks.view(torch.float16).float()
    scale = blocks[:, :2].view(torch.float16).float()
    if kind == Q8_0:
        return blocks[:, 2:].view(torch.int8).float().mul_(scale)
    least = blocks[:, 2:4].view(torch.float16).float()
    quants = blocks[:, 4:]  # the first 16 values in the low halves, the others in the high ones
    return torch.cat([quants & 15, quants >> 4], 1).float().mul_(scale).add_(least)


def _scalar(file: BinaryIO, code: str) -> Any:
    return struct.unpack(f"<{code}", file.read(struct.calcsize(f"<{code}")))[0]


def _string(file: BinaryIO) -> str:
    return file.read(_scalar(file, "Q")).decode("utf-8", "replace")


def _value(file: BinaryIO, kind: int) -> Any:
    if kind == STRING:
        return _string(file)
    if kind == ARRAY:
        kind, length = struct.unpack("<IQ", file.read(12))
        if kind in SCALARS:
            code = f"<{length}{SCALARS[kind]}"
            return list(struct.unpack(code, file.read(struct.calcsize(code))))
        return [_value(file, kind) for _ in range(length)]
    return _scalar(file, SCALARS[kind])


def _place(file: BinaryIO) -> tuple[str, _Place]:
    name = _string(file)
    dimensions = _scalar(file, "I")
    shape = struct.unpack(f"<{dimensions}Q", file.read(8 * dimensions))
    kind, offset = struct.unpack("<IQ", file.read(12))
    return name, _Place(shape[::-1], kind, offset)
