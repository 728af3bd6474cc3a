"""What a process does with its memory once everything is loaded."""

from __future__ import annotations

import ctypes
import gc
import sys


def hurry() -> None:
    """Begins a start: hardly anything of what is loaded is garbage, and the collector would look
    through it again and again (``import torch`` takes 4 % less without)."""
    gc.set_threshold(20_000, 20, 20)


def settle() -> None:
    """Ends a start: what is loaded stays, so that the garbage collector need not look through it
    again and again (of torch alone these are hundreds of thousands of objects), and what loading
    has left over goes back to the system (malloc_trim(3), where there is one)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 20)  # 20,000 dead objects at once kept everybody waiting for 15 ms
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)
