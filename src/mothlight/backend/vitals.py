"""A worker's life: it says that it lives, lives no longer than its front process, and leaves
nothing of itself to processes that its model starts."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from pathlib import Path

from ..parent import FRONT, end_with_parent
from . import wire

_PAUSE = 0.5
"""Seconds between two pulses."""


def survive_signals() -> None:
    """Goes on after SIGINT and SIGTERM, which a stop may send to all processes of a service: the
    front drains us, and closes the socket when that is done. What the model starts can be stopped:
    it would inherit SIG_IGN, and inherits no handler."""
    told = (signal.SIGINT, signal.SIGTERM)
    for number in told:
        signal.signal(number, lambda *_: None)
    if sys.platform == "win32":
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # a terminal's, to who prints unasked

    def allow() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, told)

    def end_by_them() -> None:
        for number in told:
            signal.signal(number, signal.SIG_DFL)
        allow()

    # Blocked until a child has its own handlers: who starts it may stop it at once.
    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, told),
        after_in_parent=allow,
        after_in_child=end_by_them,
    )


def die_with_parent() -> None:
    """Lets the system kill us when the thread that started us ends, whatever we do then; where it
    does not know how (it is Linux that does), the end of our socket tells us."""
    if sys.platform == "linux":
        end_with_parent(signal.SIGKILL)
        parent = os.environ.get(FRONT)
        if parent and os.getppid() != int(parent):  # it went before we had asked
            os._exit(0)


def keep_from_children(channel: wire.Channel) -> None:
    """Closes the channel in processes that the model forks: while one of them held it, the front
    process would not see our death."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=channel.abandon)


def survive_logging() -> None:
    """Lets a log line be lost when it cannot be written (a full disk, a closed terminal), and shows
    what a model prints as it comes."""
    logging.raiseExceptions = False
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def pulse(channel: wire.Channel) -> None:
    """Tells the front process twice a second that we live; never returns."""
    while True:
        channel.send(wire.Pulse(resident()))
        time.sleep(_PAUSE)


def resident() -> int:
    """Bytes of memory that this process holds; where only the most that it ever held is known,
    that; 0 where nothing is."""
    try:
        pages = Path("/proc/self/statm").read_bytes().split()[1]
    except OSError:
        pass
    else:
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    try:
        import resource
    except ImportError:
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
