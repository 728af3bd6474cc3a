"""What a process does with its memory while it loads and then, and memory that processes share."""

from __future__ import annotations

import gc
import os
import sys


def hurry() -> None:
    """Begins a start: hardly anything of what is loaded is garbage, and the collector would look
    through it again and again (``import torch`` takes 4 % less without)."""
    gc.set_threshold(20_000, 20, 20)


def settle() -> None:
    """Ends a start: what is loaded stays, so that the garbage collector need not look through it
    again and again (of torch alone these are hundreds of thousands of objects), and what loading
    has left over goes back to the system (malloc_trim(3), where there is one)."""
    import ctypes

    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)  # 20,000 dead objects at once kept everybody waiting for 15 ms
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


def share(size: int) -> int | None:
    """A descriptor of so many bytes of new memory, which children may inherit (memfd_create(2));
    None where the system gives none (it is Linux that has anonymous files)."""
    if sys.platform != "linux":
        return None
    import fcntl

    try:
        descriptor = os.memfd_create("mothlight", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return None
    try:
        os.ftruncate(descriptor, size)
        # Were the file cut, reading it would kill the reader.
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor
