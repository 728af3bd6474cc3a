"""``mothlight serve --reload``: a new server is ready before the old one leaves.

    supervisor: binds the port, watches the files
      └ server ── a file changes ──> the next server loads, says that it is ready ──> SIGTERM, drain
                                     or cannot load: its error is shown, the old one serves on

All servers accept from the one socket, so that no connection is refused in between.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from watchfiles import PythonFilter, watch

from .parent import end_with_parent

log = logging.getLogger("mothlight")

SOCKET, READY = "MOTHLIGHT_SOCKET", "MOTHLIGHT_READY"
"""In a server's environment: the descriptor of the socket that it serves, and of the pipe to which
it writes when it is ready."""

TAKEN = "port %d is in use; stop who has it, or take another (--port 0: any)"
_STEP = 500  # milliseconds between two looks at whether the server lives
_GRACE = 5.0  # seconds beyond a server's own grace before it is killed


class Supervisor:
    """Keeps one server running. ``command`` starts one; ``paths`` are watched."""

    def __init__(
        self, command: Sequence[str], host: str, port: int, grace: float, paths: Sequence[Path]
    ) -> None:
        self.command, self.paths, self.grace = command, paths, grace
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.create_server((host, port), family=family, backlog=2048)
        self._stop = threading.Event()
        self._server: subprocess.Popen[bytes] | None = None
        self._next: subprocess.Popen[bytes] | None = None  # is being started

    def run(self) -> int:
        """Serves until SIGINT or SIGTERM; the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the last: no terminal more
            signal.signal(number, self._end)
        self._server = self._start()
        logging.getLogger("watchfiles").setLevel(logging.WARNING)
        changes = watch(
            *self.paths,
            watch_filter=PythonFilter(extra_extensions=(".toml",)),
            stop_event=self._stop,
            rust_timeout=_STEP,
            yield_on_timeout=True,
            raise_interrupt=False,
        )
        for changed in changes:
            if self._server and self._server.poll() is not None:
                log.error("the server ended; it is started again when a file changes")
                self._server = None
            if changed:
                names = ", ".join(sorted({Path(path).name for _, path in changed}))
                log.info("%s changed: reloading", names)
                self._renew()
        if self._server:
            self._leave(self._server)
        self.socket.close()
        return 0

    def _end(self, number: int, frame: FrameType | None) -> None:
        self._stop.set()
        if self._next:
            self._next.terminate()

    def _renew(self) -> None:
        old, new = self._server, self._start()
        if new is None:
            if old:
                log.error("the new server could not be started; the old one serves on")
            return
        self._server = new
        if old:
            self._leave(old)

    def _start(self) -> subprocess.Popen[bytes] | None:
        """Starts a server and waits until it is ready; None where it ends instead."""
        ours, theirs = os.pipe()
        with open(ours, "rb") as pipe:
            try:
                server = self._next = subprocess.Popen(
                    self.command,
                    pass_fds=[self.socket.fileno(), theirs],
                    env={
                        **os.environ,
                        SOCKET: str(self.socket.fileno()),
                        READY: str(theirs),
                    },
                )
            finally:
                os.close(theirs)
            is_ready = bool(pipe.read(1))
        self._next = None
        if not is_ready:
            server.wait()
        return server if is_ready else None

    def _leave(self, server: subprocess.Popen[bytes]) -> None:
        """Lets a server drain and end."""
        server.terminate()
        try:
            server.wait(self.grace + _GRACE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def given_socket() -> socket.socket | None:
    """The socket that a supervisor has bound for this server, which ends with it."""
    descriptor = os.environ.pop(SOCKET, None)
    if descriptor is None:
        return None
    end_with_parent(signal.SIGTERM)
    return socket.socket(fileno=int(descriptor))


def say_ready() -> None:
    """Tells the supervisor, if there is one, that calls are served."""
    if (descriptor := os.environ.pop(READY, None)) is not None:
        with open(int(descriptor), "wb") as pipe:
            pipe.write(b"1")


def supervise(target: str, arguments: Sequence[str], host: str, port: int, grace: float) -> int:
    """Serves ``target``, anew whenever a Python file beside it changes; the exit status.
    ``arguments``: of the command line, by which each server is started."""
    path = Path(target.partition(":")[0])
    folder = path.resolve().parent if path.suffix == ".py" else Path.cwd()
    command = [sys.executable, "-m", "mothlight", *(a for a in arguments if a != "--reload")]
    try:
        supervisor = Supervisor(command, host, port, grace, [folder])
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            log.error(TAKEN, port)
        else:
            log.error("%s", error)
        return 3
    return supervisor.run()
