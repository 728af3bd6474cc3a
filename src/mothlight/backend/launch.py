"""Launch: a worker's process is started, and what it shares with its front is made."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import NamedTuple

from ..errors import DefinitionError
from ..services import Service
from . import wire
from .arena import Arena
from .base import ENVIRONMENT

_KEPT = {"MALLOC_MMAP_THRESHOLD_": 32 << 20, "MALLOC_TRIM_THRESHOLD_": 256 << 20}
"""What glibc keeps of the memory that a model frees (mallopt(3)). By itself it gives large blocks
back, and the next call has them zeroed and mapped again, page by page: 3 500 faults for a photo,
whose rate is 1.4 times as high without them."""


class Launched(NamedTuple):
    """A worker's process, our ends of its sockets, and the arenas of the files that its methods
    take and of those that they give, where they do.

    There is a socket for each direction: who reads from a socket wakes all that sleep on its other
    end, be it only to say that they may write. The worker sleeps until it is asked the next thing,
    and would be woken each time that its answer is read: 5 % of a trivial call."""

    popen: subprocess.Popen[bytes]
    sending: socket.socket
    receiving: socket.socket
    requests: Arena | None
    answers: Arena | None


def launch(service: Service, placement: wire.Placement) -> Launched:
    """Starts a worker's process. Raises OSError, and DefinitionError where no process can be given
    our sockets."""
    if sys.platform == "win32":
        raise DefinitionError(
            "there are no worker processes on Windows",
            "run the models in this process:   App(..., workers=0)   or   serve --workers 0",
        )
    methods = service.methods.values()
    sending, asked = socket.socketpair()
    receiving, told = socket.socketpair()
    requests = Arena.create() if any(m.input.has_media for m in methods) else None
    answers = Arena.create() if any(m.output.has_media for m in methods) else None
    arenas = (arena.descriptor if arena else 0 for arena in (requests, answers))
    numbers = [asked.fileno(), told.fileno(), *arenas]
    try:
        popen = subprocess.Popen(
            [sys.executable, "-m", "mothlight.backend.worker", *map(str, numbers)],
            pass_fds=[number for number in numbers if number],
            stdin=subprocess.DEVNULL,
            process_group=0,  # with it goes what its model starts
            env=_environment(placement),
        )
    except BaseException:
        sending.close()
        receiving.close()
        for arena in filter(None, (requests, answers)):
            arena.close()
        raise
    finally:
        asked.close()
        told.close()
    sending.setblocking(False)
    receiving.setblocking(False)
    return Launched(popen, sending, receiving, requests, answers)


def _environment(placement: wire.Placement) -> dict[str, str]:
    environment = {**os.environ, ENVIRONMENT: str(os.getpid())}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.setdefault(name, str(placement.threads))
    for name, size in _KEPT.items():
        environment.setdefault(name, str(size))
    return environment
