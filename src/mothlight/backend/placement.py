"""How a worker's model is placed: its device, its threads, and the modes in which torch runs it.

threads, assign ─ import of the class ─ limit_threads ─ its object ─ convert ─ inside(every thread)
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import devices
from .wire import Placement

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""What a container may have of the processors: microseconds, and of how many (cgroup v2)."""


def cores() -> int:
    """How many processors this process may use at a time, which its container and its affinity
    bound: 64 threads on the time of two wait for each other."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        count = os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # "max" is no number
        time, period = map(int, _QUOTA.read_text().split())
        count = min(count, -(-time // period))
    return max(1, count)


def threads(workers: int) -> int:
    """Torch's threads for each of so many workers: all together have no more than there are cores.
    OMP_NUM_THREADS says otherwise."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # "4,2" is of nested loops
    if given.isdecimal() and int(given):
        return int(given)
    return max(1, cores() // max(1, workers))


def assign(placement: Placement) -> None:
    """Says where the model shall live, before it is made (``mothlight.device()``)."""
    devices.assign(placement.device, placement.index)


def limit_threads(placement: Placement) -> None:
    """Gives torch its threads, once the service's module has imported it."""
    if torch := _torch():
        torch.set_num_threads(placement.threads)
        with contextlib.suppress(RuntimeError):  # it has begun to work: too late
            torch.set_num_interop_threads(1)


def convert(obj: object, placement: Placement) -> None:
    """Lays out and compiles the modules that a service's object holds. Raises what torch raises,
    for instance for a 3-D convolution, which has no layout with the channels last."""
    torch = _torch()
    if torch is None or not (placement.channels_last or placement.compile):
        return
    for module in vars(obj).values():
        if not isinstance(module, torch.nn.Module):
            continue
        if placement.channels_last:
            module.to(memory_format=torch.channels_last)
        if placement.compile and not isinstance(module, torch.jit.ScriptModule):
            module.compile()


@contextlib.contextmanager
def inside(placement: Placement) -> Iterator[None]:
    """What a thread that runs the model stays inside: torch's inference mode and its current GPU
    belong to a thread."""
    torch = _torch()
    if torch is None:
        yield
        return
    if torch.cuda.is_initialized() and (device := devices.device()).startswith("cuda"):
        torch.cuda.set_device(device)
    with torch.inference_mode() if placement.inference_mode else contextlib.nullcontext():
        yield


def forget(error: BaseException) -> None:
    """Lets go of what a model's error holds: its variables, and with them their tensors, would live
    as long as the error does. Where memory ran out, torch gives back what it holds of a GPU's."""
    traceback.clear_frames(error.__traceback__)
    torch = _torch()
    is_short = isinstance(error, MemoryError) or _OUT_OF_MEMORY in map(_name, type(error).__mro__)
    if is_short and torch and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


_OUT_OF_MEMORY = "OutOfMemoryError"  # torch's: without torch there is no class to ask for


def _name(cls: type) -> str:
    return cls.__name__


def _torch() -> Any:
    """torch, if the service uses it: we do not import it."""
    return sys.modules.get("torch")
