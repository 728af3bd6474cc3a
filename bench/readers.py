"""Clients of many streams that cost next to nothing: ``python -m bench.readers``, driven by stdin.

They look every few milliseconds for what has come, instead of waking up for every item: on a
machine that they share with the server, they must not be what is measured. A first line of JSON
says what to open; then ``count SECONDS`` answers with items a second, ``leave`` with the time.
"""

from __future__ import annotations

import base64
import json
import select
import socket
import sys
import time

_PAUSE = 0.01
_START = 30.0
"""Seconds after which every stream must have had an item."""


class Readers:
    """Open streams; items are counted by the braces of their JSON. Where one of them ``may_end``,
    the others are read on."""

    def __init__(self, port: int, requests: list[bytes], may_end: bool = False) -> None:
        self.may_end = may_end
        self.sockets = [socket.create_connection(("127.0.0.1", port)) for _ in requests]
        for sock, request in zip(self.sockets, requests, strict=True):
            sock.sendall(request)
            sock.setblocking(False)
        quiet = set(self.sockets)
        until = time.monotonic() + _START
        while quiet:
            quiet -= {sock for sock in quiet if _read(sock)}
            if time.monotonic() > until:
                raise TimeoutError(f"{len(quiet)} of {len(requests)} streams give nothing")
            time.sleep(0.001)

    def sweep(self) -> int:
        """How many items have come since the last sweep."""
        items = 0
        for sock in list(self.sockets):
            try:
                items += _read(sock)
            except ConnectionError:
                if not self.may_end:
                    raise
                self.sockets.remove(sock)
                sock.close()
        return items

    def count(self, seconds: float) -> float:
        """Items a second."""
        self.sweep()
        items, start = 0, time.monotonic()
        while (now := time.monotonic()) < start + seconds:
            time.sleep(_PAUSE)
            items += self.sweep()
        return items / (now - start)

    def leave(self) -> float:
        """Closes all, and says when it began to."""
        start = time.monotonic()
        for sock in self.sockets:
            sock.close()
        return start


def _read(sock: socket.socket) -> int:
    try:
        data = sock.recv(1 << 20)
    except BlockingIOError:
        return 0
    if not data:
        raise ConnectionError("a stream has ended")
    if b"\r\n0\r\n" in data[-16:]:
        raise ConnectionError("a stream has ended")
    return data.count(b"{")


def main() -> None:
    run = json.loads(sys.stdin.readline())
    requests = [
        base64.b64decode(stream["request"])
        for stream in run["streams"]
        for _ in range(stream["count"])
    ]
    readers = Readers(run["port"], requests, run["may_end"])
    print("flowing", flush=True)
    while True:
        if not select.select([sys.stdin], [], [], _PAUSE)[0]:
            readers.sweep()
            continue
        match sys.stdin.readline().split():
            case ["count", seconds]:
                print(readers.count(float(seconds)), flush=True)
            case ["leave"]:
                print(readers.leave(), flush=True)
                return
            case _:
                return


if __name__ == "__main__":
    main()
