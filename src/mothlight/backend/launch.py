"""Launch: a worker's process is started, and what it shares with its front is made.

The command line has one started before it knows what to serve (``prepare``): it imports Mothlight
beside the front, and is the first worker (``launch``), or goes (``dismiss``). So this module, which
is imported before all others, imports hardly any of them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from typing import NamedTuple

from .. import memory
from ..parent import FRONT

ARENA = 256 * 1024 * 1024
"""Bytes of memory for each direction, in which large files are handed over. It takes memory only
where it has been written."""

_KEPT = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "268435456"}
"""What glibc keeps of the memory that a model frees (mallopt(3)). By itself it gives large blocks
back, and the next call has them zeroed and mapped again, page by page: 3 500 faults for a photo,
whose rate is 1.4 times as high without them."""


class Launched(NamedTuple):
    """A worker's process, our ends of its sockets, and the descriptors of the memory for requests'
    files and for answers', 0 where there is none.

    There is a socket for each direction: who reads from a socket wakes all that sleep on its other
    end, be it only to say that they may write. The worker sleeps until it is asked the next thing,
    and would be woken each time that its answer is read: 5 % of a trivial call."""

    popen: subprocess.Popen[bytes]
    sending: socket.socket
    receiving: socket.socket
    requests: int
    answers: int

    def close(self) -> None:
        """Closes what is shared."""
        self.sending.close()
        self.receiving.close()
        for descriptor in filter(None, (self.requests, self.answers)):
            os.close(descriptor)


_spare: list[Launched] = []


def prepare() -> None:
    """Starts the process that ``launch`` gives next, where the system has one to give."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # whoever needs it is told
            _spare.append(_start())


def launch(address: str) -> Launched:
    """A process that waits to be told to load ``module:Class``. Raises OSError, and DefinitionError
    where no process can be given our sockets, or could import that."""
    if sys.platform == "win32":
        from ..definition import DefinitionError

        raise DefinitionError(
            "there are no worker processes on Windows",
            "run the models in this process:   App(..., workers=0)   or   serve --workers 0",
        )
    _check(address)
    return _spare.pop() if _spare else _start()


def dismiss() -> None:
    """Ends the process that was prepared, if nobody has taken it."""
    while _spare:
        spare = _spare.pop()
        spare.popen.kill()
        spare.popen.wait()
        spare.close()


def surroundings(threads: int) -> tuple[list[str], str | None, dict[bytes, bytes], bytes]:
    """What a worker takes from us as it is now, for a model that has so many threads: the modules'
    folders, the main file, the variables and the current folder."""
    variables = {name.encode(): value.encode() for name, value in _KEPT.items()} | os.environb
    for name in (b"OMP_NUM_THREADS", b"MKL_NUM_THREADS"):
        variables.setdefault(name, b"%d" % threads)
    variables[FRONT.encode()] = b"1"
    try:
        folder = os.getcwdb()
    except OSError:  # it has been deleted
        folder = b""
    return sys.path, _main(), variables, folder


def _main() -> str | None:
    return getattr(sys.modules["__main__"], "__file__", None)


def _start() -> Launched:
    sending, asked = socket.socketpair()
    receiving, told = socket.socketpair()
    arenas = [memory.share(ARENA) or 0 for _ in range(2)]
    numbers = [asked.fileno(), told.fileno(), *arenas]
    try:
        popen = subprocess.Popen(
            [sys.executable, "-m", "mothlight.backend.worker", *map(str, numbers)],
            pass_fds=[number for number in numbers if number],
            stdin=subprocess.DEVNULL,
            process_group=0,  # with it goes what its model starts
            env={**_KEPT, **os.environ, FRONT: str(os.getpid())},
        )
    except BaseException:
        sending.close()
        receiving.close()
        for descriptor in filter(None, arenas):
            os.close(descriptor)
        raise
    finally:
        asked.close()
        told.close()
    sending.setblocking(False)
    receiving.setblocking(False)
    return Launched(popen, sending, receiving, *arenas)


def _check(address: str) -> None:
    module, _, name = address.partition(":")
    where = ""
    if "<locals>" in name:
        where, name = "inside a function", name.rpartition(".")[2]
    elif module == "__main__" and not os.path.isfile(_main() or ""):
        where = "in a notebook, at a prompt or in what came through a pipe"
    if where:
        from ..definition import DefinitionError

        raise DefinitionError(
            f"{name} is defined {where}, and a worker process cannot import it from there",
            "move it to the top of a module, or run it in this process:   App(..., workers=0)",
        )
