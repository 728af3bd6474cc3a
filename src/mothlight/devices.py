"""Where a model belongs: the device that this process was given, or the best that there is."""

from __future__ import annotations

_given = "auto"
_index = 0


def device() -> str:
    """The device of this process's models, as torch writes it: ``cpu``, ``cuda:1``, ``mps``::

        def __init__(self) -> None:
            self.model = load().to(mothlight.device())

    A worker was given one, and of several GPUs each worker takes the next. Outside a server it is
    the best that torch finds: a GPU, else the CPU.
    """
    if _given not in ("auto", "cuda"):
        return _given
    try:
        import torch
    except ImportError:
        return "cpu"
    if count := torch.cuda.device_count():
        return f"cuda:{_index % count}"
    return "mps" if _given == "auto" and torch.backends.mps.is_available() else "cpu"


def assign(given: str, index: int) -> None:
    """Gives this process a device; ``auto``, and ``cuda`` without a number, leave the choice to
    ``index``, the worker's number."""
    global _given, _index
    _given, _index = given, index
