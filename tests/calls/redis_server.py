"""A real redis-server in a folder of its own, which tests start, stop, stall and count."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from live import free_port, wait_until

PROGRAM = shutil.which("redis-server")

if PROGRAM is None:
    reason = "no Redis here; as root on Debian:   apt-get install redis-server"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)


def require() -> str:
    """The program; skips where there is none."""
    if PROGRAM is None:
        pytest.skip(reason)
    return PROGRAM


class RedisServer:
    """``redis-server`` on 127.0.0.1; it keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.program, self.folder, self.port = require(), folder, free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self.more: list[str] = []
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        with (self.folder / "redis.log").open("ab") as output:
            self.process = subprocess.Popen(
                [self.program, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                 "--appendonly", "no", "--dir", str(self.folder), *self.more],
                stdout=output,
                stderr=output,
            )  # fmt: skip
        wait_until(self._answers, "redis-server answers")

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.ask("PING") == "+PONG"
        return False

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait(10)

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """It takes connections and commands, and answers none."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def ask(self, command: str) -> str:
        """The first line of the answer to a command."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
            sock.sendall(command.encode() + b"\r\n")
            return sock.makefile("rb").readline().decode().strip()

    def keys(self, pattern: str = "*") -> list[str]:
        """The names of its keys."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
            sock.sendall(f"KEYS {pattern}\r\n".encode())
            lines = sock.makefile("rb")
            count = int(lines.readline()[1:])
            names = []
            for _ in range(count):
                lines.readline()
                names.append(lines.readline().decode().strip())
        return names

    def calls(self) -> list[str]:
        """Those of them that belong to calls."""
        return [key for key in self.keys() if not key.startswith("mothlight:replica:")]

    def empty(self) -> None:
        self.ask("FLUSHALL")
