"""A TCP proxy that cuts each connection where it is told."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import NamedTuple, Self


class Cut(NamedTuple):
    """After so many bytes to the server, or from it, both ends are closed; None: never. Where it
    ``stalls``, they stay open, and nothing comes any more."""

    up: int | None = None
    down: int | None = None
    stalls: bool = False


class Cutter:
    """Between clients at ``url`` and the server on ``port``. The first connections are cut as
    ``cuts`` say, all others not at all. ``down``: the bytes that came from the server on each."""

    def __init__(self, port: int, *cuts: Cut) -> None:
        self._port, self._cuts = port, list(cuts)
        self.down: list[bytearray] = []
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        _close(self._listener)
        accepting, *_ = self._threads
        accepting.join(10)  # what it accepts in this moment is to be closed, too
        for sock in self._open:
            _close(sock)
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    @property
    def connections(self) -> int:
        return len(self.down)

    def _start(self, work: object, *given: object) -> None:
        thread = threading.Thread(target=work, args=given)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port), 10)
            for sock in (client, server):
                sock.settimeout(30)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += (client, server)
            cut = self._cuts.pop(0) if self._cuts else Cut()
            came = bytearray()
            self.down.append(came)
            self._start(self._carry, client, server, cut.up, bytearray(), cut.stalls)
            self._start(self._carry, server, client, cut.down, came, cut.stalls)

    def _carry(
        self,
        source: socket.socket,
        to: socket.socket,
        left: int | None,
        came: bytearray,
        stalls: bool,
    ) -> None:
        with suppress(OSError):
            while left is None or left > 0:
                data = source.recv(65536 if left is None else min(left, 65536))
                if not data:
                    break
                came += data
                to.sendall(data)
                left = None if left is None else left - len(data)
            if left == 0 and stalls:
                self._over.wait(30)
        _close(source)
        _close(to)


def _close(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    sock.close()
