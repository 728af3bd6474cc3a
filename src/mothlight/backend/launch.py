"""Launch: a worker's process is started, and what it shares with its front is made."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import NamedTuple

from ..service import Service
from . import wire
from .arena import Arena
from .base import ENVIRONMENT


class Launched(NamedTuple):
    """A worker's process, our end of its socket, and the arenas of requests and answers, where its
    methods take or give files."""

    popen: subprocess.Popen[bytes]
    socket: socket.socket
    requests: Arena | None
    answers: Arena | None


def launch(service: Service, placement: wire.Placement) -> Launched:
    """Starts a worker's process. Raises OSError."""
    shapes = [shape for m in service.methods.values() for shape in (m.input, m.output)]
    arenas: list[Arena] = []
    ours, theirs = socket.socketpair()
    try:
        if any(shape.has_media for shape in shapes):
            arenas = [arena for _ in range(2) if (arena := Arena.create())]
        numbers = [theirs.fileno(), *(arena.descriptor for arena in arenas)]
        popen = subprocess.Popen(
            [sys.executable, "-m", "mothlight.backend.worker", *map(str, numbers)],
            pass_fds=numbers,
            stdin=subprocess.DEVNULL,
            process_group=0,  # with it goes what its model starts
            env=_environment(placement),
        )
    except BaseException:
        ours.close()
        for arena in arenas:
            arena.close()
        raise
    finally:
        theirs.close()
    ours.setblocking(False)
    requests, answers = arenas or (None, None)
    return Launched(popen, ours, requests, answers)


def _environment(placement: wire.Placement) -> dict[str, str]:
    environment = {**os.environ, ENVIRONMENT: str(os.getpid())}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.setdefault(name, str(placement.threads))
    return environment
