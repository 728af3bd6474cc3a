"""The process that started us, and what its end means to us."""

from __future__ import annotations

import signal
import sys

FRONT = "_MOTHLIGHT_FRONT"
"""The variable that worker processes have, which is the process id of their front when they are
started."""

_PR_SET_PDEATHSIG = 1


def end_with_parent(number: signal.Signals) -> None:
    """Lets the system send us a signal when the thread that started us ends (prctl(2)); it is
    Linux that knows how."""
    if sys.platform == "linux":
        import ctypes  # which a command line has no time for

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
