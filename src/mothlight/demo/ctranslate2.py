"""Reader of CTranslate2's model files (binary version 6): the tensors by their names."""

from __future__ import annotations

import math
import struct
from typing import IO, Any

import torch
from torch import Tensor

TYPES = {0: torch.float32, 1: torch.int8, 2: torch.int16, 3: torch.int32, 4: torch.float16}
_VERSION = 6


def load(file: IO[bytes]) -> dict[str, Tensor]:
    """All tensors, those in float16 as float32. Raises ValueError for another format."""
    (version,) = _read(file, "<I")
    if version != _VERSION:
        raise ValueError(f"this is no CTranslate2 model of version {_VERSION}")
    _name(file)  # of the architecture
    _read(file, "<I")  # and its revision
    (count,) = _read(file, "<I")
    return dict(_tensor(file) for _ in range(count))


def _tensor(file: IO[bytes]) -> tuple[str, Tensor]:
    name = _name(file)
    (rank,) = _read(file, "<B")
    shape = _read(file, f"<{rank}I")
    kind, size = _read(file, "<BI")
    dtype = TYPES[kind]
    if size != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{name} has {size} bytes, which is not {list(shape)} of {dtype}")
    tensor = torch.frombuffer(bytearray(_exactly(file, size)), dtype=dtype).view(shape)
    return name, tensor.float() if dtype == torch.float16 else tensor


def _name(file: IO[bytes]) -> str:
    (length,) = _read(file, "<H")
    return _exactly(file, length).rstrip(b"\0").decode()


def _read(file: IO[bytes], form: str) -> tuple[Any, ...]:
    return struct.unpack(form, _exactly(file, struct.calcsize(form)))


def _exactly(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise ValueError("the model file ends in the middle")
    return data
