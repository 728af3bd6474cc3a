"""The tensors of a TorchScript file, without running it.

Such a file is a zip with a pickle of the module tree and the tensors' bytes. Nothing of the pickle
is imported or called but the few names below: a class of the file becomes a bag of attributes.
`torch.jit.load` would do, but is deprecated and runs the code that the file carries.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def load(path: Path) -> dict[str, Tensor]:
    """All float32 tensors by their dotted names. Raises `pickle.UnpicklingError` for what else."""
    with zipfile.ZipFile(path) as archive:
        (pickled,) = (
            n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")
        )
        with archive.open(pickled) as file:
            tree = _Unpickler(file, archive, pickled.removesuffix(".pkl")).load()
    return dict(_tensors(tree, ""))


class _Bag:
    """Stands for any class of the file."""


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: Any, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(file)
        self.archive = archive
        self.folder = folder

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("__torch__."):
            return type(name, (_Bag,), {})
        known = {
            ("torch", "FloatStorage"): torch.float32,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
            ("torch.jit._pickle", "build_intlist"): list,
            ("collections", "OrderedDict"): dict,
        }
        if (module, name) in known:
            return known[module, name]
        raise pickle.UnpicklingError(f"the file names {module}.{name}, which is not known here")

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, *_ = pid
        content = bytearray(self.archive.read(f"{self.folder}/{key}"))
        return torch.frombuffer(content, dtype=dtype) if content else torch.empty(0, dtype=dtype)


def _rebuild(
    storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _tensors(node: Any, prefix: str) -> Iterator[tuple[str, Tensor]]:
    for name, value in vars(node).items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, _Bag):
            yield from _tensors(value, f"{prefix}{name}.")
